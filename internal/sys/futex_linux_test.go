package sys_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/xenonmp/xme/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	// futex waits for the first word of descriptor 3 to become each number in turn, and answers in the second.
	roles["futex"] = func(*bufio.Scanner) {
		s, err := sys.OpenShared(os.NewFile(3, "shared"), 4096, true)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, answer := words(s)
		fmt.Println("ready")
		for n := range uint32(1000) {
			if err := futexAwait(call, n+1); err != nil {
				fmt.Println(err)
			}
			answer.Store(n + 1)
			_, _ = sys.FutexWake(answer, 1)
		}
	}
}

func words(s *sys.Shared) (call, answer *atomic.Uint32) {
	b := s.Bytes()
	return (*atomic.Uint32)(unsafe.Pointer(&b[0])), (*atomic.Uint32)(unsafe.Pointer(&b[64]))
}

func futexAwait(word *atomic.Uint32, want uint32) error {
	for {
		v := word.Load()
		if v == want {
			return nil
		}
		if err := sys.FutexWait(word, v, patience); err != nil {
			return fmt.Errorf("word %d, want %d: %w", v, want, err)
		}
	}
}

func TestFutexToChild(t *testing.T) {
	t.Parallel()
	s := shared(t, 4096)
	call, answer := words(s)
	c := start(t, "futex", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{s.File()} })
	c.want("ready")
	for n := range uint32(1000) {
		call.Store(n + 1)
		if _, err := sys.FutexWake(call, 1); err != nil {
			t.Fatal(err)
		}
		if err := futexAwait(answer, n+1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFutexEnds(t *testing.T) {
	t.Parallel()
	word, _ := words(shared(t, 4096))
	if err := sys.FutexWait(word, 1, patience); err != nil {
		t.Errorf("another value: %v", err)
	}
	for {
		err := sys.FutexWait(word, 0, time.Millisecond)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := sys.FutexWake(word, 1); n != 0 || err != nil {
		t.Errorf("nobody waits, %d woken, %v", n, err)
	}
	askew := (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(word), 1))
	if err := sys.FutexWait(askew, 0, patience); !errors.Is(err, unix.EINVAL) {
		t.Errorf("not aligned: %v", err)
	}
	if _, err := sys.FutexWake(askew, 1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("not aligned: %v", err)
	}
}

// One thread waits for many words, any of which ends the wait.
func TestFutexWaitAny(t *testing.T) {
	t.Parallel()
	if !sys.HasFutexWaitAny() {
		t.Skip("the kernel has it since 5.16")
	}
	mem := shared(t, 4096).Bytes()
	all := make([]sys.Futex, sys.MostFutexes)
	for i := range all {
		all[i].Word = (*atomic.Uint32)(unsafe.Pointer(&mem[8*i]))
	}
	for i := range all {
		over := make(chan int)
		go func() {
			woken, err := sys.FutexWaitAny(all, patience)
			if err != nil {
				t.Error(err)
			}
			over <- woken
		}()
		for {
			if n, err := sys.FutexWake(all[i].Word, 1); n == 1 || err != nil {
				break
			}
		}
		if woken := <-over; woken != i {
			t.Errorf("%d was woken, want %d", woken, i)
		}
	}
	all[5].Old = 1
	if woken, err := sys.FutexWaitAny(all, patience); woken != -1 || err != nil {
		t.Errorf("another value: %d, %v", woken, err)
	}
	all[5].Old = 0
	if woken, err := sys.FutexWaitAny(all, time.Millisecond); woken != -1 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", woken, err)
	}
	if _, err := sys.FutexWaitAny(nil, time.Millisecond); !errors.Is(err, unix.EINVAL) {
		t.Errorf("none: %v", err)
	}
}
