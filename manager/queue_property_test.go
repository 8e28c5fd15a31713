package manager_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

// diary is an object that notes what was called, and when not in turn.
type diary struct {
	got    map[int][]int // by row
	inside bool
	wrong  error
}

type note struct{ Row, N, Sleep int }

func (d *diary) Note(ctx context.Context, n note) (int, error) {
	if d.inside {
		d.wrong = errors.New("two at a time")
	}
	d.inside = true
	if n.Sleep > 0 {
		<-time.After(time.Duration(n.Sleep) * time.Millisecond)
	}
	d.inside = false
	d.got[n.Row] = append(d.got[n.Row], n.N)
	return n.N, ctx.Err()
}

var noteDown = manager.Method("note", (*diary).Note)

// writer is a row that appends calls as chance has it.
type writer struct {
	M    *manager.Manager
	O    *manager.Object[diary]
	Row  int
	Seed uint64
}

// wrote is what a row knows of its calls.
type wrote struct {
	Accepted []int
	Refused  string
}

var write = xme.Register("write", func(ctx context.Context, w writer) (r wrote, err error) {
	rnd := rand.New(rand.NewPCG(w.Seed, uint64(w.Row)))
	op, err := w.M.NewOperator(ctx)
	if err != nil {
		return r, err
	}
	m := w.M
	if rnd.IntN(2) == 0 {
		m = m.As(op)
		h, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: time.Duration(1+rnd.IntN(500)) * time.Millisecond})
		if err != nil {
			return r, err
		}
		if rnd.IntN(2) == 0 {
			defer func() {
				if serr := h.Stop(); serr != nil {
					err = errors.Join(err, serr)
				}
			}()
		}
	}
	var waits []*manager.Future[int]
	for i := range rnd.IntN(40) {
		switch rnd.IntN(12) {
		case 0:
			<-time.After(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		case 1:
			if len(waits) > 0 {
				if _, err := waits[rnd.IntN(len(waits))].Wait(ctx); err != nil {
					return r, fmt.Errorf("an accepted call: %w", err)
				}
			}
		case 2:
			_, err := m.Queue().Result(expired(ctx, rnd.IntN(20)))
			if err != nil && !errors.Is(err, manager.ErrGuardStopped) && !errors.Is(err, context.DeadlineExceeded) {
				return r, fmt.Errorf("a result: %w", err)
			}
		case 3: // it is only at the end that rows say so, but a guard must bear it at any time
			_, err := w.M.Queue().Append(ctx, manager.Builtin{Name: "Table::update", Changes: []manager.Change{manager.Put(manager.GuardKey, manager.GuardState{})}})
			if err != nil && !errors.Is(err, manager.ErrGuardStopped) && !errors.Is(err, manager.ErrFull) {
				return r, fmt.Errorf("a stop: %w", err)
			}
		}
		f, err := noteDown.Append(ctx, w.O, note{w.Row, i, max(0, rnd.IntN(30)-20)})
		switch {
		case errors.Is(err, manager.ErrGuardStopped) || errors.Is(err, manager.ErrFull):
			r.Refused = err.Error()
			continue
		case err != nil:
			return r, err
		}
		r.Accepted = append(r.Accepted, i)
		waits = append(waits, f)
	}
	if rnd.IntN(2) == 0 {
		for _, f := range waits {
			if _, err := f.Wait(ctx); err != nil {
				return r, fmt.Errorf("an accepted call: %w", err)
			}
		}
	}
	return r, nil
})

// expired returns a context that ends after some milliseconds.
func expired(ctx context.Context, ms int) context.Context {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
	context.AfterFunc(ctx, cancel)
	return ctx
}

var (
	stopRaces = flag.Int("stopraces", 300, "how many schedules TestStopRaces tries")
	stopSeed  = flag.Uint64("stopseed", 0, "the first one's seed")
)

// Workers that end in any order, with calls pending, and stops at any moment: nothing hangs, and what was accepted is run once, in each row's order.
// feature: X4, G1, G2, G3, F18
func TestStopRaces(t *testing.T) {
	rounds := *stopRaces
	if !long.Wanted() {
		rounds = min(rounds, 60)
	}
	for seed := range uint64(rounds) {
		synctest.Test(t, func(t *testing.T) { stopRace(t, *stopSeed+seed) })
		if t.Failed() {
			t.Fatalf("seed %d", *stopSeed+seed)
		}
	}
}

func stopRace(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx := t.Context()
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1 + rnd.IntN(4)})
	m := openWith(t, manager.Options{Queue: 1 + rnd.IntN(20)})
	d := &diary{got: map[int][]int{}}
	o, err := manager.Share(ctx, m, "", d)
	must(t, err)
	rows := make([]writer, 1+rnd.IntN(8))
	for i := range rows {
		rows[i] = writer{m, o, i, seed}
	}
	options := manager.GuardOptions{Idle: time.Duration(600+rnd.IntN(3000)) * time.Millisecond, Verbose: -1}
	call := manager.GuardCall{Manager: m, Options: options}
	var table xme.Table
	out := write.Add(&table, func(yield func(writer) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	})
	var stops sync.WaitGroup
	early := rnd.IntN(3) == 0
	if early { // somebody stops the guard
		after := time.Duration(rnd.IntN(4000)) * time.Millisecond
		stops.Go(func() {
			<-time.After(after)
			if err := m.Queue().Stop(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	how := rnd.IntN(3)
	switch how {
	case 0:
		manager.Guard.Add(&table, xme.Repeat(1, call))
		err = table.Run(ctx, pool)
	case 1:
		_, err = m.RunTable(ctx, &table, pool, options)
	default:
		g, gerr := m.StartGuard(ctx, options)
		must(t, gerr)
		err = table.Run(ctx, pool)
		_, gerr = g.Stop(ctx)
		must(t, gerr)
	}
	must(t, err)
	stops.Wait()
	results, err := out.Values()
	must(t, err)
	must(t, d.wrong)
	if n, err := m.Queue().Len(ctx); n != 0 || err != nil {
		t.Errorf("%d calls are left, %v", n, err)
	}
	for i, r := range results {
		if fmt.Sprint(d.got[i]) != fmt.Sprint(r.Accepted) {
			t.Errorf("row %d: accepted %v, run %v (%s)", i, r.Accepted, d.got[i], r.Refused)
		}
		if r.Refused != "" && how != 2 && !early {
			t.Errorf("row %d: nobody has stopped the guard while it ran: %s", i, r.Refused)
		}
	}
}
