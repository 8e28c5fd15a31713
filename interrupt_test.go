//go:build unix

package xme_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A running is a program that has been started, in a process group of its own.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.Closer
	alive  *os.File // at its end once no process holds the program's file 3
	said   chan string
	log    []string
	stderr lines
}

// build builds a program and returns its path.
func build(t *testing.T, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	buildPrograms(t, bin, pkg)
	return bin
}

// run starts a program; it is killed at the test's end.
func run(t *testing.T, env []string, bin string, args ...string) *running {
	t.Helper()
	p := &running{t: t, cmd: exec.CommandContext(t.Context(), bin, args...), said: make(chan string, 100)}
	alive, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.alive = alive
	p.cmd.Env, p.cmd.ExtraFiles, p.cmd.Stderr = append(os.Environ(), env...), []*os.File{theirs}, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err1 := p.cmd.StdoutPipe()
	in, err2 := p.cmd.StdinPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p.in = in
	_ = theirs.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.said)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.said <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		for range p.said {
		}
		<-read
		_ = p.cmd.Wait()
		_ = alive.Close()
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", strings.Join(p.log, "\n"), p.stderr.String())
		}
	})
	return p
}

// expect reads lines until every pattern has been found in one; it returns the patterns' matches.
func (p *running) expect(patterns ...string) map[string][]string {
	p.t.Helper()
	late := time.After(patience)
	found := map[string][]string{}
	for len(patterns) > 0 {
		select {
		case line, ok := <-p.said:
			if !ok {
				p.t.Fatalf("the program has ended without saying %q", patterns)
			}
			p.log = append(p.log, line)
			var left []string
			for _, pattern := range patterns {
				m := regexp.MustCompile(pattern).FindStringSubmatch(line)
				if m == nil {
					left = append(left, pattern)
					continue
				}
				found[pattern] = m
			}
			patterns = left
		case <-late:
			p.t.Fatalf("the program does not say %q", patterns)
		}
	}
	return found
}

// signal signals the program alone.
func (p *running) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the program's end, and for that of every process that has its file 3. It returns how it ended.
func (p *running) ends() string {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.said:
			if ok {
				p.log = append(p.log, line)
				continue
			}
		case <-late:
			p.t.Fatal("the program does not end")
		}
		break
	}
	err := p.cmd.Wait()
	_ = p.alive.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := p.alive.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		p.t.Errorf("a worker outlives the program: %v", err)
	}
	return fmt.Sprint(err)
}

// begun waits until the program's rows run.
func (p *running) begun() {
	p.t.Helper()
	p.expect("mapped: 2 <nil>", "the input blocks", `\):service runs`, `\):held row runs`, `\):obedient row runs`)
}

// Under Interruptible, the first Ctrl-C lets no more rows begin, the second ends those that run, the third the process.
//
// feature: S10, S12, F2
func TestInterruptible(t *testing.T) {
	t.Parallel()
	bin := build(t, "./testdata/programs/interrupt")
	for _, s := range []struct {
		name   string
		signal syscall.Signal
		status string
	}{{"SIGINT", syscall.SIGINT, "exit status 130"}, {"SIGTERM", syscall.SIGTERM, "exit status 143"}} {
		first := []string{
			"mapped: 0 xme: main.double row 1: interrupted", "the map has ended, rows: 2", `the service has ended: \[7\] <nil> true`,
			"held row 1 has ended: 0 true", "held row 2 has ended: 0 true", "held row 3 has ended: 0 true",
		}
		t.Run(s.name+" once", func(t *testing.T) {
			t.Parallel()
			p := run(t, nil, bin, "1m")
			p.begun()
			p.signal(s.signal)
			p.expect(first...)
			_, _ = p.in.(io.Writer).Write([]byte{0}) // what runs may take its time
			p.expect("held row 0 has ended: 42 false <nil>", "no more held rows")
			p.signal(s.signal)
			p.expect("the context has ended: xme: interrupted", "the obedient row has ended: true")
			if got := p.ends(); got != "exit status 9" {
				t.Errorf("the program ended with %s, it chose 9", got)
			}
		})
		t.Run(s.name+" twice", func(t *testing.T) {
			t.Parallel()
			p := run(t, nil, bin, "10ms")
			p.begun()
			p.signal(s.signal)
			p.expect(first...)
			p.signal(s.signal)
			p.expect("the context has ended: xme: interrupted", "the obedient row has ended: true",
				"held row 0 has ended: 0 true .*killed for it", "no more held rows")
			if got := p.ends(); got != "exit status 9" {
				t.Errorf("the program ended with %s, it chose 9", got)
			}
		})
		t.Run(s.name+" thrice", func(t *testing.T) {
			t.Parallel()
			p := run(t, nil, bin, "1m")
			p.begun()
			p.signal(s.signal)
			p.expect(first...)
			p.signal(s.signal)
			p.expect("the obedient row has ended: true")
			p.signal(s.signal)
			if got := p.ends(); got != s.status {
				t.Errorf("the program ended with %s, want %s", got, s.status)
			}
		})
	}
}

