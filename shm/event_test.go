package shm_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// signs is an event, and a second one for the way back.
type signs struct {
	Go, Done *shm.Event
	N        int
}

// answer waits for the one and sets the other, again and again.
var answer = xme.Register("answer", func(ctx context.Context, in signs) (int, error) {
	for i := range in.N {
		if err := in.Go.Wait(ctx); err != nil {
			return i, err
		}
		if err := errors.Join(in.Go.Clear(), in.Done.Set()); err != nil {
			return i, err
		}
	}
	return in.N, nil
})

func newEvent(t testing.TB) *shm.Event {
	t.Helper()
	e, err := shm.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// feature: M1
func TestEvent(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		in := signs{newEvent(t), newEvent(t), 200}
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := answer.Call(t.Context(), on, in); err != nil {
				t.Error(err)
			}
		})
		for range in.N {
			if err := in.Go.Set(); err != nil {
				t.Fatal(err)
			}
			if err := in.Done.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := in.Done.Clear(); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
		if in.Go.IsSet() || in.Done.IsSet() {
			t.Error("set")
		}
	})
}

// All goroutines that wait go on, in whatever process, and what was set stays set when who set it is no more.
//
// feature: M1
func TestEventWakesAll(t *testing.T) {
	e := newEvent(t)
	e.SetName("start")
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := e.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := e.Wait(ctx)
	if wait := new(shm.WaitError); !errors.As(err, &wait) || wait.What != `event "start"` || wait.Holders != nil || wait.Cycle != nil {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(e.Set(), e.Clear()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if err := errors.Join(e.Set(), e.Wait(ctx)); err != nil || !e.IsSet() {
		t.Errorf("set, and the wait got %v", err)
	}
	r, err := e.Retain()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), r.Clear()); err != nil || r.IsSet() || e.IsSet() {
		t.Errorf("%v", err)
	}
	ended := make(chan error)
	go func() { ended <- r.Wait(t.Context()) }()
	<-time.After(10 * time.Millisecond)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, shm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	for _, err := range []error{r.Wait(t.Context()), r.Set(), r.Clear()} {
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}
