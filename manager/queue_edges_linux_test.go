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
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/region"
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
		<-time.After(50 * time.Millisecond)
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
	O       *manager.Object[barrierGate]
	Builtin bool
}

var wantRoom = xme.Register("wantRoom", func(ctx context.Context, in wantsRoom) (int, error) {
	var err error
	if in.Builtin {
		_, err = in.M.Queue().Append(ctx, manager.Builtin{Name: "Table::items"})
	} else {
		_, err = passGate.Append(ctx, in.O, 1)
	}
	return 0, err
})

// killedWaiting kills workers that wait for room in a full queue.
func killedWaiting(t *testing.T, builtin bool) (before, after int) {
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 1})
	o, opened := shutGate(t, m)
	defer opened()
	_, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	for range 2 {
		_, err = passGate.Append(ctx, o, 1)
		must(t, err)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	round := func() {
		wait := func(n int) {
			for {
				s, err := m.Queue().State(ctx)
				must(t, err)
				if s.Waiting == n {
					return
				}
				<-time.After(time.Millisecond)
			}
		}
		wait(0) // nobody of the last round: a worker that is killed before it begins the row has another one run it
		f := wantRoom.Go(ctx, pool, wantsRoom{m, o, builtin})
		wait(1)
		must(t, syscall.Kill(pool.Workers()[0].PID, syscall.SIGKILL))
		if _, err := f.Wait(ctx); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		_, err := double.Call(ctx, pool, 1) // the replacement
		must(t, err)
	}
	for range 4 {
		round()
	}
	before = atMost(t, 0) + 2 // a pool whose workers die now and then has two more
	for range 20 {
		round()
	}
	return before, atMost(t, before)
}

// A worker that is killed while it waits to append leaves nothing behind.
func TestKilledWhileItWaitsForRoom(t *testing.T) {
	before, after := killedWaiting(t, false)
	if after > before {
		t.Errorf("%d descriptors, %d after 20 workers were killed", before, after)
	}
}

// So it is of a built-in function.
func TestKilledWhileItWaitsForRoomForABuiltin(t *testing.T) {
	before, after := killedWaiting(t, true)
	if n := goroutines("(*host).appendHere"); n > 0 {
		t.Errorf("%d goroutines wait for ever", n)
	}
	if after > before {
		t.Errorf("%d descriptors, %d after 20 workers were killed", before, after)
	}
}

// keepNone has this process keep no memory for the next regions, for tests that count descriptors.
func keepNone(t *testing.T) {
	t.Helper()
	region.KeepIdle(0)
	t.Cleanup(func() { region.KeepIdle(256 << 20) })
}

// maker makes shared memory.
type maker struct {
	N    int
	last *shm.Array[int]
}

func (m *maker) Array(_ context.Context, n int) (*shm.Array[int], error) {
	m.N++
	if m.last != nil {
		if err := m.last.Close(); err != nil {
			return nil, err
		}
	}
	var err error
	m.last, err = shm.NewArray[int](n)
	return m.last, err
}

// Close implements io.Closer: the manager calls it.
func (m *maker) Close() error {
	if m.last == nil {
		return nil
	}
	return m.last.Close()
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
func TestResultsWithMemoryThatNobodyFetches(t *testing.T) {
	keepNone(t)
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
func TestResultsWithMemoryOfADeadCaller(t *testing.T) {
	keepNone(t)
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
	<-time.After(300 * time.Millisecond)
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

type slowCall struct {
	M     *manager.Manager
	Where *manager.Object[counter]
}

// slow is a function that runs in the guard's process.
var slow = xme.Register("slow", func(_ context.Context, ms int) (int, error) {
	<-time.After(time.Duration(ms) * time.Millisecond)
	return ms, nil
})

// twice queues a function that runs while the manager's process is killed, and then another.
var twice = xme.Register("twice", func(ctx context.Context, in slowCall) (string, error) {
	f := slow.Go(ctx, in.M.Queue(), 1500)
	<-time.After(300 * time.Millisecond)
	p, err := pid.Call(ctx, in.Where, struct{}{})
	if err != nil {
		return "", err
	}
	_ = syscall.Kill(p, syscall.SIGKILL)
	_, err = f.Wait(ctx)
	if !errors.Is(err, manager.ErrLost) {
		return "", err
	}
	for { // the manager comes back
		if _, err = in.M.Table().Len(ctx); err == nil || ctx.Err() != nil {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	<-time.After(2 * time.Second) // the guard's function has ended
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if n, err := slow.Call(limited, in.M.Queue(), 1); err != nil {
		return "the next function: " + err.Error(), nil
	} else if n != 1 {
		return "wrong", nil
	}
	return "", nil
})

// A guard goes on with a manager that has come back while a function ran.
func TestManagerComesBackWhileAFunctionRuns(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{Process: true, Restart: true})
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	must(t, m.Keep(ctx))
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	var table xme.Table
	rows := twice.Add(&table, xme.Repeat(1, slowCall{m, o}))
	guard := manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}}))
	if err := table.Run(ctx, pool); err != nil {
		t.Errorf("run: %v", err)
	}
	wrong, err := rows.Values()
	t.Log(wrong, err)
	if err != nil || wrong[0] != "" {
		t.Errorf("%q, %v", wrong[0], err)
	}
	r, err := guard.Values()
	if err != nil {
		t.Errorf("the guard: %+v, %v", r, err)
	}
}

