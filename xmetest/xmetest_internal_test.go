package xmetest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

// TestMain makes this test binary several programs; see TestExerciseFindsFaults and
// TestMainReports.
func TestMain(m *testing.M) {
	xme.Init()
	if os.Getenv(childEnv) == "wait" {
		_, _ = io.Copy(io.Discard, os.Stdin) // a child process that lives until its input ends
		return
	}
	if os.Getenv(childEnv) == "leak before" {
		go func() { select {} }() // as a package may that is tested
	}
	Main(m)
}

// childEnv says what a test binary that was started by a test is to do.
const childEnv = "XMETEST_CHILD"

// self returns a command that runs this binary as the child that role names.
func self(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	return cmd
}

// leaks are ways to leave something behind; each returns what ends it, and a word
// of what is to be reported.
var leaks = map[string]struct {
	linux bool
	leak  func(t *testing.T) (end func(), word string)
}{
	"goroutine": {false, func(*testing.T) (func(), string) {
		c, running, ended := make(chan int), make(chan int), make(chan int)
		go func() {
			close(running)
			<-c
			close(ended)
		}()
		<-running
		return func() { close(c); <-ended }, "xmetest.init.func"
	}},
	"descriptor": {true, func(t *testing.T) (func(), string) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		return func() { _ = r.Close() }, "descriptor pipe (1 more)"
	}},
	"open file": {true, func(t *testing.T) (func(), string) {
		f, err := os.Create(filepath.Join(t.TempDir(), "left open"))
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = f.Close() }, "left open (1 more)"
	}},
	"child process": {true, func(t *testing.T) (func(), string) {
		cmd := self(t, "wait")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = in.Close(); _ = cmd.Wait() }, "child process "
	}},
	"file": {true, func(t *testing.T) (func(), string) {
		f, err := os.CreateTemp("", "xme-left-*") //nolint:usetesting // left in the shared folder on purpose
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		return func() { _ = os.Remove(f.Name()) }, f.Name()
	}},
}

// What is left behind is found as long as it is there, and only that.
func TestLeftovers(t *testing.T) {
	for name, l := range leaks {
		t.Run(name, func(t *testing.T) {
			if l.linux && runtime.GOOS != "linux" {
				t.Skip("only goroutines are looked for here")
			}
			before := takeCensus()
			end, word := l.leak(t)
			left := strings.Join(leftovers(before, 0), "\n")
			end()
			if !strings.Contains(left, word) {
				t.Errorf("found %q, want %q in it", left, word)
			}
			if left := leftovers(before, settleTime); len(left) > 0 {
				t.Errorf("found %q although it has gone", left)
			}
		})
	}
}

// TestLeaking is what TestMainReports has other processes run.
func TestLeaking(t *testing.T) {
	l, ok := leaks[strings.TrimPrefix(os.Getenv(childEnv), "leak ")]
	if role := os.Getenv(childEnv); !ok && role != "leak nothing" && role != "leak before" {
		t.Skip("run by TestMainReports")
	}
	settleTime = 0
	if ok {
		l.leak(t)
	}
}

// Main fails a run whose tests passed but left something behind, and says what.
func TestMainReports(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{
		"leak nothing":   "",
		"leak before":    "",
		"leak goroutine": "xmetest: left behind: found unexpected goroutines",
		"leak file":      "xmetest: left behind: file ",
	} {
		if role == "leak file" && runtime.GOOS != "linux" {
			continue
		}
		cmd := self(t, role, "-test.run=^TestLeaking$")
		cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if failed := err != nil; failed != (want != "") || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, printed:\n%s\nwant %q in it", role, err, out, want)
		}
	}
}
