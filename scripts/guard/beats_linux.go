package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// beatJob has a process append calls with a heartbeat, and die.
type beatJob struct {
	M       *manager.Manager // as the operator
	Record  *shm.Array[int64]
	Row, N  int
	Drop    bool
	Returns bool // it does not die
}

var beatRow = xme.Register("beat", func(ctx context.Context, j beatJob) (int, error) {
	h, err := j.M.Heartbeat(ctx, manager.HeartbeatOptions{Every: 10 * time.Millisecond, Drop: j.Drop})
	if err != nil {
		return 0, err
	}
	o, err := manager.Find[tally](ctx, j.M, beatTally)
	if err != nil {
		return 0, err
	}
	words := j.Record.Slice()[2*j.Row:][:2]
	for i := range j.N {
		atomic.StoreInt64(&words[0], int64(i+1))
		if _, err := countFor.Append(ctx, o, j.Row); err != nil {
			return i, err
		}
		atomic.StoreInt64(&words[1], int64(i+1))
	}
	if !j.Returns {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
	return j.N, h.Stop() // or the next row, which dies, may come before the manager knows
})

// beatTally is the name of what counts.
const beatTally = "beats"

// beats has processes die with a heartbeat, with a guard and without one.
func beats(ctx context.Context, s *soak, pool *xme.Pool, m *manager.Manager, d time.Duration) error {
	var n beatSums
	for end := time.Now().Add(d); time.Now().Before(end); n.rounds++ {
		dog := s.watchdog(roundLimit, nil)
		err := s.beatRound(ctx, pool, m, &n)
		dog.Stop()
		if err != nil {
			return err
		}
	}
	s.say("%d rounds: %d processes died, %d of them with their calls to be dropped; %d calls accepted, %d counted, %d dropped", n.rounds, n.died, n.drops, n.accepted, n.counted, n.dropped)
	return nil
}

type beatSums struct{ rounds, died, drops, accepted, counted, dropped int }

// beatRound has some operators' processes die.
func (s *soak) beatRound(ctx context.Context, pool *xme.Pool, m *manager.Manager, n *beatSums) error {
	return withArray(2*workers, func(record *shm.Array[int64]) error {
		o, err := manager.ShareNew(ctx, m, beatTally, newTally, struct{}{})
		if err != nil {
			return err
		}
		guarded := s.rng.IntN(2) == 0
		start := func() (g *manager.RunningGuard, err error) {
			return m.StartGuard(ctx, manager.GuardOptions{Idle: -1, Verbose: -1})
		}
		// A guard that has ended has nothing be accepted until another one begins.
		g, err := start()
		if err != nil {
			return err
		}
		jobs := make([]beatJob, 1+s.rng.IntN(workers))
		for i := range jobs {
			op, err := m.NewOperator(ctx)
			if err != nil {
				return err
			}
			jobs[i] = beatJob{M: m.As(op), Record: record, Row: i, N: s.rng.IntN(200), Drop: s.rng.IntN(2) == 0, Returns: s.rng.IntN(4) == 0}
		}
		hold := make(chan struct{})
		if !guarded { // nothing is run before all have died
			h, err := s.hold(ctx, m, hold)
			if err != nil {
				return err
			}
			defer h()
		}
		var own []*manager.Future[int]
		for i := range jobs {
			as, err := manager.Find[tally](ctx, jobs[i].M, beatTally)
			if err != nil {
				return err
			}
			f, err := countFor.Append(ctx, as, len(jobs)+i)
			if err != nil {
				return err
			}
			own = append(own, f)
		}
		var all []*xme.Future[int]
		for i := range jobs {
			all = append(all, beatRow.Go(ctx, pool, jobs[i]))
		}
		for i, f := range all {
			if _, err := f.Wait(ctx); err != nil && s.lost(i, err) && jobs[i].Returns {
				s.wrong("row %d was to return: %v", i, err)
			}
			if err := s.awaitStatus(ctx, m, &jobs[i]); err != nil {
				return err
			}
		}
		close(hold)
		if _, err := g.Stop(ctx); err != nil {
			return err
		}
		s.quiet(ctx, m)
		t, err := sumsOf.Call(ctx, o, struct{}{})
		if err != nil {
			return err
		}
		for i := range jobs {
			s.lookBeat(ctx, &jobs[i], t, own[i], len(jobs)+i, guarded, n)
		}
		return o.Release(ctx)
	})
}

// holder is an object whose method holds up the queue.
type holder struct{}

// Hold waits.
func (holder) Hold(ctx context.Context, e *shm.Event) (int, error) { return 0, e.Wait(ctx) }

var (
	newHolder = manager.Constructor("new", func(context.Context, struct{}) (*holder, error) { return &holder{}, nil })
	holdOn    = manager.Method("hold", (*holder).Hold)
)

// hold has the queue stand still until a channel is closed.
func (s *soak) hold(ctx context.Context, m *manager.Manager, until <-chan struct{}) (end func(), err error) {
	e, err := shm.NewEvent()
	if err != nil {
		return nil, err
	}
	o, err := manager.ShareNew(ctx, m, "", newHolder, struct{}{})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	f, err := holdOn.Append(ctx, o, e)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	go func() {
		<-until
		_ = e.Set()
	}()
	return func() {
		if _, err := f.Wait(ctx); err != nil {
			s.wrong("what holds up the queue: %v", err)
		}
		if err := errors.Join(e.Close(), o.Release(ctx)); err != nil {
			s.wrong("what holds up the queue: %v", err)
		}
	}, nil
}

// awaitStatus waits until the status says what became of a process.
func (s *soak) awaitStatus(ctx context.Context, m *manager.Manager, j *beatJob) error {
	name, want := j.M.Operator().String(), "died "
	if j.Returns {
		want = "ended "
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ev, err := range manager.Watch(ctx, m, manager.StatusKey) {
		if err != nil {
			return fmt.Errorf("the status of %s: %w", name, err)
		}
		all, err := manager.As[map[string]string](ev.Value)
		if err != nil {
			return err
		}
		if strings.HasPrefix(all[name], want) {
			return nil
		}
	}
	return errors.New("the watch ended without an error")
}

// lookBeat compares what became of an operator's calls.
func (s *soak) lookBeat(ctx context.Context, j *beatJob, t tally, own *manager.Future[int], ownRow int, guarded bool, n *beatSums) {
	tried, known, counted := int(j.Record.Slice()[2*j.Row]), int(j.Record.Slice()[2*j.Row+1]), t.Rows[j.Row]
	dropped, done := 0, 0
	for r, err := range j.M.Queue().Results(ctx) {
		switch {
		case errors.Is(err, manager.ErrGuardStopped):
		case err != nil:
			s.wrong("the results of %v end with %v", j.M.Operator(), err)
		case r.Dropped != 0:
			s.wrong("%v: %d results went", j.M.Operator(), r.Dropped)
		case r.Err == nil:
			done++
		case errors.Is(r.Err, manager.ErrDropped):
			dropped++
		default:
			s.wrong("%v: a result is %v", j.M.Operator(), r.Err)
		}
	}
	_, err := own.Wait(ctx)
	drops := j.Drop && !j.Returns
	if !j.Returns {
		n.died++
	}
	if drops {
		n.drops++
	}
	n.accepted += known + 1
	n.counted += counted + t.Rows[ownRow]
	n.dropped += dropped
	if known != j.N || tried != j.N {
		s.wrong("%d of %d were accepted", known, j.N)
	}
	if done != counted+t.Rows[ownRow] || done+dropped != known+1 {
		s.wrong("%v: %d results and %d dropped of %d; %d and %d counted", j.M.Operator(), done, dropped, known+1, counted, t.Rows[ownRow])
	}
	switch {
	case err != nil && (!errors.Is(err, manager.ErrDropped) || !drops || t.Rows[ownRow] != 0), err == nil && t.Rows[ownRow] != 1:
		s.wrong("%v: the driver's call was counted %d times: %v", j.M.Operator(), t.Rows[ownRow], err)
	case !drops && dropped != 0, drops && !guarded && done != 0:
		s.wrong("%v: %d run and %d dropped; drop: %v", j.M.Operator(), done, dropped, drops)
	}
}
