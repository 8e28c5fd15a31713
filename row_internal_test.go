package xme

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

var benchAdd = Register("bench.add", func(_ context.Context, n int) (int, error) { return n + 1, nil })

// BenchmarkWorkerRow times what a worker does with a row besides its link.
func BenchmarkWorkerRow(b *testing.B) {
	side := workerSide(wire.Hello{Rank: 1, MaxMessage: 1 << 30}, nil, nil)
	in := 41
	args, err := wire.Append(benchAdd.in, appendMeta(nil, 7, 7), &in, nil)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	done := func(_ wire.Kind, body []byte, _ *wire.Parcel) { dst = body }
	f := link.Frame{Kind: wire.KindCall, Func: benchAdd.fn.index, Call: 1, Body: args}
	b.ReportAllocs()
	for b.Loop() {
		side.Begin(&f).Run(&f, dst[:0], done)
	}
}

// A row's context is a context like any other, whenever somebody comes to look.
func TestRowContext(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	looks := map[string]func(*workerRow) context.Context{
		"itself": func(r *workerRow) context.Context { return r },
		"derived": func(r *workerRow) context.Context {
			ctx, cancel := context.WithCancel(r)
			_ = cancel // its parent ends it
			return ctx
		},
		"by value": func(r *workerRow) context.Context { return context.WithValue(r, inlineKey{}, 1) },
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				early := &workerRow{}
				ctx := look(early)
				if ctx.Err() != nil || context.Cause(ctx) != nil || taskOf(ctx) != &early.task || ctx.Value("key") != nil {
					t.Errorf("before its end: %v, %v, task %p", ctx.Err(), context.Cause(ctx), taskOf(ctx))
				}
				called := make(chan struct{})
				context.AfterFunc(ctx, func() { close(called) })
				early.Cancel(why)
				<-called
				late := &workerRow{}
				late.Cancel(why)
				late.Cancel(errors.New("too late"))
				for when, ctx := range map[string]context.Context{"before": ctx, "after": look(late)} {
					<-ctx.Done()
					if ctx.Err() != context.Canceled || context.Cause(ctx) != why { //nolint:errorlint // identity is meant
						t.Errorf("looked at %s its end: %v, cause %v", when, ctx.Err(), context.Cause(ctx))
					}
				}
			})
		})
	}
}
