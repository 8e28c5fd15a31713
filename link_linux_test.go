package xme_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// reach is what could lead another process to a worker's link.
type reach struct {
	Sockets           []string // the worker's, as /proc names them
	Environ, ChildEnv []string // variables that name xme, in the worker and in what it starts
	ChildSockets      []string
	Args, StartEnv    string // what others may read of it
}

var reaches = xme.Register("reaches", func(ctx context.Context, _ int) (reach, error) {
	r := reach{Environ: naming(os.Environ())}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "socket:") {
			r.Sockets = append(r.Sockets, to)
		}
	}
	out, err := exec.CommandContext(ctx, "sh", "-c", "env; ls -l /proc/self/fd").Output()
	if err != nil {
		return r, err
	}
	lines := strings.Split(string(out), "\n")
	r.ChildEnv = naming(lines)
	r.ChildSockets = slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, "socket:") })
	args, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		return r, err
	}
	env, err := os.ReadFile("/proc/self/environ")
	r.Args, r.StartEnv = string(args), string(env)
	return r, err
})

func naming(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.HasPrefix(kv, "XME") })
}

// A worker's link is an inherited descriptor and nothing else: no socket that has a name or listens, none that what a
// task starts inherits; and neither arguments nor environment hold more than the descriptor's number.
//
// feature: P10
func TestLinkIsInheritedOnly(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	r, err := reaches.Call(t.Context(), pool, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sockets) != 1 {
		t.Errorf("the worker has the sockets %v, want its link alone", r.Sockets)
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		text, _ := os.ReadFile("/proc/net/" + table) // there may be none
		for line := range strings.Lines(string(text)) {
			for _, s := range r.Sockets {
				inode := strings.Trim(strings.TrimPrefix(s, "socket:"), "[]")
				fields := strings.Fields(line)
				// unix: Num RefCount Protocol Flags Type St Inode [Path]
				if slices.Contains(fields, inode) && (table != "unix" || len(fields) != 7 || fields[3] != "00000000") {
					t.Errorf("the link has a name or listens: %s", line)
				}
			}
		}
	}
	if len(r.Environ)+len(r.ChildEnv)+len(r.ChildSockets) > 0 {
		t.Errorf("the worker's role is seen in it (%v), and in what it starts (%v, %v)", r.Environ, r.ChildEnv, r.ChildSockets)
	}
	if args := strings.Split(r.Args, "\x00"); len(args) != 3 || args[1] != "xme-worker" {
		t.Errorf("its arguments are %q", args)
	}
	if role := naming(strings.Split(r.StartEnv, "\x00")); len(role) != 1 || role[0] != "XME_WORKER=socket:3,4,5:alive:log=" {
		t.Errorf("its environment says %q, want numbers of descriptors alone", role)
	}
}
