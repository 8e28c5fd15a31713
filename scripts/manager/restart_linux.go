package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// ledger is an object that crosses, and comes back as it was kept.
type ledger struct{ N, Generation int64 }

// Add adds and returns the ledger.
func (l *ledger) Add(_ context.Context, n int64) (ledger, error) {
	l.N += n
	return *l, nil
}

// Turn begins a generation, unless a later one has begun.
func (l *ledger) Turn(_ context.Context, generation int64) (ledger, error) {
	l.Generation = max(l.Generation, generation)
	return *l, nil
}

var (
	ledgerAdd  = manager.Method("add", (*ledger).Add)
	ledgerTurn = manager.Method("turn", (*ledger).Turn)
)

// What everybody knows of a manager that dies: what was kept, and what was begun. Nothing is seen that is below the one or above the other.
const (
	keptTurn = iota
	begunTurn
	keptSum
	begunSum
	keptMap
	begunMap
	keptWords
)

// atOnce is how long a call may take, while the manager's process may die and come back.
const atOnce = 20 * time.Second

// bearer uses a manager that dies.
type bearer struct {
	M      *manager.Manager
	Ledger *manager.Object[ledger]
	Tool   *manager.Object[tool]
	Map    *manager.Map[string, int64]
	Known  *shm.Array[int64]
	Row    int
	Seed   uint64
	End    int64
}

// borne is how many calls there were.
type borne struct{ Done, Lost int }

var bearRow = xme.Register("bear", func(ctx context.Context, b bearer) (borne, error) { return b.run(ctx) })

func (b *bearer) run(ctx context.Context) (n borne, err error) {
	rng := rand.New(rand.NewPCG(b.Seed, uint64(b.Row)))
	own := int64(0)
	for time.Now().UnixNano() < b.End {
		ctx, cancel := context.WithTimeout(ctx, atOnce)
		what := rng.IntN(len(bearing))
		err := bearing[what](ctx, b, &own)
		cancel()
		switch {
		case err == nil:
			n.Done++
		case errors.Is(err, manager.ErrLost):
			n.Lost++
		default:
			return n, fmt.Errorf("call %d, of sort %d: %w", n.Done+n.Lost, what, err)
		}
	}
	return n, nil
}

func (b *bearer) word(i int) *int64 { return &b.Known.Slice()[i] }

// between says that what was seen is out of bounds. kept is what the word kept was before it was asked for, begun the word after.
func (b *bearer) between(what string, got, kept int64, begun int) error {
	if most := atomic.LoadInt64(b.word(begun)); got < kept || got > most {
		return fmt.Errorf("%s is %d; %d was kept, %d was begun", what, got, kept, most)
	}
	return nil
}

// bearing is what is done.
var bearing = []func(ctx context.Context, b *bearer, own *int64) error{
	func(ctx context.Context, b *bearer, _ *int64) error {
		turn, sum := atomic.LoadInt64(b.word(keptTurn)), atomic.LoadInt64(b.word(keptSum))
		atomic.AddInt64(b.word(begunSum), 1)
		l, err := ledgerAdd.Call(ctx, b.Ledger, 1)
		if err != nil {
			return err
		}
		return errors.Join(b.between("the sum", l.N, sum+1, begunSum), b.between("the ledger's turn", l.Generation, turn, begunTurn))
	},
	func(ctx context.Context, b *bearer, _ *int64) error {
		turn := atomic.LoadInt64(b.word(keptTurn))
		vs, err := b.M.Values(ctx, "left", "right")
		if err != nil {
			return err
		}
		left, errLeft := manager.As[int64](vs["left"])
		right, errRight := manager.As[int64](vs["right"])
		if left != right {
			return fmt.Errorf("one has %d, the other %d", left, right)
		}
		return errors.Join(errLeft, errRight, b.between("the table's turn", left, turn, begunTurn))
	},
	func(ctx context.Context, b *bearer, own *int64) error {
		*own++
		return manager.Set(ctx, b.M, fmt.Sprint("own ", b.Row), *own)
	},
	func(ctx context.Context, b *bearer, own *int64) error {
		got, err := manager.Get[int64](ctx, b.M, fmt.Sprint("own ", b.Row))
		if err == nil && got > *own {
			return fmt.Errorf("the own key has %d of %d", got, *own)
		}
		return err
	},
	func(ctx context.Context, b *bearer, _ *int64) error {
		kept := atomic.LoadInt64(b.word(keptMap))
		atomic.AddInt64(b.word(begunMap), 1)
		got, err := manager.AddTo(ctx, b.Map, "sum", 1)
		if err != nil {
			return err
		}
		return b.between("the map's sum", got, kept+1, begunMap)
	},
	func(ctx context.Context, b *bearer, _ *int64) error {
		_, err := toolAdd.Call(ctx, b.Tool, 1)
		return err
	},
}

