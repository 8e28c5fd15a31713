package shm_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/shm"
)

// desk is what retainAll keeps in a worker.
var desk struct {
	sync.Mutex
	mutex []*shm.Mutex
	queue []*shm.Queue[int]
}

type lent struct {
	Mutex *shm.Mutex
	Queue *shm.Queue[int]
}

var (
	// retainAll retains what it is given, twice.
	retainAll = xme.Register("retainAll", func(_ context.Context, in lent) (int, error) {
		desk.Lock()
		defer desk.Unlock()
		for range 2 {
			m, err := in.Mutex.Retain()
			if err != nil {
				return 0, err
			}
			q, err := in.Queue.Retain()
			if err != nil {
				return 0, err
			}
			desk.mutex, desk.queue = append(desk.mutex, m), append(desk.queue, q)
		}
		return len(desk.mutex), nil
	})
	// closeOldest closes one handle of each.
	closeOldest = xme.Register("closeOldest", func(context.Context, int) (int, error) {
		desk.Lock()
		defer desk.Unlock()
		err := errors.Join(desk.mutex[0].Close(), desk.queue[0].Close())
		desk.mutex, desk.queue = desk.mutex[1:], desk.queue[1:]
		return len(desk.mutex), err
	})
	// dieWithRetained takes a retained mutex and ends its process.
	dieWithRetained = xme.Register("dieWithRetained", func(ctx context.Context, _ int) (int, error) {
		desk.Lock()
		defer desk.Unlock()
		if err := desk.mutex[0].Lock(ctx); err != nil {
			return 0, err
		}
		return 0, killSelf()
	})
)

// A lock or queue that a worker has retained is the driver's to sweep for as long as the worker has it, and is given up in both
// once the worker has closed the last of its handles: a server that retains one for each request does not run out of descriptors.
//
// feature: M1
func TestRetainedIsGivenUp(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		one := xmetestOne(t, pool)
		call := func(f *xme.Func[int, int]) int {
			t.Helper()
			n, err := f.Call(t.Context(), one, 0)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		round := func(check func(used int)) {
			m, err := shm.NewMutex()
			if err != nil {
				t.Fatal(err)
			}
			before, _ := region.Usage()
			in := lent{m, newQueue[int](t, 4)}
			for range 2 {
				if _, err := retainAll.Call(t.Context(), one, in); err != nil {
					t.Fatal(err)
				}
			}
			after, _ := region.Usage()
			_ = in.Queue.Close()
			check(after)
			for call(closeOldest) > 0 {
				check(after)
			}
			settles(t, before) // the queue is no more
			if t.Failed() {
				t.FailNow()
			}
			_ = m.Close()
		}
		maps := func() int {
			if runtime.GOOS != "linux" {
				return 0
			}
			n, err := mapped.Call(t.Context(), one, true)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		kept := func(used int) {
			if now, _ := region.Usage(); now != used {
				t.Errorf("%d bytes in use while the worker has handles, %d before", now, used)
			}
		}
		for range 5 { // so that it has its lane
			round(kept)
		}
		used, _ := region.Usage()
		there := maps()
		for range 20 {
			round(kept)
		}
		settles(t, used)
		for end := time.Now().Add(time.Minute); maps() > there; { // it is told on another way than calls come
			if time.Now().After(end) {
				t.Fatalf("the worker maps %d bytes, %d before", maps(), there)
			}
		}

		in := lent{newMutex(t), newQueue[int](t, 4)}
		for range 2 { // told of again, after it was given up
			if _, err := retainAll.Call(t.Context(), one, in); err != nil {
				t.Fatal(err)
			}
			for call(closeOldest) > 0 {
			}
		}
		if _, err := retainAll.Call(t.Context(), one, in); err != nil {
			t.Fatal(err)
		}
		if _, err := dieWithRetained.Call(t.Context(), one, 0); !errors.Is(err, xme.ErrWorkerLost) {
			t.Fatal(err)
		}
		if err := in.Mutex.Lock(t.Context()); !errors.Is(err, shm.ErrOwnerDied) {
			t.Errorf("locked with %v", err)
		}
	})
}

// keptEnd is the end of a pipe that a worker has retained.
var keptEnd *shm.Pipe[string]

var (
	// keepEnd retains an end, twice, and closes one of both.
	keepEnd = xme.Register("keepEnd", func(_ context.Context, p *shm.Pipe[string]) (int, error) {
		other, err := p.Retain()
		if err != nil {
			return 0, err
		}
		if keptEnd, err = p.Retain(); err != nil {
			return 0, err
		}
		return 0, errors.Join(other.Close(), keptEnd.Send(context.Background(), "kept"))
	})
	endKept = xme.Register("endKept", func(context.Context, int) (int, error) { return 0, keptEnd.End() })
	dropEnd = xme.Register("dropEnd", func(context.Context, int) (int, error) { return 0, keptEnd.Close() })
	die     = xme.Register("dieNow", func(context.Context, int) (int, error) { return 0, killSelf() })
)

// The other end of a pipe is told of a death for as long as the process has its end, not longer.
func TestPipeRetained(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		one := xmetestOne(t, pool)
		for _, drops := range []bool{false, true} {
			a, b, err := shm.NewPipe[string](3)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if _, err := keepEnd.Call(t.Context(), one, b); err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			if got, err := a.Recv(t.Context()); got != "kept" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if drops {
				if _, err := dropEnd.Call(t.Context(), one, 0); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := die.Call(t.Context(), one, 0); !errors.Is(err, xme.ErrWorkerLost) {
				t.Fatal(err)
			}
			if err := a.Send(t.Context(), "there?"); drops == errors.Is(err, shm.ErrPeerLost) || drops && err != nil {
				t.Errorf("dropped %v: sending gave %v", drops, err)
			}
		}
	})
}

// A retained end that was ended before its pool was closed was not lost.
func TestPipeRetainedIsEnded(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a, b, err := shm.NewPipe[string](3)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		one := xmetestOne(t, pool)
		for _, f := range []func() (int, error){
			func() (int, error) { return keepEnd.Call(t.Context(), one, b) },
			func() (int, error) { return endKept.Call(t.Context(), one, 0) },
			func() (int, error) { return 0, errors.Join(b.Close(), one.(*xme.Pool).Close()) },
		} {
			if _, err := f(); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for s, err := range a.All(t.Context()) {
			if err != nil {
				t.Errorf("got %v", err)
			}
			got = append(got, s)
		}
		if !slices.Equal(got, []string{"kept"}) {
			t.Errorf("got %q", got)
		}
	})
}
