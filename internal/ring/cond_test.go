package ring_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

func condOf(waits ring.Waits) (*ring.Cond, []byte) {
	mem := make([]byte, ring.CondSize)
	return ring.NewCond(mem, waits), mem
}

// goesOn reports whether who has the ticket goes on; if not he has given up.
func goesOn(t testing.TB, c *ring.Cond, ticket ring.Ticket) bool {
	t.Helper()
	err := c.Wait(ended(t), ticket)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return err == nil
}

// One signal, one of those who sleep; a broadcast, all.
func TestCondWakes(t *testing.T) {
	t.Parallel()
	const waiters = 4
	waits := newParks()
	c, mem := condOf(waits)
	word := ring.Word32(mem, ring.OffGoOn)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	got := make(chan error, waiters)
	for range waiters {
		ticket := c.Prepare()
		go func() { got <- ring.NewCond(mem, waits).Wait(ctx, ticket) }()
	}
	waits.await(t, word, waiters)
	for n := range 2 {
		c.Signal()
		must(t, <-got)
		waits.await(t, word, waiters-n-1)
		if len(got) != 0 || c.Waiting() != waiters-n-1 {
			t.Fatalf("%d wait, %d more went on", c.Waiting(), len(got))
		}
	}
	c.Broadcast()
	must(t, <-got)
	must(t, <-got)
	ticket := c.Prepare()
	go func() { got <- ring.NewCond(mem, waits).Wait(ctx, ticket) }()
	waits.await(t, word, 1)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || c.Waiting() != 0 {
		t.Errorf("%v, %d wait", err, c.Waiting())
	}
}

// A signal between the last look and the sleep, or before Wait at all.
func TestCondSignalBeforeSleep(t *testing.T) {
	t.Parallel()
	for _, signal := range []func(c *ring.Cond){(*ring.Cond).Signal, (*ring.Cond).Broadcast} {
		waits := &before{parks: newParks()}
		c, _ := condOf(waits)
		waits.do = func() { signal(c) }
		must(t, c.Wait(bounded(t), c.Prepare()))
		ticket := c.Prepare()
		signal(c)
		must(t, c.Wait(bounded(t), ticket))
	}
}

// Who prepares after a signal does not take it.
func TestCondNotStolen(t *testing.T) {
	t.Parallel()
	c, _ := condOf(newParks())
	first, second := c.Prepare(), c.Prepare()
	c.Signal()
	late := c.Prepare()
	if goesOn(t, c, late) {
		t.Error("stolen")
	}
	if !goesOn(t, c, first) || goesOn(t, c, second) {
		t.Error("not one of two")
	}
	for _, signal := range []func(){c.Signal, c.Broadcast} {
		signal() // for nobody
		if goesOn(t, c, c.Prepare()) {
			t.Error("kept")
		}
	}
	// More signals than there are waiters let none go who comes later.
	a := c.Prepare()
	c.Signal()
	c.Signal()
	b, d := c.Prepare(), c.Prepare()
	c.Signal()
	if !goesOn(t, c, a) || goesOn(t, c, b) == goesOn(t, c, d) {
		t.Error("not one for one")
	}
}

// Who gives up leaves the signal to another, or has it.
func TestCondGivesUp(t *testing.T) {
	t.Parallel()
	c, _ := condOf(newParks())
	a, b := c.Prepare(), c.Prepare()
	c.Signal()
	if c.Cancel(a) || !goesOn(t, c, b) {
		t.Error("a signal went along")
	}
	a = c.Prepare()
	c.Signal()
	if !c.Cancel(a) || c.Waiting() != 0 {
		t.Error("a signal was lost")
	}
	a, b = c.Prepare(), c.Prepare()
	if c.Cancel(a) {
		t.Error("not signalled")
	}
	c.Signal()
	if !goesOn(t, c, b) {
		t.Error("signalled was who had given up")
	}
	waits := newParks()
	c, mem := condOf(waits) // in its sleep
	ctx := &flag{Context: t.Context()}
	a, b = c.Prepare(), c.Prepare()
	got := make(chan error, 2)
	go func() { got <- ring.NewCond(mem, waits).Wait(ctx, a) }()
	go func() { got <- ring.NewCond(mem, waits).Wait(bounded(t), b) }()
	waits.await(t, ring.Word32(mem, ring.OffGoOn), 2)
	ctx.ended.Store(true)
	c.Signal()
	first := <-got
	if first == nil { // it may be either: then the other waits for another
		c.Signal()
	}
	if second := <-got; first != nil && second != nil || c.Waiting() != 0 {
		t.Errorf("%v, %v; %d wait", first, second, c.Waiting())
	}
}

// If too many are prepared the last need not wait.
func TestCondFull(t *testing.T) {
	t.Parallel()
	c, _ := condOf(newParks())
	first := c.Prepare()
	for range ring.CondMost - 1 {
		c.Prepare()
	}
	must(t, c.Wait(bounded(t), c.Prepare()))
	if c.Waiting() != ring.CondMost || c.Cancel(first) || c.Waiting() != ring.CondMost-1 {
		t.Errorf("%d wait", c.Waiting())
	}
	for range ring.CondMost - 1 {
		c.Signal()
	}
	c.Signal()
	if c.Waiting() != 0 || goesOn(t, c, c.Prepare()) {
		t.Errorf("%d wait", c.Waiting())
	}
}

// FuzzCondSchedule has waiters come, give up and look, and signals, in an order that the fuzzer
// chooses: as many go on as were signalled, and none for what came before it.
func FuzzCondSchedule(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 0, 1, 3, 2, 2})
	f.Fuzz(condSchedule)
}

