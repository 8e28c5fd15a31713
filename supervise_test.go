package xme_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme/internal/long"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// visit is what a task finds in its process.
type visit struct{ PID, Before int }

// visits counts the tasks that this process ran.
var visits int

var visitor = xme.Register("visitor", func(context.Context, int) (visit, error) {
	visits++
	return visit{os.Getpid(), visits - 1}, nil
})

// A Fresh row runs in a process that ran nothing before and runs nothing after it.
// feature: S12
func TestFresh(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.Options{
		"spare":    {Workers: 2},
		"no spare": {Workers: 2, Spares: -1},
		"pipes":    {Workers: 1, Link: xme.LinkPipe},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, o)
			seen := map[int]string{}
			rows := 0
			for i := range 4 {
				for kind, f := range map[string]*xme.Func[int, visit]{"warm": visitor, "fresh": visitor.With(xme.Fresh())} {
					for v, err := range f.Map(t.Context(), pool, count(3)) {
						rows++
						switch was := seen[v.PID]; {
						case err != nil:
							t.Fatal(err)
						case kind == "fresh" && (v.Before != 0 || was != ""):
							t.Errorf("round %d: a fresh row ran in a process that ran %d rows (%s)", i, v.Before, was)
						case kind == "warm" && was == "fresh":
							t.Errorf("round %d: a row ran in the process of a fresh one", i)
						}
						seen[v.PID] = kind
					}
				}
			}
			if rows != 24 {
				t.Errorf("%d rows", rows)
			}
			if s := pool.Stats(); s.Deaths != 0 {
				t.Errorf("%d processes count as dead, they were let go", s.Deaths)
			}
		})
	}
}

// leaving is a task that leaves a call of its own under way.
type leaving struct {
	Child string // a file, written once that has begun
	Own   gate
}

var (
	leavesCall = xme.Register("leavesCall", func(ctx context.Context, l leaving) (int, error) {
		lasts.Go(ctx, xme.Current(ctx), l.Child)
		_, err := l.Own.Wait.Read(make([]byte, 1))
		return os.Getpid(), err
	})

	// lasts writes a file, and lasts until its context ends.
	lasts = xme.Register("lasts", func(ctx context.Context, file string) (int, error) {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
)

// Nothing runs in the process of a Fresh row after it, also if its end has others taken back and handed out.
// feature: S12
func TestNothingFollowsAFreshRow(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2, Grace: patience})
	waitForRanks(t, pool, 2)
	for rank := range 2 { // both have a lane
		for range 3 {
			if _, err := square.With(xme.On(rank+1)).Call(t.Context(), pool, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, own, end := gates(t)
	begun := filepath.Join(t.TempDir(), "begun")
	fresh := leavesCall.With(xme.Fresh()).Go(t.Context(), pool, leaving{begun, own})
	wait(t, func() bool { _, err := os.Stat(begun); return err == nil })
	var after []*xme.Future[visit]
	for range 5 {
		after = append(after, visitor.Go(t.Context(), pool, 0))
	}
	_, _ = end.Write([]byte{0})
	pid, err := fresh.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range after {
		if v, err := f.Wait(t.Context()); err != nil || v.PID == pid {
			t.Errorf("%v, %v: in the process %d of the fresh row", v, err, pid)
		}
	}
}

// A worker is replaced after Recycle rows, and no row is lost.
// feature: S12
func TestRecycle(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2, Recycle: 5})
	rows := 0
	most := map[int]int{}
	for v, err := range visitor.Map(t.Context(), pool, count(100)) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		most[v.PID] = max(most[v.PID], v.Before+1)
	}
	if rows != 100 || len(most) < 20 {
		t.Errorf("%d rows in %d processes, want 100 in at least 20", rows, len(most))
	}
	for pid, n := range most {
		if n > 5 {
			t.Errorf("process %d ran %d rows", pid, n)
		}
	}
}

