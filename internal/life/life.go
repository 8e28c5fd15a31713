// Package life owns goroutines: whoever starts one holds a [Group], and stopping
// the group waits for all of them.
package life

import (
	"context"
	"sync"
)

// Group owns goroutines. The zero value is not usable; use [New]. All methods
// may be called concurrently.
type Group struct {
	ctx    context.Context //nolint:containedctx // a Group is this context's owner
	cancel context.CancelFunc

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

// New makes a group whose goroutines' context ends with Stop.
func New() *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Go starts f in a goroutine of the group and reports true, or false, without
// starting it, if the group has been stopped. f must return soon after its
// context ends.
func (g *Group) Go(f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	g.running.Go(func() { f(g.ctx) })
	return true
}

// Stop ends the goroutines' context, lets no more start, and returns when all
// have returned. Stopping again waits too. A goroutine of the group must not
// call it.
func (g *Group) Stop() {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
}
