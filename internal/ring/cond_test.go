package ring_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// condWait waits once, as its users do.
func condWait(ctx context.Context, c *ring.Cond, me uint32, ticket ring.CondTicket) error {
	for {
		err := c.Wait(ctx, ticket)
		if c.Leave(me, ticket, err != nil) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// What processes hand on through a bounded store, with a lock and two conditions, comes through, though many give up.
func TestCondHandsOn(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, each, room = 3, 2000, 2
			mem, store := make([]byte, 2*ring.CondSize), 0
			var mu sync.Mutex
			var all sync.WaitGroup
			step := func(me uint32, by, until int) {
				full, empty := ring.NewCond(mem, waits), ring.NewCond(mem[ring.CondSize:], waits)
				mine, theirs := full, empty
				if by < 0 {
					mine, theirs = empty, full
				}
				for i := range each {
					ctx, cancel := context.WithCancel(bounded(t))
					mu.Lock()
					for store == until {
						ticket := mine.Prepare(me)
						mu.Unlock()
						if i%3 == 0 {
							go cancel()
						}
						if err := condWait(ctx, mine, me, ticket); err != nil && i%3 != 0 {
							t.Error(err)
						}
						mu.Lock()
					}
					store += by
					mu.Unlock()
					theirs.Signal()
					cancel()
				}
			}
			for p := range procs {
				all.Go(func() { step(owner(p), 1, room) })
				all.Go(func() { step(owner(procs+p), -1, 0) })
			}
			all.Wait()
			if store != 0 {
				t.Errorf("%d are left", store)
			}
			for i := range 2 {
				if who := ring.NewCond(mem[i*ring.CondSize:], waits).Waiting(); who != nil {
					t.Errorf("%v wait still", who)
				}
			}
		})
	}
}

// A signal lets one go that waited before it, a broadcast all of them; nothing is kept for who comes later.
func TestCondLetsGo(t *testing.T) {
	t.Parallel()
	c := ring.NewCond(make([]byte, ring.CondSize), newParks())
	me := owner(1)
	let := func(tickets ...ring.CondTicket) (n int) {
		for _, ticket := range tickets {
			if c.Leave(me, ticket, false) {
				n++
			}
		}
		return n
	}
	for _, give := range []func(){c.Signal, c.Broadcast} {
		give()
		if a := c.Prepare(me); let(a) != 0 || c.Leave(me, a, true) {
			t.Error("let go by what came before")
		}
	}
	a, b := c.Prepare(me), c.Prepare(me)
	c.Signal()
	if later := c.Prepare(me); let(later) != 0 || let(a, b) != 1 || let(later) != 0 {
		t.Error("not one of two")
	} else if c.Broadcast(); let(later) != 1 {
		t.Error("not by the broadcast")
	}
	// One of a, b waits still. It gives up after a signal came: it takes that along or leaves it to another.
	c.Sweep(me)
	a, b = c.Prepare(me), c.Prepare(owner(2))
	c.Signal()
	if !c.Leave(me, a, true) || c.Leave(owner(2), b, false) {
		t.Error("who gives up has it, or the other, not both")
	}
	if !c.Leave(owner(2), b, true) && c.Waiting() != nil {
		t.Error("it waits still")
	}
	// A signal that nobody used is void once nobody waits.
	a = c.Prepare(me)
	c.Signal()
	c.Sweep(me) // died
	a, b = c.Prepare(me), c.Prepare(me)
	c.Signal()
	if let(a, b) != 1 {
		t.Error("a signal to the dead let another go")
	}
}

// Whatever was done of a signal or a wait by who died: all who wait are let go.
func TestCondOwnerDies(t *testing.T) {
	t.Parallel()
	me, dead := owner(1), owner(2)
	for name, die := range map[string]func(mem []byte, c *ring.Cond, ticket ring.CondTicket){
		"waiting":                   func([]byte, *ring.Cond, ring.CondTicket) {},
		"let go":                    func(_ []byte, c *ring.Cond, ticket ring.CondTicket) { c.Signal(); c.Leave(dead, ticket, false) },
		"used, not left":            func(mem []byte, c *ring.Cond, _ ring.CondTicket) { c.Signal(); ring.Word(mem, 8).Add(1) },
		"signalled, nobody woken":   func(mem []byte, _ *ring.Cond, _ ring.CondTicket) { ring.Word(mem, 0).Add(1) },
		"broadcasted, nobody woken": func(mem []byte, _ *ring.Cond, _ ring.CondTicket) { ring.Word(mem, 16).Add(1) },
	} {
		mem, waits := make([]byte, ring.CondSize), newParks()
		c := ring.NewCond(mem, waits)
		ticket := c.Prepare(dead)
		got := make(chan error, 1)
		mine := c.Prepare(me)
		go func() { got <- condWait(bounded(t), ring.NewCond(mem, waits), me, mine) }()
		waits.await(t, ring.Word32(mem, 24), 1)
		die(mem, c, ticket)
		c.Sweep(dead)
		if err := <-got; !errors.Is(err, nil) || c.Waiting() != nil {
			t.Errorf("%s: %v; %v wait", name, err, c.Waiting())
		}
	}
}

// All that sleep are woken, by as many signals or one broadcast.
func TestCondWakes(t *testing.T) {
	t.Parallel()
	const n = 3
	for _, broadcast := range []bool{false, true} {
		mem, waits := make([]byte, ring.CondSize), newParks()
		c, got := ring.NewCond(mem, waits), make(chan error, n)
		for i := range n {
			ticket := c.Prepare(owner(i))
			go func() { got <- condWait(bounded(t), ring.NewCond(mem, waits), owner(i), ticket) }()
		}
		waits.await(t, ring.Word32(mem, 24), n)
		if broadcast {
			c.Broadcast()
		}
		for range n {
			if !broadcast {
				c.Signal()
			}
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
	}
}
