package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
	"github.com/xenonmp/xme/xmetest"
)

// patience bounds waits: only against hanging.
const patience = time.Minute

// pair is what distance takes.
type pair struct{ A, B [2]float64 }

// doors are two pipes: a task writes a byte into the one, and waits for one from the other.
type doors struct{ Said, Wait *os.File }

var (
	square   = xme.Register("run.square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	whoAmI   = xme.Register("run.rank", func(ctx context.Context, _ int) (int, error) { return xme.Rank(ctx), nil })
	distance = xme.Register("run.distance", func(_ context.Context, p pair) (float64, error) {
		x, y := p.A[0]-p.B[0], p.A[1]-p.B[1]
		return x*x + y*y, nil
	})
	knock = xme.Register("run.knock", func(ctx context.Context, d doors) (int, error) {
		if _, err := d.Said.Write([]byte{1}); err != nil {
			return 0, err
		}
		_, err := d.Wait.Read(make([]byte, 1))
		return xme.Rank(ctx), err
	})
	hang = xme.Register("run.hang", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	die   = xme.Register("run.die", func(_ context.Context, code int) (int, error) { os.Exit(code); return 0, nil })
	nests = xme.Register("run.nests", func(ctx context.Context, n int) (int, error) {
		sum, on := 0, xme.Current(ctx)
		var fs []*xme.Future[int]
		for i := range n {
			fs = append(fs, square.Go(ctx, on, i))
		}
		for _, f := range fs {
			v, err := f.Wait(ctx)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	})
	aims = xme.Register("run.aims", func(ctx context.Context, on []int) (int, error) {
		return whoAmI.With(xme.On(on...)).Call(ctx, xme.Current(ctx), 0)
	})
)

// run runs main on a communicator and checks what comes of it.
func run(t *testing.T, o mpi.Options, main func(ctx context.Context, c *mpi.Comm)) {
	t.Helper()
	err := mpi.Run(t.Context(), o, func(ctx context.Context, c *mpi.Comm) error {
		main(ctx, c)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// open returns the pipes of doors: what is said, and where to let tasks go on.
func open(t *testing.T) (d doors, said, release *os.File) {
	t.Helper()
	said, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{said, in, wait, release} {
			_ = f.Close()
		}
	})
	return doors{in, wait}, said, release
}

// begun waits until n tasks have knocked.
func begun(t *testing.T, said *os.File, n int) {
	t.Helper()
	_ = said.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(said, make([]byte, n)); err != nil {
		t.Errorf("waiting for %d tasks to begin: %v", n, err)
	}
}

func letGo(release *os.File, n int) { _, _ = release.Write(make([]byte, n)) }

// wait waits until something is so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Errorf("waited in vain: %s", what)
			return
		}
	}
}

func allUp(t *testing.T, c *mpi.Comm) {
	t.Helper()
	wait(t, "ranks that are alive", func() bool {
		return !slices.ContainsFunc(c.Workers(), func(w xme.Worker) bool { return w.State == xme.Starting })
	})
}

// wantErr checks an error, and what it says.
func wantErr(t *testing.T, what string, err, target error, says ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Errorf("%s: %v, want one that is %v", what, err, target)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %q does not say %q", what, err, s)
		}
	}
}

// A communicator is an executor like others.
//
// feature: P1, P3, P5, P6, S11
func TestRunExercise(t *testing.T) {
	for name, o := range map[string]mpi.Options{
		"3 ranks": {Size: 3}, "buffer of 2": {Size: 2, Buffer: 2}, "pipes": {Size: 3, Pool: xme.Options{Link: xme.LinkPipe}},
	} {
		t.Run(name, func(t *testing.T) {
			xmetest.Exercise(t, func(t *testing.T) xme.Executor { return openComm(t, o) })
		})
	}
}