// While functions are queued the manager's process dies: each future ends once.
func TestManagerDiesWhileFunctionsAreQueued(t *testing.T) {
	if !apart(t) {
		return
	}
	ctx := t.Context()
	for range 8 {
		m := openWith(t, manager.Options{Process: true, Queue: 8})
		o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
		must(t, err)
		p, err := pid.Call(ctx, o, struct{}{})
		must(t, err)
		_, err = m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
		must(t, err)
		over := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { over <- struct{}{} }()
				for {
					if _, err := slow.Call(ctx, m.Queue(), 0); err != nil {
						return
					}
				}
			}()
		}
		<-time.After(50 * time.Millisecond)
		_ = syscall.Kill(p, syscall.SIGKILL)
		for range 4 {
			<-over
		}
	}
}

// sleeper is an object whose method takes a while.
type sleeper struct{ N int }

func (s *sleeper) Sleep(_ context.Context, ms int) (int, error) {
	<-time.After(time.Duration(ms) * time.Millisecond)
	s.N++
	return os.Getpid(), nil
}

var (
	sleep      = manager.Method("sleep", (*sleeper).Sleep)
	newSleeper = manager.Constructor("newSleeper", func(context.Context, int) (*sleeper, error) { return &sleeper{}, nil })
)

var leaveMethods = xme.Register("leaveMethods", func(ctx context.Context, o *manager.Object[sleeper]) (int, error) {
	p, err := sleep.Call(ctx, o, 0)
	for range 20 {
		if _, err := sleep.Append(ctx, o, 200); err != nil {
			return 0, err
		}
	}
	return p, err
})

// A table ends though the manager's process dies, and comes back, while its guard has methods run that the rows have left.
func TestManagerComesBackWhileItDrains(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{Process: true, Restart: true})
	o, err := manager.ShareNew(ctx, m, "", newSleeper, 0)
	must(t, err)
	must(t, m.Keep(ctx))
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	var table xme.Table
	rows := leaveMethods.Add(&table, xme.Repeat(1, o))
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1, Idle: time.Second}}))
	go func() {
		for p, err := range rows.All() {
			<-time.After(time.Second)
			if err == nil {
				_ = syscall.Kill(p, syscall.SIGKILL)
			}
		}
	}()
	err = table.Run(ctx, pool)
	if ctx.Err() != nil {
		t.Errorf("the table's Run did not end by itself: %v", err)
	}
}

// A guard of the manager's last process does not come in the way of another's lease.
func TestGuardOfTheManagersLastProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{Process: true, Restart: true})
	o, err := manager.ShareNew(ctx, m, "", newSleeper, 0)
	must(t, err)
	must(t, m.Keep(ctx))
	p, err := sleep.Call(ctx, o, 0)
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}})
	for s := (manager.QueueState{}); !s.Guarded; {
		s, err = m.Queue().State(ctx)
		must(t, err)
	}
	slow.Go(ctx, m.Queue(), 2000)
	<-time.After(300 * time.Millisecond)
	must(t, syscall.Kill(p, syscall.SIGKILL))
	for {
		if _, err := m.Queue().State(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	<-time.After(3 * time.Second) // the first guard's function has ended
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if n, err := slow.Call(limited, m.Queue(), 5); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := g.Stop(limited); err != nil {
		t.Errorf("stop: %v", err)
	}
}

type crowd struct {
	O *manager.Object[counter]
	N int
}

var crowded = xme.Register("crowded", func(ctx context.Context, in crowd) (int, error) {
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			for range in.N {
				if _, err := add.Append(ctx, in.O, 1); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var all error
	for range cap(errs) {
		all = errors.Join(all, <-errs)
	}
	return 0, all
})

// Who waits for room gets it: nobody's append is given up but his own.
func TestAppendsThatWaitForRoomAreAccepted(t *testing.T) {
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 1})
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 4})
	must(t, err)
	defer pool.Close()
	each := 600
	if long.Wanted() {
		each = 3000
	}
	var fs []*xme.Future[int]
	for range 4 {
		fs = append(fs, crowded.Go(ctx, pool, crowd{o, each}))
	}
	for _, f := range fs {
		if _, err := f.Wait(ctx); err != nil {
			t.Errorf("%.300s", err.Error())
		}
	}
	_, err = g.Stop(ctx)
	must(t, err)
}