func TestCondSchedules(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		ops := make([]byte, 60)
		for i := range ops {
			ops[i] = byte(rnd.Uint32())
		}
		condSchedule(t, ops)
	}
}

func condSchedule(t *testing.T, ops []byte) {
	type waiter struct {
		ticket  ring.Ticket
		signals int  // since he prepared
		owed    bool // by a broadcast
	}
	c, _ := condOf(newParks())
	var all []*waiter
	given := 0 // signals that nobody has taken
	look := func(i int) {
		w := all[i]
		all = append(all[:i], all[i+1:]...)
		switch went := goesOn(t, c, w.ticket); {
		case w.owed != went && w.owed:
			t.Fatalf("%v: a broadcast passed one over", ops)
		case w.owed:
		case went && (given == 0 || w.signals == 0):
			t.Fatalf("%v: it goes on for no signal", ops)
		case went:
			given--
		case given > len(waitersOf(all, func(w *waiter) bool { return !w.owed })):
			t.Fatalf("%v: a signal is lost", ops)
		}
	}
	for _, op := range ops {
		switch op % 8 {
		case 0, 1, 2:
			all = append(all, &waiter{ticket: c.Prepare()})
		case 3, 4:
			for _, w := range all {
				w.signals++
			}
			if given < len(waitersOf(all, func(w *waiter) bool { return !w.owed })) {
				given++
			}
			c.Signal()
		case 5:
			if op < 128 {
				continue
			}
			c.Broadcast()
			if given < len(waitersOf(all, func(w *waiter) bool { return !w.owed })) {
				given = 0
				for _, w := range all {
					w.owed = true
				}
			}
		default:
			if len(all) > 0 {
				look(int(op/8) % len(all))
			}
		}
	}
	for len(all) > 0 {
		look(0)
	}
	if given != 0 || c.Waiting() != 0 {
		t.Fatalf("%v: %d signals are left, %d wait", ops, given, c.Waiting())
	}
}

func waitersOf[W any](all []W, is func(W) bool) (some []W) {
	for _, w := range all {
		if is(w) {
			some = append(some, w)
		}
	}
	return some
}

// What processes hand on through a bounded store comes through, though many give up, and no
// wake-up is lost.
func TestCondHandsOn(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]ring.Waits{"woken": newParks(), "polling": polls{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const procs, each, room = 3, 1500, 2
			mem, store := make([]byte, 2*ring.CondSize), 0
			var mu sync.Mutex
			var all sync.WaitGroup
			step := func(by, until int, mine, theirs *ring.Cond) {
				hangs := bounded(t)
				for i := range each {
					ctx, cancel := context.WithCancel(hangs)
					mu.Lock()
					for store == until {
						ticket := mine.Prepare()
						mu.Unlock()
						if i%3 == 0 {
							go cancel()
						}
						if err := mine.Wait(ctx, ticket); err != nil && i%3 != 0 {
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
			for range procs {
				conds := func() (a, b *ring.Cond) {
					return ring.NewCond(mem, waits), ring.NewCond(mem[ring.CondSize:], waits)
				}
				all.Go(func() { a, b := conds(); step(1, room, a, b) })
				all.Go(func() { a, b := conds(); step(-1, 0, b, a) })
			}
			all.Wait()
			if store != 0 {
				t.Errorf("%d are left", store)
			}
			for i := range 2 {
				if n := ring.NewCond(mem[i*ring.CondSize:], waits).Waiting(); n != 0 {
					t.Errorf("%d wait still", n)
				}
			}
		})
	}
}

// Whatever one has done of a wait or a signal when it dies, all who wait go on once it is swept,
// and then each signal is for one again.
func TestCondOwnerDies(t *testing.T) {
	t.Parallel()
	some, _ := condOf(newParks())
	for at := range some.Beginnings(0) {
		for _, before := range []bool{false, true} {
			waits := newParks()
			c, mem := condOf(waits)
			var mine ring.Ticket
			if before {
				mine = c.Prepare()
			}
			deads := c.Prepare()
			if !before {
				mine = c.Prepare()
			}
			got := make(chan error, 1)
			go func() { got <- ring.NewCond(mem, waits).Wait(bounded(t), mine) }()
			waits.await(t, ring.Word32(mem, ring.OffGoOn), 1)
			c.Beginnings(deads)[at]()
			for range 2 {
				c.Sweep()
			}
			if err := <-got; err != nil || c.Waiting() != 0 {
				t.Errorf("%s: %v, %d wait", at, err, c.Waiting())
			}
			a, b := c.Prepare(), c.Prepare()
			c.Signal()
			if goesOn(t, c, a) == goesOn(t, c, b) {
				t.Errorf("%s: then a signal is not for one", at)
			}
		}
	}
}

// Several sweep at a time while others wait and signal: none hangs.
func TestCondSwept(t *testing.T) {
	t.Parallel()
	waits := newParks()
	_, mem := condOf(waits)
	var waiters, others sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		waiters.Go(func() {
			c, ctx := ring.NewCond(mem, waits), bounded(t)
			for range 50 {
				if err := c.Wait(ctx, c.Prepare()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 2 {
		others.Go(func() {
			for c := ring.NewCond(mem, waits); ; {
				select {
				case <-stop:
					return
				default:
				}
				c.Signal()
				if i == 1 {
					c.Prepare() // and dies
				}
				c.Sweep()
			}
		})
	}
	waiters.Wait()
	close(stop)
	others.Wait()
}
