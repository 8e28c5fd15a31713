package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// entry is an item that holds pointers.
type entry struct {
	Name string
	Tags []string
}

type numbers struct {
	From, To *shm.Queue[int]
	N        int
}

var (
	// squares takes numbers until there are no more, and puts their squares.
	squares = xme.Register("squares", func(ctx context.Context, in numbers) (int, error) {
		n := 0
		for v, err := range in.From.All(ctx) {
			if err != nil {
				return n, err
			}
			if err := in.To.Put(ctx, v*v); err != nil {
				return n, err
			}
			if err := in.From.Done(1); err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
	names = xme.Register("names", func(ctx context.Context, q *shm.Queue[entry]) (string, error) {
		e, err := q.Get(ctx)
		if err != nil {
			return "", err
		}
		e.Name, e.Tags = e.Name+"!", append(e.Tags, "seen")
		return fmt.Sprint(e), q.Put(ctx, e)
	})
	// takeAndDie takes some items and ends its process.
	takeAndDie = xme.Register("takeAndDie", func(ctx context.Context, in numbers) (int, error) {
		for range in.N {
			if _, err := in.From.Get(ctx); err != nil {
				return 0, err
			}
		}
		return 0, killSelf()
	})
	// waitFor says that it has begun and waits in a queue where nothing comes; somebody kills it there.
	waitFor = xme.Register("waitFor", func(ctx context.Context, in numbers) (int, error) {
		if err := in.To.Put(ctx, 1); err != nil {
			return 0, err
		}
		return in.From.Get(ctx)
	})
	echo = xme.Register("echo", func(ctx context.Context, p *shm.Pipe[string]) (int, error) {
		defer func() { _ = p.End() }()
		n := 0
		for s, err := range p.All(ctx) {
			if err != nil {
				return n, err
			}
			if err := p.Send(ctx, strings.ToUpper(s)); err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
	hangUp = xme.Register("hangUp", func(ctx context.Context, p *shm.Pipe[string]) (int, error) {
		s, err := p.Recv(ctx)
		if err != nil {
			return 0, err
		}
		if err := p.Send(ctx, s+"?"); err != nil {
			return 0, err
		}
		return 0, killSelf()
	})
	// endAndDie sends what it has, ends, and ends its process.
	endAndDie = xme.Register("endAndDie", func(ctx context.Context, p *shm.Pipe[string]) (int, error) {
		if err := errors.Join(p.Send(ctx, "all of it"), p.End()); err != nil {
			return 0, err
		}
		return 0, killSelf()
	})
	count = xme.Register("count", func(_ context.Context, in counters) (int, error) {
		for range in.N {
			shm.Add(in.Small, 1)
			in.Big.Update(func(v triple) triple { return triple{v.A + 1, v.B + 2, v.C + 3} })
		}
		return in.N, nil
	})
	makesQueue = xme.Register("makesQueue", func(ctx context.Context, n int) (*shm.Queue[int], error) {
		q, err := shm.NewQueue[int](n)
		if err != nil {
			return nil, err
		}
		for i := range n {
			if err := q.Put(ctx, i); err != nil {
				return nil, err
			}
		}
		return q, nil
	})
)

// killSelf ends this process as the kernel would.
func killSelf() error {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err == nil {
		select {} // until it has arrived
	}
	return err
}

type triple struct{ A, B, C int64 }

type counters struct {
	Small *shm.Value[int64]
	Big   *shm.Value[triple]
	N     int
}

func newQueue[T any](t *testing.T, n int) *shm.Queue[T] {
	t.Helper()
	q, err := shm.NewQueue[T](n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestQueue has two tasks share the items of one queue, and put into another.
//
// feature: M1, M4
func TestQueue(t *testing.T) {
	for name, open := range forms {
		if name == "inline" {
			continue // one task at a time
		}
		t.Run(name, func(t *testing.T) {
			on := open(t)
			from, to := newQueue[int](t, 10), newQueue[int](t, 5)
			var tasks []*xme.Future[int]
			for range 2 {
				tasks = append(tasks, squares.Go(t.Context(), on, numbers{From: from, To: to}))
			}
			const n = 500
			var feed sync.WaitGroup
			feed.Go(func() {
				for i := range n {
					if err := from.Put(t.Context(), i); err != nil {
						t.Error(err)
					}
				}
				if err := from.Join(t.Context()); err != nil {
					t.Error(err)
				}
				if err := errors.Join(from.End(), to.End()); err != nil {
					t.Error(err)
				}
			})
			got := map[int]bool{}
			for v, err := range to.All(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				got[v] = true
			}
			feed.Wait()
			total := 0
			for _, f := range tasks {
				k, err := f.Wait(t.Context())
				if err != nil {
					t.Error(err)
				}
				total += k
			}
			if total != n || len(got) != n || !got[(n-1)*(n-1)] {
				t.Errorf("%d items, %d results", total, len(got))
			}
			if err := from.Put(t.Context(), 1); !errors.Is(err, shm.ErrEnded) {
				t.Errorf("put after the end: %v", err)
			}
		})
	}
}

func TestQueueOfPointers(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		q := newQueue[entry](t, 4)
		if err := q.Put(t.Context(), entry{"pear", []string{"ripe"}}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := names.Call(t.Context(), on, q); err != nil {
				t.Fatal(err)
			}
		}
		e, err := q.Get(t.Context())
		if err != nil || e.Name != "pear!!!" || !slices.Equal(e.Tags, []string{"ripe", "seen", "seen", "seen"}) {
			t.Errorf("%v, %v", e, err)
		}
	})
}

func TestQueueAsResult(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		q, err := makesQueue.Call(t.Context(), on, 5)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		got := make([]int, 10)
		n, err := q.GetSome(t.Context(), got)
		if n != 5 || err != nil || !slices.Equal(got[:5], []int{0, 1, 2, 3, 4}) || q.Cap() != 5 {
			t.Errorf("%d, %v, %v", n, got, err)
		}
	})
}

// TestQueueSurvivesWorkers has workers die with items, and while they wait.
func TestQueueSurvivesWorkers(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		q := newQueue[int](t, 10)
		if _, err := q.PutAll(t.Context(), []int{1, 2, 3, 4, 5}); err != nil {
			t.Fatal(err)
		}
		if _, err := takeAndDie.Call(t.Context(), pool, numbers{From: q, N: 2}); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		if v, err := q.Get(t.Context()); v != 3 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		for range 2 {
			if _, err := q.Get(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := q.Done(3); err != nil {
			t.Error(err)
		}
		var lost *shm.LostError
		if err := q.Join(t.Context()); !errors.As(err, &lost) || lost.Items != 2 {
			t.Errorf("joined with %v", err)
		}
		// One that waits has the lock of who gets.
		begun := newQueue[int](t, 1)
		f := waitFor.With(xme.On(1)).Go(t.Context(), pool, numbers{From: q, To: begun})
		if _, err := begun.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		xmetest.Kill(t, pool, 1)
		if _, err := f.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		if err := q.Put(t.Context(), 9); err != nil {
			t.Error(err)
		}
		if v, err := q.Get(t.Context()); v != 9 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}

// TestQueueWaits ends waits by contexts, Close and the end of a task.
func TestQueueWaits(t *testing.T) {
	q := newQueue[int](t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 10)
	go func() { _, err := q.Get(ctx); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if ok, err := q.TryPut(1); !ok || err != nil {
		t.Error(ok, err)
	}
	ctx, cancel = context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("enough"))
	defer cancel()
	if n, err := q.PutAll(ctx, []int{2, 3}); n != 0 || err == nil || err.Error() != "enough" {
		t.Errorf("%d, %v", n, err)
	}
	if v, ok, err := q.TryGet(); v != 1 || !ok || err != nil {
		t.Error(v, ok, err)
	}
	for range 3 {
		go func() { _, err := q.Get(t.Context()); ended <- err }()
		go func() { ended <- q.Join(t.Context()) }()
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	for range 6 {
		if err := <-ended; !errors.Is(err, shm.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
	if err := q.Put(t.Context(), 1); !errors.Is(err, shm.ErrClosed) || q.Len() != 0 {
		t.Errorf("closed: %v", err)
	}
	if _, err := q.Retain(); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestQueueRefuses(t *testing.T) {
	for name, f := range map[string]func() error{
		"no room":  func() error { _, err := shm.NewQueue[int](0); return err },
		"channels": func() error { _, err := shm.NewQueue[chan int](1); return err },
		"arrays":   func() error { _, err := shm.NewQueue[*shm.Array[int]](1); return err },
		"bytes":    func() error { _, err := shm.NewQueueSize[string](1, -1); return err },
		"a pipe":   func() error { _, _, err := shm.NewPipe[func()](1); return err },
		"a value":  func() error { _, err := shm.NewValue("text"); return err },
		"a pipe without room": func() error {
			_, _, err := shm.NewPipe[int](-5)
			return err
		},
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "shm: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	q, err := shm.NewQueueSize[string](10, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Put(t.Context(), strings.Repeat("x", 200)); err == nil || !strings.Contains(err.Error(), "202 bytes in a queue that has 104 for all") {
		t.Errorf("got %v", err)
	}
	if err := q.Done(1); err == nil {
		t.Error("done with nothing")
	}
}

// TestPipe has a task answer at the other end.
func TestPipe(t *testing.T) {
	for name, open := range forms {
		if name == "inline" {
			continue // nobody would be at this end
		}
		t.Run(name, func(t *testing.T) {
			a, b, err := shm.NewPipe[string](3)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			f := echo.Go(t.Context(), open(t), b)
			_ = b.Close() // it is the task's now
			for _, s := range []string{"one", "two", "three"} {
				if err := a.Send(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if got, err := a.Recv(t.Context()); got != strings.ToUpper(s) || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if err := a.End(); err != nil {
				t.Error(err)
			}
			if n, err := f.Wait(t.Context()); n != 3 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if _, err := a.Recv(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
			if err := a.Send(t.Context(), "more"); !errors.Is(err, shm.ErrEnded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestPipePeerLost says at one end that the process at the other has died.
func TestPipePeerLost(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a, b, err := shm.NewPipe[string](3)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		f := hangUp.Go(t.Context(), pool, b)
		_ = b.Close()
		if err := a.Send(t.Context(), "there"); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Recv(t.Context()); got != "there?" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := a.Recv(t.Context()); !errors.Is(err, shm.ErrPeerLost) || !strings.Contains(err.Error(), "process ") {
			t.Errorf("got %v", err)
		}
		if err := a.Send(t.Context(), "still there"); !errors.Is(err, shm.ErrPeerLost) {
			t.Errorf("got %v", err)
		}
		if _, err := f.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
	})
}

// TestPipeEndedBeforeDeath has received all there is: that the process died then is no loss to who receives. Who sends is told.
func TestPipeEndedBeforeDeath(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a, b, err := shm.NewPipe[string](3)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		if _, err := endAndDie.Call(t.Context(), pool, b); !errors.Is(err, xme.ErrWorkerLost) {
			t.Errorf("got %v", err)
		}
		got, err := a.Recv(t.Context())
		if got != "all of it" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := a.Recv(t.Context()); err != io.EOF { //nolint:errorlint // itself
			t.Errorf("at the end: %v", err)
		}
		if err := a.Send(t.Context(), "there?"); !errors.Is(err, shm.ErrPeerLost) {
			t.Errorf("sending gave %v", err)
		}
		if err := b.Send(t.Context(), "more"); !errors.Is(err, shm.ErrEnded) {
			t.Errorf("sending at the end that had ended gave %v", err)
		}
		if _, err := b.Recv(t.Context()); !errors.Is(err, shm.ErrPeerLost) {
			t.Errorf("receiving at the end that had ended gave %v", err)
		}
		if _, err := die.Call(t.Context(), pool, 0); !errors.Is(err, xme.ErrWorkerLost) { // a death that has nothing to do with it
			t.Fatal(err)
		}
		if _, err := a.Recv(t.Context()); err != io.EOF { //nolint:errorlint // itself
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestValue has tasks count in values together.
func TestValue(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		small, err := shm.NewValue(int64(5))
		if err != nil {
			t.Fatal(err)
		}
		defer small.Close()
		big, err := shm.NewValue(triple{1, 1, 1})
		if err != nil {
			t.Fatal(err)
		}
		defer big.Close()
		const rows, each = 20, 200
		in := slices.Repeat([]counters{{small, big, each}}, rows)
		for _, err := range count.Map(t.Context(), on, slices.Values(in)) {
			if err != nil {
				t.Fatal(err)
			}
			if v := big.Load(); v.B != 2*v.A-1 || v.C != 3*v.A-2 {
				t.Errorf("torn: %v", v)
			}
		}
		if got := small.Load(); got != 5+rows*each {
			t.Errorf("counted %d", got)
		}
		if got := big.Load(); got != (triple{1 + rows*each, 1 + 2*rows*each, 1 + 3*rows*each}) {
			t.Errorf("counted %v", got)
		}
	})
}

func TestValueOperations(t *testing.T) {
	f, err := shm.NewValue(1.5)
	if err != nil {
		t.Fatal(err)
	}
	if got := shm.Add(f, 2); got != 3.5 || f.Load() != 3.5 {
		t.Errorf("%v, %v", got, f.Load())
	}
	if old := f.Swap(7); old != 3.5 || f.Load() != 7 {
		t.Errorf("%v, %v", old, f.Load())
	}
	if f.CompareAndSwap(8, 9) || !f.CompareAndSwap(7, 9) || f.Load() != 9 {
		t.Errorf("%v", f.Load())
	}
	f.Store(-1)
	if f.Load() != -1 {
		t.Errorf("%v", f.Load())
	}
	big, err := shm.NewValue([5]int32{1, 2, 3, 4, 5})
	if err != nil {
		t.Fatal(err)
	}
	if old := big.Swap([5]int32{}); old != [5]int32{1, 2, 3, 4, 5} || big.Load() != [5]int32{} {
		t.Errorf("%v, %v", old, big.Load())
	}
	if big.CompareAndSwap([5]int32{1}, [5]int32{2}) || !big.CompareAndSwap([5]int32{}, [5]int32{2}) || big.Load() != [5]int32{2} {
		t.Errorf("%v", big.Load())
	}
	big.Store([5]int32{9})
	kept, err := big.Retain()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Close(), big.Close()
	if kept.Load() != [5]int32{9} {
		t.Errorf("%v", kept.Load())
	}
	_ = kept.Close()
	func() {
		defer func() {
			if r := fmt.Sprint(recover()); !strings.Contains(r, "closed") {
				t.Errorf("recovered %s", r)
			}
		}()
		big.Load()
	}()
}

// TestZeroSized carries items that have no bytes.
func TestZeroSized(t *testing.T) {
	q := newQueue[struct{}](t, 3)
	if n, err := q.PutAll(t.Context(), make([]struct{}, 3)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := q.GetSome(t.Context(), make([]struct{}, 5)); n != 3 || err != nil {
		t.Error(n, err)
	}
}

// TestMapOfHandles has several kinds in one argument, in maps and slices.
//
// feature: M4
func TestMapOfHandles(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		q := newQueue[int](t, 3)
		a := newArray(t, 3)
		a.Slice()[1] = 5
		got, err := mixed.Call(t.Context(), on, map[string]mix{"x": {Arrays: []*shm.Array[float64]{a, nil}, Queue: q}})
		if err != nil || !slices.Equal(slices.Collect(maps.Keys(got)), []string{"x"}) {
			t.Fatal(got, err)
		}
		back := got["x"]
		defer func() { _, _ = back.Arrays[0].Close(), back.Queue.Close() }()
		if v, err := q.Get(t.Context()); v != 5 || err != nil || back.Arrays[1] != nil {
			t.Error(v, err)
		}
	})
}

type mix struct {
	Arrays []*shm.Array[float64]
	Queue  *shm.Queue[int]
}

var mixed = xme.Register("mixed", func(ctx context.Context, in map[string]mix) (map[string]mix, error) {
	m := in["x"]
	return in, m.Queue.Put(ctx, int(m.Arrays[0].Slice()[1]))
})