// restarts has a manager die again and again.
func restarts(ctx context.Context, s *soak, d time.Duration) error {
	d *= 2
	return withPool(ctx, func(pool *xme.Pool) error {
		return withManager(ctx, manager.Options{Process: true, Restart: true}, func(m *manager.Manager) error {
			return withArray(keptWords, func(known *shm.Array[int64]) error {
				b := bearer{M: m, Known: known, Seed: s.seed, End: time.Now().Add(d).UnixNano()}
				if err := b.open(ctx); err != nil {
					return err
				}
				s.bear(ctx, pool, &b, d > 8*s.every)
				return nil
			})
		})
	})
}

// bearers is how many workers call.
const bearers = 4

// open makes what is kept.
func (b *bearer) open(ctx context.Context) (err error) {
	if b.Ledger, err = manager.Share(ctx, b.M, "ledger", &ledger{}); err != nil {
		return err
	}
	if b.Tool, err = manager.ShareNew(ctx, b.M, "tool", newTool, 0); err != nil {
		return err
	}
	if b.Map, err = manager.NewMap[string, int64](ctx, b.M, "map"); err != nil {
		return err
	}
	for i := range bearers + 1 {
		if err := manager.Set(ctx, b.M, fmt.Sprint("own ", i), int64(0)); err != nil {
			return err
		}
	}
	if err := b.M.Update(ctx, manager.Put("left", int64(0)), manager.Put("right", int64(0))); err != nil {
		return err
	}
	return b.M.Keep(ctx)
}

// bear has workers and the driver call until the end; long says that all that may happen must.
func (s *soak) bear(ctx context.Context, pool *xme.Pool, b *bearer, long bool) {
	var all sync.WaitGroup
	counts := make([]borne, bearers+1)
	for i := range counts {
		all.Go(func() {
			j, err := *b, error(nil)
			if j.Row = i; i == 0 {
				counts[i], err = j.run(ctx)
			} else {
				counts[i], err = bearRow.With(xme.On(i)).Call(ctx, pool, j)
			}
			if err != nil {
				s.wrong("caller %d: %v", i, err)
			}
		})
	}
	kills, keeps, events := 0, 0, 0
	all.Go(func() { keeps = s.keepOn(ctx, b) })
	all.Go(func() { events = s.watchOn(ctx, b) })
	var longest time.Duration
	all.Go(func() { kills, longest = s.killOn(ctx, b) })
	all.Wait()
	n := borne{}
	for _, c := range counts {
		n.Done += c.Done
		n.Lost += c.Lost
	}
	// In the end it works.
	for i := range 2 {
		short, cancel := context.WithTimeout(ctx, atOnce)
		_, err := ledgerAdd.Call(short, b.Ledger, 0)
		cancel()
		if err != nil && (i > 0 || !errors.Is(err, manager.ErrLost)) {
			s.wrong("in the end: %v", err)
		}
	}
	if long && (kills == 0 || keeps == 0 || n.Done == 0 || events == 0) {
		s.wrong("something was never tried")
	}
	s.say("%d kills, back within %v; kept %d times; %d calls returned a result, %d were lost; %d events were watched", kills, longest.Round(time.Millisecond), keeps, n.Done, n.Lost, events)
}

// killOn kills the manager's process, and says how long it took at most until it answered again.
func (s *soak) killOn(ctx context.Context, b *bearer) (kills int, longest time.Duration) {
	rng := rand.New(rand.NewPCG(s.seed, 4))
	var killed time.Time
	for time.Now().UnixNano() < b.End || !killed.IsZero() {
		short, cancel := context.WithTimeout(ctx, atOnce)
		pid, err := toolPID.Call(short, b.Tool, struct{}{})
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, manager.ErrLost) && (killed.IsZero() || time.Since(killed) < atOnce):
			continue
		default:
			s.wrong("who kills asks for the process: %v", err)
			return kills, longest
		}
		if !killed.IsZero() {
			longest = max(longest, time.Since(killed))
			killed = time.Time{}
		}
		<-time.After(time.Duration(rng.Int64N(int64(3 * s.every))))
		if time.Now().UnixNano() < b.End && syscall.Kill(pid, syscall.SIGKILL) == nil {
			kills++
			killed = time.Now()
			<-time.After(time.Duration(rng.Int64N(int64(5 * time.Millisecond))))
		}
	}
	return kills, longest
}
