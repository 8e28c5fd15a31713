package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// bell rings back the bell that it inherited as descriptor 4, each time the one of descriptor 3 rings.
	roles["bell"] = func(*bufio.Scanner) {
		call, err := sys.OpenBell(os.NewFile(3, "call"))
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, err := sys.OpenBell(os.NewFile(4, "answer"))
		if err == nil {
			err = call.Listen()
		}
		fmt.Println("opened:", err)
		for err == nil {
			if err = call.Wait(); err == nil {
				answer.Ring()
			}
		}
		fmt.Println(err)
	}
}

func bell(t *testing.T) *sys.Bell {
	t.Helper()
	b, err := sys.NewBell()
	if err == nil {
		err = b.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// hold gives a bell's descriptor to pass on.
func hold(t *testing.T, b *sys.Bell) *os.File {
	t.Helper()
	f, err := b.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// rung waits for a bell.
func rung(t *testing.T, b *sys.Bell) {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = b.Close() })
	if err := b.Wait(); err != nil {
		t.Fatal(err)
	}
	late.Stop()
}

// waiting waits for a bell on another goroutine.
func waiting(b *sys.Bell) (ended chan error) {
	ended = make(chan error, 1)
	go func() { ended <- b.Wait() }()
	return ended
}

func TestBellToChild(t *testing.T) {
	t.Parallel()
	call, answer := bell(t), bell(t)
	held := hold(t, call)
	if !closesOnExec(t, held) {
		t.Error("it may be inherited")
	}
	c := start(t, "bell", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{held, hold(t, answer)} })
	c.want("opened: <nil>")
	for range 1000 {
		call.Ring()
		rung(t, answer)
	}
	// Handing it to a child has not made it block.
	flags, err := unix.FcntlInt(held.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("it blocks: %#x, %v", flags, err)
	}
}

// TestBellAddsUp rings many times for one Wait, and then none is left.
func TestBellAddsUp(t *testing.T) {
	t.Parallel()
	b := bell(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				b.Ring()
			}
		})
	}
	wg.Wait()
	rung(t, b)
	ended := waiting(b)
	select {
	case err := <-ended:
		t.Errorf("a second Wait returns %v", err)
	default:
	}
	b.Ring()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestBellClose ends the Wait that is under way.
func TestBellClose(t *testing.T) {
	t.Parallel()
	b := bell(t)
	ended := waiting(b)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Close does not end Wait")
	}
	if err := b.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestBellRungAfterClose rings bells while they are closed and when they are: who has got their descriptors' numbers
// by then hears nothing. It runs alone, for nobody else shall get them.
func TestBellRungAfterClose(t *testing.T) {
	for range 100 {
		b := bell(t)
		number := sys.BellFD(b)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 100 {
				b.Ring()
			}
		})
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		next := bell(t)
		if got := sys.BellFD(next); got != number {
			t.Logf("number %d is taken by %d", number, got)
		}
		b.Ring()
		wg.Wait()
		count := make([]byte, 8)
		if _, err := sys.ReadNow(hold(t, next), count); err != nil || count[0] != 0 {
			t.Errorf("another bell was rung %d times, %v", count[0], err)
		}
		_ = next.Close()
	}
}

// TestBellLeavesNothing counts descriptors: the check of all tests leaves out eventfds, for the poller has one.
func TestBellLeavesNothing(t *testing.T) {
	count := func() (n int) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(list)
	}
	before := count()
	for range 20 {
		b := bell(t)
		f, err := b.Hold()
		if err != nil {
			t.Fatal(err)
		}
		other, err := sys.OpenBell(f)
		if err != nil {
			t.Fatal(err)
		}
		other.Ring()
		rung(t, b)
		if err := errors.Join(b.Close(), other.Close()); err != nil {
			t.Error(err)
		}
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors became %d", before, after)
	}
}

// TestBellOutsidePoller finds a bell in the netpoller only once this process listens to it: who only rings is not woken by
// others who do.
func TestBellOutsidePoller(t *testing.T) {
	t.Parallel()
	made, err := sys.NewBell()
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	opened, err := sys.OpenBell(hold(t, made))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	opened.Ring()
	for name, b := range map[string]*sys.Bell{"made": made, "opened": opened} {
		if polled(t, sys.BellFD(b)) {
			t.Errorf("%s: in the netpoller, though nobody listens", name)
		}
	}
	if err := made.Listen(); err != nil {
		t.Fatal(err)
	}
	rung(t, made)
	if !polled(t, sys.BellFD(made)) {
		t.Error("not in the netpoller, though somebody listens: this test sees nothing")
	}
}

// polled reports whether a poller of this process has a descriptor.
func polled(t *testing.T, fd int) bool {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "tfd:" && f[1] == strconv.Itoa(fd) {
				return true
			}
		}
	}
	return false
}

// BenchmarkBellRing rings a bell that nobody waits for.
func BenchmarkBellRing(b *testing.B) {
	r, err := sys.NewBell()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		r.Ring()
	}
}

// BenchmarkBellRingAndWait adds a Wait that does not park.
func BenchmarkBellRingAndWait(b *testing.B) {
	r, err := sys.NewBell()
	if err == nil {
		err = r.Listen()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		r.Ring()
		_ = r.Wait()
	}
}

func TestOpenBellRefuses(t *testing.T) {
	t.Parallel()
	f := temp(t, "")
	_ = f.Close()
	if _, err := sys.OpenBell(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
}