// A spare takes the place of a worker that dies, set up already: its set-up saw a
// rank above the pool's.
// feature: S12, U7
func TestSpareTakesThePlace(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: 1, Setup: setUpAs.Setup(true)})
	for i := range 5 {
		wait(t, func() bool { return pool.Stats().Spares == 1 })
		starts := pool.Stats().Starts
		if _, err := exit.Call(t.Context(), pool, 3); !errors.Is(err, xme.ErrWorkerLost) {
			t.Fatalf("round %d: %v", i, err)
		}
		if r, err := setUpAs.Call(t.Context(), pool, false); r < 2 || err != nil {
			t.Errorf("round %d: it was set up as rank %d, %v; want a spare's", i, r, err)
		}
		if r, err := rankOf.Call(t.Context(), pool, 0); r != 1 || err != nil {
			t.Errorf("round %d: it runs as rank %d, %v; want 1", i, r, err)
		}
		// One start alone, of the next spare.
		wait(t, func() bool { return pool.Stats().Spares == 1 })
		if n := pool.Stats().Starts - starts; n != 1 {
			t.Errorf("round %d: %d starts", i, n)
		}
	}
}

// The first spare waits for a moment in which a rank has nothing to do, but not for long: one whose ranks
// are all busy gets it too.
// feature: S12
func TestSpareBesideBusyRanks(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: 1})
	ctx, cancel := context.WithCancel(t.Context())
	row := untilEnd.Go(ctx, pool, 0)
	wait(t, func() bool { return pool.Stats().Spares == 1 })
	select {
	case <-row.Done():
		t.Error("the row has ended")
	default:
	}
	cancel()
	if _, err := row.Wait(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the row ended with %v", err)
	}
}

// setUpRank is the rank that this process had when it was set up.
var setUpRank int

var setUpAs = xme.Register("setUpAs", func(ctx context.Context, now bool) (int, error) {
	if now {
		setUpRank = xme.Rank(ctx)
	}
	return setUpRank, nil
})

var rankOf = xme.Register("rankOf", func(ctx context.Context, _ int) (int, error) { return xme.Rank(ctx), nil })

// A row that kills its workers is set aside though it has attempts left.
// feature: S12
func TestKillingRowIsSetAside(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	_, err := exit.With(xme.Retries(50)).Call(t.Context(), pool, 3)
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) || e.Attempt != 3 || !strings.Contains(err.Error(), "set aside") {
		t.Errorf("%v; want it set aside at the third attempt", err)
	}
	if d := pool.Stats().Deaths; d != 3 {
		t.Errorf("%d workers died, want 3", d)
	}
}

// Retries belong to the call that was accepted: Shutdown waits for them.
// feature: S12
func TestShutdownKeepsRetries(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	begun, g, release := gates(t)
	slow := pass.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	f := fails.With(xme.Retries(3)).Go(t.Context(), pool, 2)
	done := make(chan error, 1)
	go func() { done <- pool.Shutdown(t.Context()) }()
	wait(t, func() bool { // Shutdown lets nothing more in
		late := square.Go(t.Context(), pool, 1)
		late.Cancel()
		_, err := late.Wait(t.Context())
		return errors.Is(err, xme.ErrClosed)
	})
	_, _ = release.Write([]byte{0})
	if n, err := f.Wait(t.Context()); n != 2 || err != nil {
		t.Errorf("a call that succeeds at the third attempt: %d, %v", n, err)
	}
	if _, err := slow.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// failed counts attempts in this process.
var failed int

var fails = xme.Register("fails", func(_ context.Context, n int) (int, error) {
	if failed < n {
		failed++
		return 0, fmt.Errorf("attempt %d", failed)
	}
	return failed, nil
})

// Services run beside the pool's workers, however few; their contexts end with the
// table's other rows, and Run waits for them.
// feature: S8, S10, F25
func TestServicesInTable(t *testing.T) {
	t.Parallel()
	for name, open := range executors(1) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := open(t)
			begun, g, _ := gates(t)
			var tab xme.Table
			services := serves.With(xme.Service()).Add(&tab, xme.Split(func(i int) gate { return gate{Row: i, Said: g.Said} }, make(xme.Array[int], 3)))
			rows := square.Add(&tab, func(yield func(int) bool) {
				readBegun(t, begun, 3) // all three serve before the first ordinary row begins
				for i := range 100 {
					if !yield(i) {
						return
					}
				}
			})
			if err := tab.Run(t.Context(), on); err != nil {
				t.Fatal(err)
			}
			got, err := rows.Values()
			if err != nil || len(got) != 100 || got[9] != 81 {
				t.Errorf("rows: %v, %v", got, err)
			}
			stopped, err := services.Values()
			if err != nil || !slices.Equal(stopped, []int{100, 101, 102}) {
				t.Errorf("services: %v, %v", stopped, err)
			}
		})
	}
}