// openComm returns the communicator of a Run that lasts as long as t.
func openComm(t *testing.T, o mpi.Options) *mpi.Comm {
	t.Helper()
	got, done, end := make(chan *mpi.Comm), make(chan error, 1), make(chan struct{})
	go func() {
		done <- mpi.Run(context.WithoutCancel(t.Context()), o, func(ctx context.Context, c *mpi.Comm) error {
			got <- c
			<-end
			return nil
		})
	}()
	select {
	case c := <-got:
		t.Cleanup(func() {
			close(end)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return c
	case err := <-done:
		t.Fatal(err)
		return nil
	}
}

// What main returns is what Run returns; what it captures are its arguments and results.
//
// feature: P1, P2
func TestRun(t *testing.T) {
	t.Parallel()
	points := [][2]float64{{0, 0}, {3, 0}, {0, 4}}
	right := false
	failed := errors.New("main's own")
	err := mpi.Run(t.Context(), mpi.Options{Size: 3}, func(ctx context.Context, c *mpi.Comm) error {
		if c.Rank() != 0 || c.Size() != 3 {
			t.Errorf("rank %d of %d", c.Rank(), c.Size())
		}
		byName, err := xme.Lookup[pair, float64]("run.distance")
		if err != nil {
			return err
		}
		if _, err := xme.Lookup[int, float64]("run.distance"); err == nil || !strings.Contains(err.Error(), "int") {
			t.Errorf("a function of other types: %v", err)
		}
		near := byName.Go(ctx, c, pair{points[0], points[1]})
		far := distance.With(xme.On(2)).Go(ctx, c, pair{points[0], points[2]})
		long, err := distance.Call(ctx, c, pair{points[1], points[2]})
		if err != nil {
			return err
		}
		a, err1 := near.Wait(ctx)
		b, err2 := far.Wait(ctx)
		right = a+b == long
		return errors.Join(err1, err2, failed)
	})
	if !right || !errors.Is(err, failed) {
		t.Errorf("right %v, %v", right, err)
	}
	err = mpi.Run(t.Context(), mpi.Options{Size: 2}, func(context.Context, *mpi.Comm) error { return failed })
	if err != failed { //nolint:errorlint // as it is
		t.Errorf("%v, want main's error itself", err)
	}
	run(t, mpi.Options{}, func(_ context.Context, c *mpi.Comm) {
		if c.Size() < 2 || len(c.Workers()) != c.Size()-1 {
			t.Errorf("size %d, %d workers", c.Size(), len(c.Workers()))
		}
	})
}

// Options that make no sense are refused, with what to do, and main does not run.
//
// feature: P1, P4
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	ended, stop := context.WithCancel(t.Context())
	stop()
	main := func(context.Context, *mpi.Comm) error { t.Error("main runs"); return nil }
	for name, tc := range map[string]struct {
		ctx  context.Context
		o    mpi.Options
		main func(context.Context, *mpi.Comm) error
		says string
	}{
		"one rank":    {t.Context(), mpi.Options{Size: 1}, main, "give 2 or more"},
		"negative":    {t.Context(), mpi.Options{Size: -2}, main, "Size is -2: give how many ranks there are"},
		"buffer":      {t.Context(), mpi.Options{Buffer: -1}, main, "Buffer is -1: give how many"},
		"workers":     {t.Context(), mpi.Options{Pool: xme.Options{Workers: 2}}, main, "Size says how many"},
		"queue":       {t.Context(), mpi.Options{Pool: xme.Options{Queue: 2}}, main, "Buffer says"},
		"too many":    {t.Context(), mpi.Options{Size: 1 << 20}, main, "at most"},
		"no main":     {t.Context(), mpi.Options{Size: 2}, nil, "main is nil"},
		"its context": {ended, mpi.Options{Size: 2}, main, "context canceled"},
	} {
		wantErr(t, name, mpi.Run(tc.ctx, tc.o, tc.main), nil, "mpi: Run: ", tc.says)
	}
}

// A call goes to any rank, to one, to one of some, or to all; other ranks are errors at once.
//
// feature: P3, F7, F24
func TestRunTargets(t *testing.T) {
	t.Parallel()
	run(t, mpi.Options{Size: 4}, func(ctx context.Context, c *mpi.Comm) {
		allUp(t, c)
		ranksOf := func(fs []*xme.Future[int]) (ranks []int) {
			for _, f := range fs {
				r, err := f.Wait(ctx)
				if err != nil {
					t.Error(err)
				}
				ranks = append(ranks, r)
			}
			return ranks
		}
		for r := 1; r < 4; r++ { // a call to one rank, waited for
			if n, err := whoAmI.With(xme.On(r)).Call(ctx, c, 0); n != r || err != nil {
				t.Errorf("on %d: %d, %v", r, n, err)
			}
		}
		d, said, release := open(t)
		slow := knock.With(xme.On(3)).Go(ctx, c, d)
		begun(t, said, 1)
		if n, err := whoAmI.With(xme.On(3, 1)).Call(ctx, c, 0); n != 1 || err != nil {
			t.Errorf("on 3, which is busy, or 1: %d, %v", n, err)
		}
		letGo(release, 1)
		if n, err := slow.Wait(ctx); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if got := ranksOf(whoAmI.With(xme.On(3, 1)).Broadcast(ctx, c, 0)); !slices.Equal(got, []int{3, 1}) {
			t.Errorf("a broadcast on 3 and 1 ran on %v", got)
		}
		if got := ranksOf(whoAmI.Broadcast(ctx, c, 0)); !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("a broadcast on all ran on %v", got)
		}
		if err := c.Close(2); err != nil {
			t.Error(err)
		}
		if got := ranksOf(whoAmI.Broadcast(ctx, c, 0)); !slices.Equal(got, []int{1, 3}) {
			t.Errorf("a broadcast on all open ran on %v", got)
		}
		for says, on := range map[string][]int{
			"rank 0 is main": {0}, "rank 0 is main, ": {1, 0}, "rank 4 does not exist": {4}, "rank -1 does not exist": {-1}, "rank 1099511627776": {1 << 40, 1}, "rank 2 is closed": {2, 2},
		} {
			_, err := whoAmI.With(xme.On(on...)).Call(ctx, c, 0)
			wantErr(t, says, err, nil, says)
			_, err = aims.Call(ctx, c, on) // in a task
			wantErr(t, says, err, nil, says)
			_, err = whoAmI.With(xme.On(on...)).Broadcast(ctx, c, 0)[len(on)-1].Wait(ctx)
			if on[len(on)-1] != 1 {
				wantErr(t, says, err, nil, says)
			}
		}
		if n, err := whoAmI.With(xme.On()).Call(ctx, c, 0); n < 1 || err != nil {
			t.Errorf("on no rank, which is any: %d, %v", n, err)
		}
		if n, err := aims.With(xme.On(1)).Call(ctx, c, []int{3, 3}); n != 3 || err != nil {
			t.Errorf("a task's call: %d, %v", n, err)
		}
	})
}

