package manager_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(all)
}

// atMost waits until there are no more descriptors than that.
func atMost(t *testing.T, n int) (got int) {
	t.Helper()
	for range 50 {
		runtime.GC()
		if got = descriptors(t); got <= n {
			return got
		}
		time.Sleep(50 * time.Millisecond)
	}
	return got
}

// goroutines is how many are in a function.
func goroutines(in string) int {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	return strings.Count(b.String(), in)
}

type wantsRoom struct {
	M       *manager.Manager
	O       *manager.Object[gate]
	Builtin bool
}

var wantRoom = xme.Register("wantRoom", func(ctx context.Context, in wantsRoom) (int, error) {
	var err error
	if in.Builtin {
		_, err = in.M.Queue().Append(ctx, manager.Builtin{Name: "Table::items"})
	} else {
		_, err = pass.Append(ctx, in.O, 1)
	}
	return 0, err
})

// killedWaiting kills workers that wait for room in a full queue.
func killedWaiting(t *testing.T, builtin bool) (before, after int) {
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 1})
	o, opened := shut(t, m)
	defer opened()
	_, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	for range 2 {
		_, err = pass.Append(ctx, o, 1)
		must(t, err)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	round := func() {
		f := wantRoom.Go(ctx, pool, wantsRoom{m, o, builtin})
		for {
			s, err := m.Queue().State(ctx)
			must(t, err)
			if s.Waiting > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		must(t, syscall.Kill(pool.Workers()[0].PID, syscall.SIGKILL))
		if _, err := f.Wait(ctx); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		_, err := double.Call(ctx, pool, 1) // the replacement
		must(t, err)
	}
	round()
	before = atMost(t, 0)
	for range 20 {
		round()
	}
	return before, atMost(t, before)
}

// A worker that is killed while it waits to append leaves nothing behind.
func TestReview9KilledWhileItWaitsForRoom(t *testing.T) {
	before, after := killedWaiting(t, false)
	if after > before {
		t.Errorf("%d descriptors, %d after 20 workers were killed", before, after)
	}
}

// So it is of a built-in function.
func TestReview9KilledWhileItWaitsForRoomForABuiltin(t *testing.T) {
	before, after := killedWaiting(t, true)
	if n := goroutines("(*host).appendHere"); n > 0 {
		t.Errorf("%d goroutines wait for ever", n)
	}
	if after > before {
		t.Errorf("%d descriptors, %d after 20 workers were killed", before, after)
	}
}

// maker makes shared memory.
type maker struct{ N int }

func (m *maker) Array(_ context.Context, n int) (*shm.Array[int], error) {
	m.N++
	return shm.NewArray[int](n)
}

var makeArray = manager.Method("array", (*maker).Array)

type makeCall struct {
	M *manager.Manager
	O *manager.Object[maker]
	N int
	// Die: the process ends at once.
	Die bool
}

var makes = xme.Register("makes", func(ctx context.Context, in makeCall) (int, error) {
	for range in.N {
		if _, err := makeArray.Append(ctx, in.O, 1<<10); err != nil {
			return 0, err
		}
	}
	if in.Die {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	for { // the queue is empty
		s, err := in.M.Queue().State(ctx)
		if err != nil || s.Len == 0 && s.Running == "" {
			return 0, err
		}
	}
})

// What nobody waits for is not kept: results that hold shared memory as little as others.
func TestReview9ResultsWithMemoryThatNobodyFetches(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	o, err := manager.Share(ctx, m, "", &maker{})
	must(t, err)
	_, err = m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	var got []int
	for range 4 {
		_, err = makes.Call(ctx, pool, makeCall{m, o, 1000, false})
		must(t, err)
		got = append(got, atMost(t, 400))
	}
	if last := got[len(got)-1]; last > 1000 {
		t.Errorf("descriptors after each 1000 calls, of which 255 results are kept: %v", got)
	}
}

// The results of calls whose caller has died are kept for their operator only.
func TestReview9ResultsWithMemoryOfADeadCaller(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	o, err := manager.Share(ctx, m, "", &maker{})
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	_, err = double.Call(ctx, pool, 1)
	must(t, err)
	before := descriptors(t)
	if _, err = makes.Call(ctx, pool, makeCall{m, o, 200, true}); !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("got %v", err)
	}
	time.Sleep(300 * time.Millisecond)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	r, err := g.Stop(ctx)
	must(t, err)
	n, err := m.Queue().Clean(ctx)
	must(t, err)
	if after := atMost(t, before+5); after > before+20 {
		t.Errorf("%d descriptors, %d after the guard ran %d calls and %d results were forgotten", before, after, r.Calls, n)
	}
}