// serves says that it has begun and returns once its context ends.
var serves = xme.Register("serves", func(ctx context.Context, g gate) (int, error) {
	if _, err := g.Said.Write([]byte{byte(g.Row)}); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 100 + g.Row, nil
})

// A table of services alone runs until its context ends; services that return the
// context's error have not failed when the table told them to end.
// feature: S10
func TestServicesAlone(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	begun, g, _ := gates(t)
	var tab xme.Table
	serves.With(xme.Service()).Add(&tab, xme.Repeat(2, gate{Said: g.Said}))
	ran := make(chan error, 1)
	go func() { ran <- tab.Run(ctx, pool) }()
	readBegun(t, begun, 2)
	if n, err := square.Call(t.Context(), pool, 4); n != 16 || err != nil {
		t.Errorf("beside the services: %d, %v", n, err)
	}
	cancel()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	var over xme.Table
	obeys.With(xme.Service()).Add(&over, xme.Repeat(1, 0))
	square.Add(&over, count(3))
	if err := over.Run(t.Context(), pool); err != nil {
		t.Errorf("a service that returns its context's error: %v", err)
	}
	var dead xme.Table
	before := pool.Stats().Deaths
	exit.With(xme.Service()).Add(&dead, xme.Repeat(1, 4))
	square.Add(&dead, func(yield func(int) bool) {
		wait(t, func() bool { return pool.Stats().Deaths > before })
		yield(2)
	})
	if err := dead.Run(t.Context(), pool); !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("a service that dies: %v", err)
	}
}

var obeys = xme.Register("obeys", func(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
})

// Too many services are refused with the option that says how many there may be.
// feature: S10
func TestServicesBounded(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, MaxProcesses: 3, Spares: -1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, g, _ := gates(t)
	for range 2 {
		serves.With(xme.Service()).Go(ctx, pool, gate{Said: g.Said})
	}
	readBegun(t, begun, 2)
	if _, err := serves.With(xme.Service()).Call(ctx, pool, gate{Said: g.Said}); err == nil || !strings.Contains(err.Error(), "Options.MaxProcesses") {
		t.Errorf("a service too many: %v", err)
	}
	if n, err := square.Call(ctx, pool, 3); n != 9 || err != nil {
		t.Errorf("the workers: %d, %v", n, err)
	}
}

// fibonacci is the nested call that examples show: two calls under way at once.
var fibonacci *xme.Func[int, int]

func init() {
	fibonacci = xme.Register("fibonacci", func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		first := fibonacci.Go(ctx, xme.Current(ctx), n-1)
		second, err := fibonacci.Call(ctx, xme.Current(ctx), n-2)
		if err != nil {
			return 0, err
		}
		sum, err := first.Wait(ctx)
		return sum + second, err
	})
}

// feature: U7
func TestNestedCalls(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) xme.Executor{
		"one worker":  func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) },
		"two workers": func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 2, MaxProcesses: 24}) },
		"pipes":       func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1, Link: xme.LinkPipe}) },
		"in process":  func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := open(t)
			for n, want := range map[int]int{1: 1, 2: 1, 7: 13, 8: 21} {
				if got, err := fibonacci.Call(t.Context(), on, n); got != want || err != nil {
					t.Errorf("fib(%d) = %d, %v; want %d", n, got, err, want)
				}
			}
		})
	}
}

