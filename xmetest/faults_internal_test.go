package xmetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
)

// simple is an executor that runs each call in its Submit, or does to it what end
// says instead.
type simple struct{ end func(*xme.Call) }

func (s simple) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		s.end(c)
	}
	return len(calls), nil
}

// run is what a sound executor does to a call.
func run(c *xme.Call) ([]byte, error) {
	switch {
	case !plain(c.Options()):
		return nil, fmt.Errorf("only plain calls: %w", errors.ErrUnsupported)
	case c.Context().Err() != nil:
		return nil, context.Cause(c.Context())
	}
	return c.Run(c.Context())
}

func sound(c *xme.Call) { c.Finish(run(c)) }

// A fault is a way to break an executor's contract: the part of Exercise that finds
// it, and what is said there.
type fault struct {
	part, want string
	open       func() xme.Executor
}

func every(end func(*xme.Call)) func() xme.Executor {
	return func() xme.Executor { return simple{end} }
}

// greedy says that it has accepted more than it was offered.
type greedy struct{ simple }

func (g greedy) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	n, err := g.simple.Submit(ctx, calls)
	return n + 1, err
}

var faults = map[string]fault{
	"drops calls":     {"values", "the executor hangs in part values", every(func(*xme.Call) {})},
	"finishes twice":  {"values", "Finish called twice", every(func(c *xme.Call) { sound(c); sound(c) })},
	"accepts more":    {"values", "accepted 2 of 1 calls", func() xme.Executor { return greedy{simple{sound}} }},
	"mixes up calls":  {"futures", "future 1: 0, <nil>", mixer},
	"mixes up rows":   {"map", "row 1: 0, <nil>", mixer},
	"encodes late":    {"arguments are captured", "its argument was changed after Go had returned", late},
	"ignores options": {"option On", "want an error that wraps errors.ErrUnsupported", every(func(c *xme.Call) { c.Finish(c.Run(c.Context())) })},
	"ignores the end": {"cancel", "context ended before: got <nil>", every(func(c *xme.Call) { c.Finish(c.Run(c.Context())) })},
	"keeps on after the end": {"map cut short", "row under way at the end of ctx: got <nil>", every(func(c *xme.Call) {
		body, err := run(c)
		if errors.Is(err, context.Canceled) {
			body, err = make([]byte, 8), nil // a zero int: as if there were a result
		}
		c.Finish(body, err)
	})},
	"hears no cancel": {"cancel", "context ended during: got", every(deaf)},
	"knows no errors": {"errors", "want one that is a known error", every(func(c *xme.Call) {
		body, err := run(c)
		if err != nil {
			err = errors.New(err.Error())
		}
		c.Finish(body, err)
	})},
	"mistakes causes": {"errors", "cause: got worker lost, want error", every(func(c *xme.Call) {
		body, err := run(c)
		if e := (*xme.Error)(nil); errors.As(err, &e) {
			e.Cause = xme.CauseLost
		}
		c.Finish(body, err)
	})},
	"seeds calls alike": {"surroundings", "seeds of rows, against Inline's", func() xme.Executor { return reseeder{} }},
}

// deaf hands a call's deadline on to where it runs, but not its end.
func deaf(c *xme.Call) {
	if !plain(c.Options()) {
		sound(c)
		return
	}
	args, err := c.AppendArgs(nil)
	if err == nil {
		err = context.Cause(c.Context())
	}
	if err != nil {
		c.Finish(nil, err)
		return
	}
	go func() {
		ctx := context.WithoutCancel(c.Context())
		if at, ok := c.Context().Deadline(); ok {
			var stop context.CancelFunc
			ctx, stop = context.WithDeadline(ctx, at)
			defer stop()
		}
		c.Finish(xme.Serve(ctx, c.Name(), args))
	}()
}

func plain(o xme.CallOptions) bool {
	return o.Timeout == 0 && len(o.On) == 0 && !o.Fresh && !o.Service && o.Memory == 0
}

// mixer gives each call but the first the result of the one before.
func mixer() xme.Executor {
	var mu sync.Mutex
	var last []byte
	return simple{func(c *xme.Call) {
		body, err := run(c)
		mu.Lock()
		defer mu.Unlock()
		if last == nil {
			last = body
		}
		body, last = last, body
		c.Finish(body, err)
	}}
}

// late runs a call when the next one comes.
func late() xme.Executor {
	var mu sync.Mutex
	var waiting *xme.Call
	return simple{func(c *xme.Call) {
		mu.Lock()
		defer mu.Unlock()
		if waiting != nil {
			sound(waiting)
		}
		waiting = c
	}}
}

// reseeder runs calls as others than they are, so that their seeds differ.
type reseeder struct{}

func (reseeder) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		args, err := c.AppendArgs(nil)
		if err != nil {
			c.Finish(nil, err)
			continue
		}
		clear(args[8:16]) // where the seed lies
		c.Finish(xme.Serve(ctx, c.Name(), args))
	}
	return len(calls), nil
}

// An executor that does nothing wrong passes, so what follows fails for its fault.
func TestExerciseSound(t *testing.T) { //nolint:tparallel // Exercise says what of it runs in parallel
	t.Parallel()
	Exercise(t, func(*testing.T) xme.Executor { return simple{sound} })
}

// TestFaulty is what TestExerciseFindsFaults has other processes run.
func TestFaulty(t *testing.T) {
	f, ok := faults[strings.TrimPrefix(os.Getenv(childEnv), "fault ")]
	if !ok {
		t.Skip("run by TestExerciseFindsFaults")
	}
	patience = time.Second
	Exercise(t, func(*testing.T) xme.Executor { return f.open() })
}

// Exercise fails on an executor that breaks its contract, and says how.
//
// feature: S11
func TestExerciseFindsFaults(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part := strings.ReplaceAll(f.part, " ", "_")
			out, err := self(t, "fault "+name, "-test.v", "-test.run=^TestFaulty$/^"+part+"$").CombinedOutput()
			if err == nil || !strings.Contains(string(out), f.want) {
				t.Errorf("%v, printed:\n%s\nwant %q in it", err, out, f.want)
			}
		})
	}
}