// A guard in a worker says that the manager was closed, as its report is documented.
func TestClosedIsWhatAGuardReports(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := manager.Open(ctx, manager.Options{})
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	must(t, err)
	defer pool.Close()
	f := manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}})
	for s := (manager.QueueState{}); !s.Guarded; {
		s, err = m.Queue().State(ctx)
		must(t, err)
	}
	<-time.After(100 * time.Millisecond)
	must(t, m.Close())
	if r, err := f.Wait(ctx); err != nil || r.Ended != "closed" {
		t.Errorf("%+v, %v", r, err)
	}
}

var lateSetup = xme.Register("lateSetup", func(_ context.Context, d time.Duration) (struct{}, error) {
	<-time.After(d)
	return struct{}{}, nil
})

var oneCall = xme.Register("oneCall", func(ctx context.Context, o *manager.Object[sleeper]) (int, error) {
	f, err := sleep.Append(ctx, o, 0)
	if err != nil {
		return 0, err
	}
	return f.Wait(ctx)
})

// A guard's process may take its time to set itself up.
func TestGuardWhoseSetupTakesLong(t *testing.T) {
	if !long.Wanted() {
		t.Skip("it takes long")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := openWith(t, manager.Options{})
	o, err := manager.ShareNew(ctx, m, "", newSleeper, 0)
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 1, Setup: lateSetup.Setup(11 * time.Second)})
	must(t, err)
	defer pool.Close()
	var table xme.Table
	rows := oneCall.Add(&table, xme.Repeat(1, o))
	manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}}))
	if err := table.Run(ctx, pool); err != nil {
		t.Error(err)
	}
	if _, err := rows.Values(); err != nil {
		t.Error(err)
	}
}

// appendsOn appends until it is refused, and leaves it to others what becomes of its calls.
var appendsOn = xme.Register("appendsOn", func(ctx context.Context, in crowd) (int, error) {
	errs := make(chan error, 32)
	for range cap(errs) {
		go func() {
			for {
				if _, err := add.Append(ctx, in.O, 1); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	var all error
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, manager.ErrGuardStopped) {
			all = errors.Join(all, err)
		}
	}
	return 0, all
})

// Calls are discarded while others wait for room.
func TestDiscardWhileOthersWaitForRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	ctx := t.Context()
	m := openWith(t, manager.Options{Queue: 16})
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	must(t, err)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	must(t, err)
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	must(t, err)
	defer pool.Close()
	var fs []*xme.Future[int]
	for range 2 {
		fs = append(fs, appendsOn.Go(ctx, pool, crowd{O: o}))
	}
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
		_, err := m.Queue().Discard(ctx)
		must(t, err)
		<-time.After(50 * time.Microsecond)
	}
	_, err = g.Stop(ctx)
	must(t, err)
	for _, f := range fs {
		if _, err := f.Wait(ctx); err != nil {
			t.Errorf("%.300s", err.Error())
		}
	}
}

var appendsSlowly = xme.Register("appendsSlowly", func(ctx context.Context, o *manager.Object[counter]) (int, error) {
	for range 40 {
		if _, err := add.Append(ctx, o, 1); err != nil {
			return 0, err
		}
		<-time.After(50 * time.Millisecond)
	}
	return 1, nil
})

// At the first Ctrl-C the rows that run finish: their guard stays as long as they do.
func TestFirstInterruptLeavesTheGuardToTheRowsThatRun(t *testing.T) {
	if !apart(t) {
		return
	}
	for name, on := range forms {
		t.Run(name, func(t *testing.T) {
			ctx, stop := xme.Interruptible(t.Context())
			defer stop()
			m := openWith(t, manager.Options{})
			o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
			must(t, err)
			var table xme.Table
			rows := appendsSlowly.Add(&table, xme.Repeat(1, o))
			manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}}))
			e := on(t)
			go func() {
				<-time.After(800 * time.Millisecond)
				_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
			}()
			_ = table.Run(ctx, e)
			if _, err := rows.Values(); err != nil {
				t.Errorf("a row that ran: %v", err)
			}
		})
	}
}

var goesOn = xme.Register("goesOn", func(ctx context.Context, m *manager.Manager) (int, error) {
	var all []*xme.Future[int]
	for range 4000 {
		all = append(all, double.Go(ctx, m.Queue(), 1))
	}
	for _, f := range all {
		if _, err := f.Wait(ctx); err != nil {
			return 0, err
		}
	}
	return len(all), nil
})

// Nothing is killed, stopped or full: functions are queued whose results may come before the answer to who queued them.
func TestResultsThatComeBeforeTheirAppendsAnswer(t *testing.T) {
	if !long.Wanted() {
		t.Skip("it takes long")
	}
	ctx := t.Context()
	m := openWith(t, manager.Options{})
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	must(t, err)
	defer pool.Close()
	for range 6 {
		var table xme.Table
		goesOn.Add(&table, xme.Repeat(4, m))
		manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: -1}}))
		if err := table.Run(ctx, pool); err != nil {
			t.Fatal(err)
		}
	}
}