// Every way to wait for a nested call lends the slot: with one worker any that did
// not would hang.
// feature: U7
func TestNestedWaysToWait(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for _, how := range []string{"call", "wait", "done", "map", "unordered", "table", "goroutines", "polled"} {
		if n, err := nests.Call(t.Context(), pool, how); n != 4+9+16 || err != nil {
			t.Errorf("%s: %d, %v", how, n, err)
		}
	}
	wait(t, func() bool { return pool.Stats().Running == 0 })
}

var nests = xme.Register("nests", func(ctx context.Context, how string) (sum int, err error) {
	here := xme.Current(ctx)
	in := []int{2, 3, 4}
	add := func(n int, e error) {
		sum += n
		err = errors.Join(err, e)
	}
	switch how {
	case "call":
		for _, n := range in {
			add(square.Call(ctx, here, n))
		}
	case "map":
		for n, e := range square.Map(ctx, here, slices.Values(in)) {
			add(n, e)
		}
	case "unordered":
		for r := range square.Unordered(ctx, here, slices.Values(in)) {
			add(r.Value, r.Err)
		}
	case "table":
		var tab xme.Table
		rows := square.Add(&tab, slices.Values(in))
		add(0, tab.Run(ctx, here))
		for n, e := range rows.All() {
			add(n, e)
		}
	case "goroutines":
		sums := make(chan int, len(in))
		for _, n := range in {
			go func() {
				v, _ := square.Call(ctx, here, n)
				sums <- v
			}()
		}
		for range in {
			add(<-sums, nil)
		}
	default:
		var fs []*xme.Future[int]
		for _, n := range in {
			fs = append(fs, square.Go(ctx, here, n))
		}
		for _, f := range fs {
			switch how {
			case "done":
				<-f.Done()
			case "polled":
				for polling := true; polling; runtime.Gosched() {
					select {
					case <-f.Done():
						polling = false
					default:
					}
				}
			}
			add(f.Wait(ctx))
		}
	}
	return sum, err
})

// At most Workers tasks run that do not wait for calls of their own.
// feature: U7
func TestNestedKeepToTheWorkers(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			pool := xmetest.OpenInProcess(t, xme.Options{Workers: workers, MaxProcesses: 40})
			for n, err := range spreads.Map(t.Context(), pool, xme.Repeat(6, spread{Depth: 2, Workers: workers})) {
				if err != nil || n != 9 {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
}

type spread struct{ Depth, Workers int }

var spreads *xme.Func[spread, int]

func init() {
	spreads = xme.Register("spreads", func(ctx context.Context, s spread) (int, error) {
		if s.Depth > 0 {
			s.Depth--
			sum := 0
			for n, err := range spreads.Map(ctx, xme.Current(ctx), xme.Repeat(3, s)) {
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}
		n := counters[s.Workers].Add(1)
		defer counters[s.Workers].Add(-1)
		for range 50 {
			runtime.Gosched()
		}
		if n > int64(s.Workers) {
			return 0, fmt.Errorf("%d leaves run at once", n)
		}
		return 1, nil
	})
}

// counters counts the leaves that run, by the pool's workers.
var counters [3]atomic.Int64

// Nested calls that can never run end at once with ErrDepth, and say how they came
// to be; the pool works on.
// feature: U7
func TestNestedTooDeep(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, MaxProcesses: 4, Spares: -1})
	if n, err := descends.Call(t.Context(), pool, 3); n != 3 || err != nil {
		t.Errorf("three deep: %d, %v", n, err)
	}
	_, err := descends.Call(t.Context(), pool, 30)
	if !errors.Is(err, xme.ErrDepth) || !strings.Contains(err.Error(), "descends → ") || !strings.Contains(err.Error(), "Options.MaxProcesses") {
		t.Errorf("thirty deep: %v", err)
	}
	if n, err := square.Call(t.Context(), pool, 5); n != 25 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	wait(t, func() bool { return pool.Stats().Processes == 1 }) // the others were let go
}

var descends *xme.Func[int, int]

func init() {
	descends = xme.Register("descends", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		below, err := descends.Call(ctx, xme.Current(ctx), n-1)
		return below + 1, err
	})
}

