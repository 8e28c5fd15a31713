package shm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// crowd is many locks, all held, and a word by which the holder is told.
type crowd struct {
	Mutexes []*shm.Mutex
	RW      []*shm.RWMutex
	Sems    []*shm.Semaphore
	Each    int // goroutines for each lock
	Waiting *shm.Value[int]
	Cancel  bool
}

func threads() int {
	all, _ := os.ReadDir("/proc/self/task")
	return len(all)
}

// crowded has many goroutines wait, and returns how many threads it took.
var crowded = xme.Register("crowded", func(ctx context.Context, in crowd) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := threads()
	var all sync.WaitGroup
	var got, failed atomic.Int64
	n, held := 0, []func() []shm.Holder{}
	enter := func(take func(context.Context) error, give func() error, holders func() []shm.Holder) {
		held = append(held, holders)
		n += in.Each
		for range in.Each {
			all.Go(func() {
				if err := take(ctx); err == nil && give() == nil {
					got.Add(1)
				} else if in.Cancel && errors.Is(err, context.Canceled) {
					failed.Add(1)
				}
			})
		}
	}
	for _, m := range in.Mutexes {
		enter(m.Lock, m.Unlock, func() []shm.Holder { h, _ := m.Holder(); return []shm.Holder{h} })
	}
	for _, m := range in.RW {
		enter(m.Lock, m.Unlock, m.Holders)
	}
	for _, s := range in.Sems {
		enter(func(ctx context.Context) error { return s.Acquire(ctx, 1) }, func() error { return s.Release(1) }, s.Holders)
	}
	for _, holders := range held { // each has somebody who sleeps, or is about to
		for h := holders(); ctx.Err() == nil && (len(h) == 0 || h[0].Since.IsZero()); h = holders() {
			<-time.After(time.Millisecond)
		}
	}
	most := 0
	for range 50 {
		<-time.After(time.Millisecond)
		most = max(most, threads())
	}
	if in.Cancel {
		cancel()
	} else {
		in.Waiting.Store(n)
	}
	all.Wait()
	if in.Cancel && failed.Load() != int64(n) || !in.Cancel && got.Load() != int64(n) {
		return 0, fmt.Errorf("%d got it, %d not, of %d", got.Load(), failed.Load(), n)
	}
	return most - before, nil
})

// Two hundred goroutines that wait, for one lock or for as many, take few threads, and all of them are woken.
//
// feature: M1
func TestFewThreadsWait(t *testing.T) {
	if !sys.HasFutexWaitAny() {
		t.Skip("the kernel has no wait for many words: those who wait look again now and then")
	}
	for _, tc := range []struct{ mutexes, rw, sems, each int }{{1, 0, 0, 200}, {0, 0, 1, 200}, {200, 0, 0, 1}, {70, 70, 60, 1}} {
		for _, cancel := range []bool{false, true} {
			pool := xmetest.Open(t, xme.Options{Workers: 1})
			in := crowd{Each: tc.each, Cancel: cancel}
			var err error
			if in.Waiting, err = shm.NewValue(0); err != nil {
				t.Fatal(err)
			}
			defer in.Waiting.Close()
			for range tc.mutexes {
				in.Mutexes = append(in.Mutexes, newMutex(t))
			}
			for range tc.rw {
				in.RW = append(in.RW, newRWMutex(t))
			}
			for range tc.sems {
				in.Sems = append(in.Sems, newSemaphore(t, 1))
			}
			for _, m := range in.Mutexes {
				err = errors.Join(err, m.Lock(t.Context()))
			}
			for _, m := range in.RW {
				err = errors.Join(err, m.RLock(t.Context()))
			}
			for _, s := range in.Sems {
				err = errors.Join(err, s.Acquire(t.Context(), 1))
			}
			if err != nil {
				t.Fatal(err)
			}
			f := crowded.Go(t.Context(), pool, in)
			if !cancel {
				for in.Waiting.Load() == 0 {
					select {
					case <-f.Done():
						t.Fatal(f.Wait(t.Context()))
					case <-time.After(time.Millisecond):
					}
				}
				for _, m := range in.Mutexes {
					err = errors.Join(err, m.Unlock())
				}
				for _, m := range in.RW {
					err = errors.Join(err, m.RUnlock())
				}
				for _, s := range in.Sems {
					err = errors.Join(err, s.Release(1))
				}
			}
			n, werr := f.Wait(t.Context())
			if err := errors.Join(err, werr); err != nil || n > 8 {
				t.Errorf("%+v: %d threads more, %v", tc, n, err)
			}
			t.Logf("%+v, cancelled %v: %d threads more", tc, cancel, n)
		}
	}
}

// All that wait in a lot are woken: those that come later too, those whose words are changed at the same time, and one whose
// word is not changed.
func TestParked(t *testing.T) {
	if !sys.HasFutexWaitAny() {
		t.Skip("the kernel has it since 5.16")
	}
	const n = 3 * sys.MostFutexes
	a, err := shm.NewArray[uint32](n)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	word := func(i int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&a.Slice()[i])) }
	ends := make(chan int)
	for i := range n {
		go func() {
			shm.Park(word(i), 0, time.Hour)
			ends <- i
		}()
	}
	await := func(want func(i int) bool) {
		t.Helper()
		select {
		case i := <-ends:
			if !want(i) {
				t.Errorf("%d was woken", i)
			}
		case <-time.After(time.Minute):
			t.Fatal("it hangs")
		}
	}
	wake := func(i int) {
		for woken := 0; woken == 0; { // it may be on its way still
			if woken, err = sys.FutexWake(word(i), 1); err != nil {
				t.Fatal(err)
			}
			runtime.Gosched()
		}
	}
	for i := range n {
		if i%2 == 0 {
			wake(i)
			await(func(woken int) bool { return woken == i })
		}
	}
	for i := range n {
		word(i).Store(1)
		_, _ = sys.FutexWake(word(i), 1)
	}
	for range n / 2 {
		await(func(woken int) bool { return woken%2 == 1 })
	}
}
