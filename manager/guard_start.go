package manager

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

// RunningGuard is a guard in this process, started by [Manager.StartGuard]. Its methods may be
// called concurrently.
type RunningGuard struct {
	m      *Manager
	cancel context.CancelFunc
	over   chan struct{}
	report GuardReport
	err    error
}

// StartGuard starts a guard in this process, in which queued functions then run. It returns once
// the guard runs and its start-up function has returned; if another guard runs, the error wraps
// ErrGuardRuns, after a second. When ctx ends the guard drains the queue and ends: wait for that
// with [RunningGuard.Wait] before closing the manager.
func (m *Manager) StartGuard(ctx context.Context, o GuardOptions) (*RunningGuard, error) {
	return startGuard(ctx, GuardCall{Manager: m, Options: o}.Named().(GuardCall))
}

func startGuard(ctx context.Context, c GuardCall) (*RunningGuard, error) {
	g := &RunningGuard{m: c.Manager, over: make(chan struct{})}
	ctx, g.cancel = context.WithCancel(ctx)
	up := make(chan struct{})
	var once sync.Once
	ctx = context.WithValue(ctx, guardUpKey{}, func() { once.Do(func() { close(up) }) })
	go func() {
		defer close(g.over)
		defer g.cancel()
		g.report, g.err = c.run(ctx)
	}()
	select {
	case <-up:
		return g, nil
	case <-g.over:
		if g.err == nil {
			return g, nil
		}
		return nil, g.err
	}
}

type guardUpKey struct{}

// isUp tells who started a guard in this process that it runs.
func isUp(ctx context.Context) {
	if up, ok := ctx.Value(guardUpKey{}).(func()); ok {
		up()
	}
}

// Wait waits until the guard has ended, or ctx ends, and returns what the guard did.
func (g *RunningGuard) Wait(ctx context.Context) (GuardReport, error) {
	select {
	case <-g.over:
		return g.report, g.err
	case <-ctx.Done():
		return GuardReport{}, context.Cause(ctx)
	}
}

// Done returns a channel that is closed once the guard has ended.
func (g *RunningGuard) Done() <-chan struct{} { return g.over }

// Stop calls [Queue.Stop], then [RunningGuard.Wait].
func (g *RunningGuard) Stop(ctx context.Context) (GuardReport, error) {
	if err := g.m.Queue().Stop(ctx); err != nil {
		return GuardReport{}, err
	}
	return g.Wait(ctx)
}

// RunTable runs a table with a guard in this process: the guard ends once the rows have ended and
// what they queued has been done. The error is the table's and the guard's. When ctx ends, it ends
// the rows as for [xme.Table.Run], and within about a second the wait for the guard, which drains
// the queue nevertheless: the error then wraps ctx's cause, and [Queue.Stop] can wait for the rest.
func (m *Manager) RunTable(ctx context.Context, t *xme.Table, on xme.Executor, o GuardOptions) (GuardReport, error) {
	c := GuardCall{Manager: m, Options: o}.Named().(GuardCall).OfTable(ctx).(GuardCall)
	g, err := startGuard(context.WithoutCancel(ctx), c)
	if err != nil {
		return GuardReport{}, err
	}
	err = t.Run(ctx, on)
	for {
		if gerr := c.TableEnded(context.WithoutCancel(ctx)); gerr != nil && !errors.Is(gerr, ErrLost) {
			g.cancel()
			err = errors.Join(err, gerr)
		}
		select {
		case <-g.over:
			return g.report, errors.Join(err, g.err)
		case <-time.After(time.Second): // another process of the manager's may not have heard
		}
		if ctx.Err() != nil {
			return GuardReport{}, errors.Join(err, errorf("the guard drains the queue still: %w", context.Cause(ctx)))
		}
	}
}