// A nested call for a rank that cannot be had ends at once; so do calls of tasks that
// wait for each other's ranks.
// feature: U7
func TestNestedOnRanks(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	waitForRanks(t, pool, 2)
	if n, err := crosses.With(xme.On(1)).Call(t.Context(), pool, []int{2}); n != 2 || err != nil {
		t.Errorf("on the other rank: %d, %v", n, err)
	}
	if _, err := crosses.With(xme.On(1)).Call(t.Context(), pool, []int{1}); !errors.Is(err, xme.ErrDepth) {
		t.Errorf("on its own rank: %v", err)
	}
	if _, err := crosses.With(xme.On(1)).Call(t.Context(), pool, []int{9}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("on no rank: %v", err)
	}
	if _, err := crosses.With(xme.On(1)).Call(t.Context(), pool, []int{2, 1}); !errors.Is(err, xme.ErrDepth) || !strings.Contains(err.Error(), "wait for each other") {
		t.Errorf("there and back: %v", err)
	}
}

var crosses *xme.Func[[]int, int]

func init() {
	crosses = xme.Register("crosses", func(ctx context.Context, ranks []int) (int, error) {
		if len(ranks) == 0 {
			return xme.Rank(ctx), nil
		}
		return crosses.With(xme.On(ranks[0])).Call(ctx, xme.Current(ctx), ranks[1:])
	})
}

// What a task leaves under way ends with it, and calls after its end are refused.
// feature: U7
func TestNestedEndWithTheTask(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for range 3 {
		if n, err := leaves.Call(t.Context(), pool, 0); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	wait(t, func() bool { s := pool.Stats(); return s.Running == 0 && s.Queued == 0 })
	if msg, err := leftBehind.Call(t.Context(), pool, 0); err != nil || !strings.Contains(msg, "the task that called has ended") {
		t.Errorf("a call of a task that has ended: %q, %v", msg, err)
	}
}

// kept is the executor of a task that has ended.
var kept xme.Executor

var leaves = xme.Register("leaves", func(ctx context.Context, _ int) (int, error) {
	kept = xme.Current(ctx)
	obeys.Go(ctx, kept, 0)
	return 1, nil
})

var leftBehind = xme.Register("leftBehind", func(ctx context.Context, _ int) (string, error) {
	_, err := square.Call(ctx, kept, 1)
	return fmt.Sprint(err), nil
})

// Errors of nested calls keep their cause and identity on both ways.
// feature: S12, U7
func TestNestedErrors(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	_, err := nestedExit.Call(t.Context(), pool, 6)
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(e.Message, "exit status 6") {
		t.Errorf("a nested call whose worker dies: %v", err)
	}
	if n, err := square.Call(t.Context(), pool, 5); n != 25 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

var nestedExit = xme.Register("nestedExit", func(ctx context.Context, code int) (int, error) {
	return exit.Call(ctx, xme.Current(ctx), code)
})

// A task may open a pool of its own.
// feature: U7
func TestPoolInTask(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for range 2 {
		if n, err := opens.Call(t.Context(), pool, 7); n != 49 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
}

var opens = xme.Register("opens", func(ctx context.Context, n int) (int, error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	return square.Call(ctx, pool, n)
})

// A thousand pools, two at a time, leave nothing: no process, no descriptor. xmetest.Main looks for the
// rest.
// feature: F12
func TestManyPools(t *testing.T) {
	pools := 150 // a descriptor left by one in five is more than others have
	switch {
	case raced:
		pools = 30
	case long.Wanted():
		pools = 1000
	}
	open := func() int {
		list, _ := os.ReadDir("/proc/self/fd")
		return len(list)
	}
	before := open()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= pools && !t.Failed(); i = int(next.Add(1)) {
				pool, err := xme.Open(t.Context(), xme.Options{Workers: 1 + i%3, Spares: i % 2})
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := square.Call(t.Context(), pool, i); n != i*i || err != nil {
					t.Errorf("pool %d: %d, %v", i, n, err)
				}
				if err := pool.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if after := open(); after > before+20 { // other tests have theirs
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}
