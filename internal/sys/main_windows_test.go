package sys_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/sys"
)

// roles are what this binary does when a test has started it as a child, with a link to the test.
var roles = map[string]func(link sys.Stream) error{}

// roleEnv names a child's role and the handles of its link.
const roleEnv = "XME_SYS_TEST_ROLE"

func TestMain(m *testing.M) {
	if text := os.Getenv(roleEnv); text != "" {
		if err := play(strings.Fields(text)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// raw is where a child's link writes to.
var raw *os.File

func play(f []string) error {
	r, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return err
	}
	w, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return err
	}
	link, err := sys.InheritedPipes(uintptr(r), uintptr(w))
	if err != nil {
		return err
	}
	defer link.Close()
	raw = os.NewFile(uintptr(w), "raw")
	return roles[f[0]](link)
}

// start starts this binary in a role, and joins it. The test's end closes the link and awaits the child.
func start(t *testing.T, role string) (link sys.Stream, wait func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	link = sys.ChildPipes(outR, inW)
	files, names, attr := sys.Inherit(inR, outW)
	p, err := os.StartProcess(exe, []string{exe}, &os.ProcAttr{
		Env:   append(os.Environ(), roleEnv+"="+role+" "+strings.Join(names, " ")),
		Files: append([]*os.File{nil, os.Stdout, os.Stderr}, files...),
		Sys:   attr,
	})
	_, _ = inR.Close(), outW.Close()
	if err == nil {
		err = sys.AttachStream(link, p.Pid)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	wait = func() {
		if st, err := p.Wait(); err != nil || !st.Success() {
			t.Errorf("the child: %v, %v", st, err)
		}
		ended = true
	}
	t.Cleanup(func() {
		_ = link.Close()
		if !ended {
			wait()
		}
	})
	return link, wait
}
