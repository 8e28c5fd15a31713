package mpi

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

// A broadcast of a call in a rank of Spawn is refused as a call is.
func TestBroadcastOfARank(t *testing.T) {
	c := inOneProcess(2, 4096)[0]
	for _, f := range join.Broadcast(t.Context(), c, joining{}) {
		if _, err := f.Wait(t.Context()); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(err.Error(), "they send messages") {
			t.Error(err)
		}
	}
}

// sulkingError is a cause whose methods panic.
type sulkingError struct{}

func (*sulkingError) Error() string   { panic("no") }
func (*sulkingError) Is(error) bool   { panic("no") }
func (*sulkingError) As(any) bool     { panic("no") }
func (*sulkingError) Unwrap() []error { panic("no") }

// A context's cause may have methods that panic: they end neither Run's driver nor Spawn's.
func TestCauseWhoseMethodsPanic(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&sulkingError{})
	if err := cancelled(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	var o order
	o.add(1, context.Cause(ctx))
	o.add(0, &RankError{Rank: 1, Why: Failed})
	if o.first != 2 || o.failed != 2 {
		t.Errorf("first %d, %d failed", o.first, o.failed)
	}
}
