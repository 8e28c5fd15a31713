package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// trial is one pool's life.
type trial struct {
	r       *report
	seed    uint64 // of its round
	mark    string // in its workers' environment
	workers int
	tight   bool // MaxProcesses may be reached
	setUp   bool // its workers are set up
	calm    bool // nobody strikes it
	beside  bool // it is one of many beside a round's own

	pool    atomic.Pointer[xme.Pool]
	closing atomic.Bool
	strikes atomic.Int64 // what may have cost a row that is not to blame

	mu     sync.Mutex
	losses []string
}

// lose notes a row that was lost for no reason of its own.
func (t *trial) lose(j job, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.losses = append(t.losses, fmt.Sprintf("row %d of table %d (%s): %v", j.Row, j.Table, specs[j.Kind].name, err)+lastOutput(err))
}

// lastOutput is what a worker that was lost said at last: it, and its runtime.
func lastOutput(err error) (s string) {
	var e *xme.Error
	if !errors.As(err, &e) {
		return ""
	}
	if e.Output != "" {
		s = fmt.Sprintf("\n    output: %.600q … %.300q", e.Output, e.Output[max(0, len(e.Output)-300):])
	}
	if e.Stack != "" {
		s += fmt.Sprintf("\n    crash: %.3000s", e.Stack)
	}
	return s
}

var setup = xme.Register("setup", func(context.Context, int) (int, error) {
	isSetUp = true
	return 0, nil
})

var isSetUp bool

// settings is what a round is made with.
type settings struct {
	link    xme.Link
	workers int
	rows    int
	calm    bool // no monkey
	early   bool // the monkey is there before the pool is
	until   func() bool
}

var trials atomic.Int64

// try opens a pool, runs tables on it, closes it, and checks that it is gone.
func try(r *report, seed uint64, rng *rand.Rand, set settings) {
	key := "XME_CHAOS_POOL"
	t := &trial{r: r, seed: seed, mark: fmt.Sprintf("%s=%d-%d", key, os.Getpid(), trials.Add(1)), calm: set.calm || rng.IntN(3) == 0, beside: set.early}
	o := t.options(rng, set)
	every := time.Duration(5+rng.IntN(60)) * time.Millisecond
	monkeyCtx, stopMonkey := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	monkeyRng := rand.New(rand.NewPCG(rng.Uint64(), 1))
	release := func() {
		if !t.calm {
			wg.Go(func() { t.monkey(monkeyCtx, monkeyRng, every) })
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if set.early {
		release()
		if rng.IntN(4) == 0 {
			t.closing.Store(true) // it may not open at all
			timer := time.AfterFunc(time.Duration(rng.IntN(20))*time.Millisecond, cancel)
			defer timer.Stop()
		}
	}
	pool, err := xme.Open(ctx, o)
	t.beat()
	if err != nil {
		r.refused.Add(1)
		if t.strikes.Load() == 0 && ctx.Err() == nil {
			r.complain(seed, "Open: %v", err)
		}
	} else {
		r.pools.Add(1)
		t.closing.Store(false)
		t.pool.Store(pool)
		r.open.Store(pool, true)
		defer r.open.Delete(pool)
		if !set.early {
			release()
		}
		for range 1 + rng.IntN(3) {
			t.alone(rng, rng.IntN(set.rows/2+1), set.until)
			t.small(rng, set.rows/2+1, set.until)
			if t.closing.Load() || !t.table(rng, set.rows/2+rng.IntN(set.rows)) || set.until() {
				break
			}
		}
	}
	cancel()
	if rng.IntN(2) == 0 {
		stopMonkey() // else it strikes while the pool is closed
	}
	if pool != nil {
		t.closing.Store(true)
		stats := pool.Stats()
		begin := time.Now()
		if rng.IntN(2) == 0 {
			_ = pool.Shutdown(context.Background())
		} else {
			_ = pool.Close()
		}
		r.add(stats, time.Since(begin))
	}
	stopMonkey()
	wg.Wait()
	t.end()
	t.beat()
}

// beat tells the watchdog that something has ended; not of what is repeated beside a
// round, or that could hang.
func (t *trial) beat() {
	if !t.beside {
		t.r.beat()
	}
}

// end checks that no more rows were lost than there were reasons for, and that no
// process is left.
func (t *trial) end() {
	if n := len(t.losses); int64(n) > t.strikes.Load() {
		t.r.complain(t.seed, "%d rows were lost for no reason of their own, and the pool was struck %d times:", n, t.strikes.Load())
		for _, l := range t.losses[:min(n, 10)] {
			t.r.complain(t.seed, "  %s", l)
		}
	}
	for _, p := range procs.Children(os.Getpid()) {
		if procs.Holds(p.PID, t.mark) {
			t.r.leftovers.Add(1)
			t.r.complain(t.seed, "a closed pool left %v", p)
		}
	}
	if _, last, left := procs.AwaitGone(t.mark, nil, time.Second); left {
		t.r.leftovers.Add(int64(len(last)))
		t.r.complain(t.seed, "a closed pool left %v", last)
	}
}

// options makes a pool's options.
func (t *trial) options(rng *rand.Rand, set settings) xme.Options {
	o := xme.Options{
		Workers: 1 + rng.IntN(set.workers), Link: set.link, Grace: time.Duration(5+rng.IntN(50)) * time.Millisecond,
		StartTimeout: 4 * time.Second, Env: append(os.Environ(), t.mark), Seed: t.seed,
		Spares: []int{-1, 0, 1, 2}[rng.IntN(4)], Recycle: []int{0, 0, 0, 7, 100, 1000}[rng.IntN(6)],
		Queue: []int{0, 0, 50, 1000}[rng.IntN(4)],
	}
	t.workers = o.Workers
	if rng.IntN(3) == 0 {
		o.MaxProcesses = o.Workers + rng.IntN(4)
		t.tight = true
	}
	if rng.IntN(3) == 0 {
		o.Memory = 256 << 20
	}
	if rng.IntN(2) == 0 {
		o.Setup = setup.Setup(1)
		t.setUp = true
	}
	o.Stdout = &lines{t: t, slow: rng.IntN(4) == 0}
	o.Stderr = o.Stdout
	o.Log.NoTime = true
	return o
}

// lines takes the workers' output and checks that each line is whole.
type lines struct {
	t    *trial
	slow bool
}

func (l *lines) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("DATA RACE")) {
		l.t.r.complain(l.t.seed, "a worker found a race:\n%s", b)
	}
	for line := range bytes.Lines(b) {
		if !bytes.HasPrefix(line, []byte("(pid@")) && !bytes.HasPrefix(line, []byte("xme: ")) || !bytes.HasSuffix(line, []byte("\n")) {
			l.t.r.complain(l.t.seed, "a line of output is not whole: %q", line)
		}
	}
	if l.slow {
		time.Sleep(20 * time.Millisecond)
	}
	return len(b), nil
}
