package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/sys"
)

// buildStatic builds the command so that it runs where there is nothing else.
func buildStatic(t *testing.T) string {
	t.Helper()
	if !long.Wanted() {
		t.Skip("all that the command imports is compiled for it")
	}
	bin := filepath.Join(t.TempDir(), "xme")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// output runs a shell script, bounded, and returns what it printed and whether it succeeded.
func output(t *testing.T, script string, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], append(args[1:], "sh", "-c", script)...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("it hangs; it printed:\n%s", out)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

func wantLines(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		grade, rest, _ := strings.Cut(want, " ")
		check, found, _ := strings.Cut(rest, ": ")
		hit := false
		for line := range strings.Lines(out) {
			hit = hit || strings.HasPrefix(line, fmt.Sprintf("%-4s  %-14s  ", grade, check)) && strings.Contains(line, found)
		}
		if !hit {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
}

// leftOf fails the test if a process of the program still runs.
func leftOf(t *testing.T, name string) {
	t.Helper()
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, name) {
			t.Errorf("left behind: %s runs %s", filepath.Dir(l), to)
		}
	}
}

// In a sandbox: a root that is read-only and holds nothing but the program, /proc and /sys; no /dev/shm, no /tmp.
//
// feature: U4
func TestDoctorInSandboxes(t *testing.T) {
	if out, ok := output(t, "true", "unshare", "-rm"); !ok {
		t.Skipf("unshare is not allowed: %s", out)
	}
	bin := buildStatic(t)
	root := func(also string) string {
		dir := t.TempDir()
		return "set -e; D=" + dir + "; mount -t tmpfs none $D; mkdir $D/proc $D/dev $D/sys; touch $D/dev/null; mount --bind /dev/null $D/dev/null; cp " +
			bin + " $D/xme; " + also + "mount -o remount,ro $D; exec chroot $D /xme doctor"
	}
	const proc = "mount --rbind /proc $D/proc; mount --rbind /sys $D/sys; "
	out, ok := output(t, root(proc), "unshare", "-rm")
	if !ok {
		t.Errorf("read-only: it failed")
	}
	wantLines(t, out, "ok pool: replaced in", "ok disk: the root is read-only", "ok /dev/shm: none", "ok link: shared memory")

	out, ok = output(t, root("mount -t proc none $D/proc; "), "unshare", "-rmpf")
	if !ok {
		t.Errorf("as process 1: it failed:\n%s", out)
	}
	wantLines(t, out, "ok pool: replaced in", "warn init: process 1 itself")

	out, ok = output(t, root(""), "unshare", "-rm")
	if ok || !strings.Contains(out, "no pool can work here") {
		t.Errorf("without /proc it succeeds")
	}
	wantLines(t, out, "bad pool: could not open a pool", "warn system call: /proc/self/exe")
	leftOf(t, "/xme")
}

// With few descriptors: too few for a full pool, and too few for any.
//
// feature: U4
func TestDoctorWithFewDescriptors(t *testing.T) {
	t.Parallel()
	bin := buildStatic(t)
	out, ok := output(t, "ulimit -n 48; exec "+bin+" doctor", "env")
	if !ok {
		t.Error("with 48 descriptors it failed")
	}
	wantLines(t, out, "ok pool: replaced in", "warn descriptors: 48 allowed")
	out, ok = output(t, "ulimit -n 14; exec "+bin+" doctor", "env")
	if ok {
		t.Error("with 14 descriptors it succeeded")
	}
	wantLines(t, out, "bad pool: too many open files", "warn descriptors: 14 allowed")
	leftOf(t, bin)
}

// In control groups of its own, where this machine lets one be made: the bounds are found, and the level that sets them.
//
// feature: U4
func TestDoctorInControlGroups(t *testing.T) {
	var script strings.Builder
	var want []string
	for _, g := range []struct{ v1, file, text, want string }{
		{"cpu", "cpu.cfs_quota_us", "150000", "note cpus: quotas: 1.5 of "},
		{"memory", "memory.limit_in_bytes", "209715200", "ok memory: limit 200 MiB of "},
		{"pids", "pids.max", "60", "warn processes: pids.max 60 of "},
	} {
		dir := filepath.Join("/sys/fs/cgroup", g.v1, ownGroup(t, g.v1), fmt.Sprintf("xme-doctor-test-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Logf("%s: %v", g.v1, err)
			continue
		}
		defer func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}()
		if err := os.WriteFile(filepath.Join(dir, g.file), []byte(g.text), 0o644); err != nil {
			t.Logf("%s: %v", g.v1, err)
			continue
		}
		if g.v1 == "cpu" {
			if n, _ := sys.CPUs(); n < 2 {
				continue
			}
		}
		fmt.Fprintf(&script, "echo $$ > %s/cgroup.procs; ", dir)
		want = append(want, g.want+"/")
	}
	if want == nil {
		t.Skip("no control group can be made here")
	}
	out, ok := output(t, "set -e; "+script.String()+"exec "+buildStatic(t)+" doctor", "env")
	if !ok {
		t.Error("it failed")
	}
	wantLines(t, out, want...)
}

// ownGroup is the group of this process in a hierarchy of version 1.
func ownGroup(t *testing.T, controller string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	for line := range bytes.Lines(b) {
		if f := strings.SplitN(strings.TrimSpace(string(line)), ":", 3); len(f) == 3 && f[1] == controller {
			return f[2]
		}
	}
	return "none"
}
