package manager

import (
	"context"
	"time"

	"github.com/xenonmp/xme"
)

// guardChanged notes in the table whether a guard runs.
func (h *host) guardChanged() {
	h.noting.Lock() // the last one to note it has looked last
	defer h.noting.Unlock()
	c, err := own(GuardKey, GuardState{Status: h.queue.state().Guarded})
	if err == nil {
		_, _ = h.tables.byNumber[valueTable].update([]change{c}, true) // it fails once the manager is closed
	}
}

// heartDied notes that the process of an operator's heartbeat has died.
func (h *host) heartDied(o Operator) {
	_ = h.tables.setStatus(o.String(), "died "+time.Now().Format(time.RFC3339)) // it fails once the manager is closed
}

// say says how a guard is.
func (g *GuardCall) say(ctx context.Context, o GuardOptions) {
	limited, cancel := context.WithTimeout(ctx, o.Verbose)
	defer cancel()
	s, err := g.Manager.Queue().State(limited)
	if err != nil {
		return // the guard finds out
	}
	limit := "none"
	if o.Idle > 0 {
		limit = o.Idle.String()
	}
	xme.Logger(ctx).Info("guard", "since_last", s.Idle.Round(time.Millisecond).String(), "limit", limit, "queued", s.Len)
}
