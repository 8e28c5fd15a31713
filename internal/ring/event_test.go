package ring_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

const offEventSet = 4 // the gate's word

// All who wait are woken by a setting, also if it is taken back at once.
func TestEventWakes(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, rounds = 4, 500
			mem := make([]byte, ring.EventSize)
			e, ctx := ring.NewEvent(mem, waits), bounded(t)
			for range rounds {
				var ready, all sync.WaitGroup
				for range procs {
					ready.Add(1)
					all.Go(func() {
						e := ring.NewEvent(mem, waits)
						ticket := e.Ticket()
						ready.Done()
						if err := e.Wait(ctx, ticket); err != nil {
							t.Error(err)
						}
					})
				}
				ready.Wait()
				e.Set()
				e.Clear()
				all.Wait()
			}
			if e.IsSet() {
				t.Error("set")
			}
			e.Set()
			e.Set()
			if err := e.Wait(ctx, e.Ticket()); !e.IsSet() || err != nil {
				t.Errorf("not set, %v", err)
			}
		})
	}
}

// Who waits is woken by the end of its ctx, and by a sweep if who set it died before it woke anybody.
func TestEventOwnerDies(t *testing.T) {
	t.Parallel()
	mem, waits := make([]byte, ring.EventSize), newParks()
	e := ring.NewEvent(mem, waits)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	for _, want := range []error{nil, context.Canceled} {
		e.Clear()
		got := make(chan error, 1)
		ticket := e.Ticket()
		go func() { got <- ring.NewEvent(mem, waits).Wait(ctx, ticket) }()
		waits.await(t, ring.Word32(mem, offEventSet), 1)
		if want == nil {
			ring.Word32(mem, 0).Store(3) // set, and dead
			e.Sweep()
		} else {
			e.Sweep() // nothing was set: it waits on
			cancel()
		}
		if err := <-got; !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	// Who sets it again wakes those whom the dead one did not.
	e.Clear()
	got := make(chan error, 1)
	ticket := e.Ticket()
	go func() { got <- ring.NewEvent(mem, waits).Wait(bounded(t), ticket) }()
	waits.await(t, ring.Word32(mem, offEventSet), 1)
	ring.Word32(mem, 0).Store(5)
	e.Set()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