// ignored says whether this process was started so, before other tests ask for interrupts.
var ignored = signal.Ignored(syscall.SIGINT)

// Without Interruptible, Ctrl-C on the terminal ends the driver, and the system the workers that do not hear it.
//
// feature: F2
func TestInterruptPlain(t *testing.T) {
	t.Parallel()
	if ignored {
		t.Skip("interrupts are ignored here, as below a shell that was told to go on in the background")
	}
	p := run(t, nil, build(t, "./testdata/programs/interrupt"), "1m", "plain")
	p.begun()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := p.ends(); got != "signal: interrupt" {
		t.Errorf("the program ended with %s", got)
	}
}

// With XME_WAIT=1 a worker says its number and waits for a debugger; it ends with its driver all the same.
//
// feature: F2
func TestWaitForDebugger(t *testing.T) {
	t.Parallel()
	p := run(t, []string{"XME_WAIT=1"}, build(t, "./testdata/programs/interrupt"), "1m")
	say := regexp.MustCompile(`\(pid@(\d+)\):xme: worker (\d+) waits for a debugger: dlv attach (\d+)\n`)
	var m []string
	wait(t, func() bool { m = say.FindStringSubmatch(p.stderr.String()); return m != nil })
	pid, _ := strconv.Atoi(m[1])
	if m[1] != m[2] || m[1] != m[3] || gone(pid) {
		t.Errorf("%q: it is not one process that waits", m[0])
	}
	_ = p.cmd.Process.Kill()
	if got := p.ends(); got != "signal: killed" {
		t.Errorf("the program ended with %s", got)
	}
	wait(t, func() bool { return gone(pid) })
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	if runtime.GOOS == "linux" {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return err != nil || strings.HasPrefix(state, "Z")
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// The services of the example serve until Ctrl-C.
//
// feature: S10
func TestServicesUntilInterrupted(t *testing.T) {
	t.Parallel()
	p := run(t, nil, build(t, "./examples/services"), "-echo", "127.0.0.1:0", "-daytime", "127.0.0.1:0")
	const echo, daytime = `echo serves at (.*)`, `daytime serves at (.*)`
	at := p.expect(echo, daytime)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, tc := range []struct{ at, say, want string }{{at[echo][1], "good morning\n", "^good morning\n$"}, {at[daytime][1], "", `^\w+, \d\d \w+ \d{4} .*\r\n$`}} {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", tc.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // open when the service is told to end
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, tc.say)
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !regexp.MustCompile(tc.want).MatchString(line) {
			t.Errorf("%q to %s: %q, %v", tc.say, tc.at, line, err)
		}
	}
	p.signal(syscall.SIGINT)
	p.expect("^echo has ended, connections: 1$", "^daytime has ended, connections: 1$")
	if got := p.ends(); got != "<nil>" {
		t.Errorf("the program ended with %s", got)
	}
}