// A bad rank is an error at once, also when the buffer is full.
//
// feature: P3, P4
func TestRunBadRankWaitsForNothing(t *testing.T) {
	t.Parallel()
	run(t, mpi.Options{Size: 3, Buffer: 1}, func(ctx context.Context, c *mpi.Comm) {
		allUp(t, c)
		if err := c.Close(2); err != nil {
			t.Error(err)
		}
		d, said, release := open(t)
		slow := knock.Go(ctx, c, d)
		begun(t, said, 1)
		for _, r := range []int{0, 2, 3} {
			_, err := whoAmI.With(xme.On(r)).Call(ctx, c, 0)
			wantErr(t, fmt.Sprint("rank ", r), err, nil, fmt.Sprint("rank ", r))
		}
		letGo(release, 1)
		if _, err := slow.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Many more calls than the buffer holds, from one goroutine and from many, whose results
// nobody asks for, or asks for late; calls made in tasks take no room.
//
// feature: P4, F3
func TestRunBuffer(t *testing.T) {
	t.Parallel()
	for _, buffer := range []int{1, 2, 0} {
		run(t, mpi.Options{Size: 3, Buffer: buffer}, func(ctx context.Context, c *mpi.Comm) {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					var fs []*xme.Future[int]
					for i := range 100 {
						fs = append(fs, square.Go(ctx, c, g*i))
					}
					fs = append(fs, nests.Go(ctx, c, 5))
					for i, f := range fs[:100] {
						if n, err := f.Wait(ctx); n != g*i*g*i || err != nil {
							t.Errorf("%d², %d, %v", g*i, n, err)
						}
					}
					if n, err := fs[100].Wait(ctx); n != 30 || err != nil {
						t.Errorf("calls made in a task: %d, %v", n, err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// The buffer's bound is exact: what is beyond it waits, as long as its context lasts, and
// goes on when a call has ended, whether its result was asked for or not.
//
// feature: P4
func TestRunBufferBound(t *testing.T) {
	t.Parallel()
	run(t, mpi.Options{Size: 3, Buffer: 3}, func(ctx context.Context, c *mpi.Comm) {
		d, said, release := open(t)
		var fs []*xme.Future[int]
		for range 3 {
			fs = append(fs, knock.Go(ctx, c, d))
		}
		begun(t, said, 2)
		short, stop := context.WithCancel(ctx)
		blocked := make(chan *xme.Future[int])
		go func() { blocked <- knock.Go(short, c, d) }()
		go func() { blocked <- knock.Go(ctx, c, d) }()
		if s := c.Stats(); s.Queued+s.Running != 3 {
			t.Errorf("%d calls are under way", s.Queued+s.Running)
		}
		stop()
		if _, err := (<-blocked).Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("no room and no time: %v", err)
		}
		select {
		case <-blocked:
			t.Error("a fourth call was accepted")
		default:
		}
		letGo(release, 1)
		last := <-blocked // there is room, though nobody has asked for the result
		letGo(release, 3)
		for _, f := range append(fs, last) {
			if _, err := f.Wait(ctx); err != nil {
				t.Error(err)
			}
		}
	})
}

// The zero Options: main and as many ranks as make up the CPUs, one at least, and 255 calls under way.
//
// feature: P1, P4
func TestRunDefaults(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{})
	cpus := len(pool.Workers())
	run(t, mpi.Options{}, func(ctx context.Context, c *mpi.Comm) {
		if c.Size() != max(2, cpus) || len(c.Ranks()) != c.Size()-1 || c.Rank() != 0 {
			t.Errorf("%v with ranks %v, on %d CPUs", c, c.Ranks(), cpus)
		}
		calls, stop := context.WithCancel(ctx)
		defer stop()
		for range 255 {
			hang.Go(calls, c, 0)
		}
		if s := c.Stats(); s.Queued+s.Running != 255 {
			t.Errorf("%d calls are under way", s.Queued+s.Running)
		}
		short, end := context.WithTimeout(ctx, 20*time.Millisecond)
		defer end()
		if _, err := hang.Go(short, c, 0).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more: %v", err)
		}
		if s := c.Stats(); s.Queued+s.Running != 255 {
			t.Errorf("%d calls are under way", s.Queued+s.Running)
		}
	})
}

// A future is waited for from several goroutines, again, after its rank is closed and after
// Run; what a wait's context ends is the wait.
//
// feature: P5
func TestRunFutures(t *testing.T) {
	t.Parallel()
	var kept, left *xme.Future[int]
	stop := errors.New("stop")
	err := mpi.Run(t.Context(), mpi.Options{Size: 2}, func(ctx context.Context, c *mpi.Comm) error {
		d, said, release := open(t)
		f := knock.Go(ctx, c, d)
		begun(t, said, 1)
		short, end := context.WithCancel(ctx)
		end()
		if _, err := f.Wait(short); !errors.Is(err, context.Canceled) {
			t.Errorf("a wait whose context has ended: %v", err)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				for range 3 {
					if n, err := f.Wait(ctx); n != 1 || err != nil {
						t.Errorf("%d, %v", n, err)
					}
				}
			})
		}
		letGo(release, 1)
		wg.Wait()
		kept, left = f, hang.Go(context.Background(), c, 0)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
	if n, err := kept.Wait(t.Context()); n != 1 || err != nil {
		t.Errorf("a result that is there, after Run: %d, %v", n, err)
	}
	_, err = left.Wait(t.Context())
	wantErr(t, "a call that Run has cut short", err, xme.ErrClosed)
}

// Main's first word reaches every rank, though most are still being started.
//
// feature: P6, P8
func TestRunBroadcastsAtOnce(t *testing.T) {
	t.Parallel()
	const size = 9
	run(t, mpi.Options{Size: size}, func(ctx context.Context, c *mpi.Comm) {
		want := make([]int, size-1)
		for i := range want {
			want[i] = i + 1
		}
		if got := c.Ranks(); !slices.Equal(got, want) {
			t.Errorf("ranks %v", got)
		}
		fs := whoAmI.Broadcast(ctx, c, 0)
		if len(fs) != size-1 {
			t.Errorf("%d futures", len(fs))
		}
		for i, f := range fs {
			if r, err := f.Wait(ctx); r != i+1 || err != nil {
				t.Errorf("future %d: rank %d, %v", i, r, err)
			}
		}
		if err := c.Close(3); err != nil {
			t.Error(err)
		}
		if slices.Contains(c.Ranks(), 3) || len(whoAmI.Broadcast(ctx, c, 0)) != size-2 {
			t.Errorf("after the end of rank 3 there are %v", c.Ranks())
		}
	})
}

// A rank that dies is replaced under its number, and only its own future fails.
//
// feature: P6, P8, F7
func TestRunDeadRank(t *testing.T) {
	t.Parallel()
	run(t, mpi.Options{Size: 4}, func(ctx context.Context, c *mpi.Comm) {
		allUp(t, c)
		old := c.Workers()[1].PID
		for _, f := range []*xme.Future[int]{die.With(xme.On(2)).Go(ctx, c, 3), die.With(xme.On(2)).Go(ctx, c, 4)} {
			_, err := f.Wait(ctx)
			wantErr(t, "a rank that exits", err, xme.ErrWorkerLost, "rank 2")
		}
		d, said, release := open(t)
		fs := knock.Broadcast(ctx, c, d) // on rank 2 too, which has just died
		if len(fs) != 3 {
			t.Fatalf("%d futures", len(fs))
		}
		begun(t, said, len(fs))
		lost := fs[len(fs)-1]
		w := c.Workers()[2]
		if p, err := os.FindProcess(w.PID); err != nil || p.Kill() != nil {
			t.Error(err)
		}
		_, err := lost.Wait(ctx)
		wantErr(t, "a rank that is killed", err, xme.ErrWorkerLost, "rank 3")
		letGo(release, len(fs)-1)
		for i, f := range fs[:len(fs)-1] {
			if _, err := f.Wait(ctx); err != nil {
				t.Errorf("future %d: %v", i, err)
			}
		}
		for r := 1; r < 4; r++ {
			if n, err := whoAmI.With(xme.On(r)).Call(ctx, c, 0); n != r || err != nil {
				t.Errorf("on %d: %d, %v", r, n, err)
			}
		}
		if ws := c.Workers(); ws[1].PID == old || ws[2].PID == w.PID {
			t.Errorf("%+v, want other processes than %d and %d", ws, old, w.PID)
		}
	})
}
