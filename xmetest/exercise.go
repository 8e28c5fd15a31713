package xmetest

import (
	"context"
	"errors"
	"io"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
)

// patience bounds every wait of Exercise: only against hanging. (Tests of this
// package, which wait for a hang, have less of it.)
var patience = 30 * time.Second

// Exercise runs the conformance suite on executors made by open, a new one for each part.
// If an executor needs closing, open registers that with t.Cleanup. To its callers, an
// executor that passes behaves as a pool does. Options that it refuses with
// errors.ErrUnsupported are skipped, and listed as such by go test -v.
func Exercise(t *testing.T, open func(*testing.T) xme.Executor) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*testing.T, context.Context, xme.Executor)
	}{
		{"values", values},
		{"errors", failures},
		{"futures", futures},
		{"arguments are captured", captured},
		{"cancel", cancel},
		{"deadline", deadline},
		{"encode", encode},
		{"map", mapOrder},
		{"map failures", mapFailures},
		{"map endless", mapEndless},
		{"map input panic", mapInputPanic},
		{"map context", mapContext},
		{"map cut short", mapCut},
		{"unordered", unordered},
		{"table", table},
		{"table context", tableContext},
		{"callers", callers},
		{"surroundings", surroundings},
		{"option Retries", retries},
		{"option Timeout", timeout},
		{"option On", on},
		{"option Fresh", fresh},
		{"option Service", service},
		{"options Retries and Service", retriedService},
		{"option Memory", memory},
		{"broadcast", broadcast},
		{"nested", nested},
	} {
		t.Run(part.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			dog := time.AfterFunc(2*patience, func() {
				debug.SetTraceback("all")
				panic("xmetest: the executor hangs in part " + part.name + ": it must end a call when the call's Context ends")
			})
			defer dog.Stop()
			part.run(t, ctx, open(t))
		})
	}
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantErr checks that err is an *xme.Error that is target, if there is one.
func wantErr(t *testing.T, what string, err, target error) *xme.Error {
	t.Helper()
	var e *xme.Error
	switch {
	case !errors.As(err, &e):
		t.Fatalf("%s: got %v (%T), want an *xme.Error", what, err, err)
	case target != nil && !errors.Is(err, target):
		t.Errorf("%s: got %v, want one that is %v", what, err, target)
	case !strings.Contains(e.Func, "."):
		t.Errorf("%s: the error names the function as %q, want its full name", what, e.Func)
	}
	return e
}

// skipUnsupported skips the test if err says that the executor does not offer what
// the test is about.
func skipUnsupported(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("not offered: %v", err)
	}
}

func values(t *testing.T, ctx context.Context, x xme.Executor) {
	n, err := double.Call(ctx, x, 21)
	want(t, "error", err, error(nil))
	want(t, "double(21)", n, 42)
	in := record{
		Name: "a", N: -1, Xs: []float64{1, 2.5}, Tags: map[string]string{"k": "v"}, Next: &record{Name: "b"},
		Plain: map[string]any{"i": 3, "s": "t", "l": []any{true, nil}},
	}
	out, err := echoRecord.Call(ctx, x, in)
	want(t, "error", err, error(nil))
	want(t, "record", out, in)
	big := make([]byte, 1<<20)
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	back, err := echoBytes.Call(ctx, x, big)
	want(t, "error", err, error(nil))
	if !slices.Equal(back, big) {
		t.Error("1 MiB came back changed")
	}
	accepted, err := x.Submit(ctx, nil)
	want(t, "Submit of nothing", accepted, 0)
	want(t, "its error", err, error(nil))
}

func failures(t *testing.T, ctx context.Context, x xme.Executor) {
	for how, target := range map[string]error{"text": nil, "known": errKnown, "eof": io.EOF, "panic": xme.ErrPanic, "nilmap": xme.ErrPanic, "goexit": xme.ErrPanic} {
		n, err := fail.Call(ctx, x, how)
		e := wantErr(t, how, err, target)
		want(t, how+": result beside an error", n, 0)
		if how == "text" {
			want(t, "cause", e.Cause, xme.CauseReturned)
			want(t, "message", e.Message, "plain text")
			if errors.Is(err, errKnown) || errors.Is(err, xme.ErrPanic) {
				t.Errorf("%v is what it is not", err)
			}
		}
		if how == "nilmap" && !strings.Contains(e.Stack, "funcs.go") {
			t.Errorf("the stack of a panic does not show its place:\n%s", e.Stack)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is more than a line: %q", how, err)
		}
	}
	n, err := fail.Call(ctx, x, "") // the executor lives on
	want(t, "error", err, error(nil))
	want(t, "result", n, 7)
}

func futures(t *testing.T, ctx context.Context, x xme.Executor) {
	var fs []*xme.Future[int]
	for i := range 1000 {
		fs = append(fs, double.Go(ctx, x, i))
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i, f := range fs {
				if n, err := f.Wait(ctx); n != 2*i || err != nil {
					t.Errorf("future %d: %d, %v", i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-fs[0].Done():
	default:
		t.Error("Done is not closed after Wait")
	}
}

func captured(t *testing.T, ctx context.Context, x xme.Executor) {
	buf := make([]byte, 8)
	var fs []*xme.Future[[]byte]
	for i := range 50 {
		for j := range buf {
			buf[j] = byte(i)
		}
		fs = append(fs, echoBytes.Go(ctx, x, buf))
	}
	for i, f := range fs {
		b, err := f.Wait(ctx)
		if err != nil || len(b) != 8 || b[0] != byte(i) || b[7] != byte(i) {
			t.Fatalf("call %d got %v, %v: its argument was changed after Go had returned", i, b, err)
		}
	}
}

// rowBegins is within what a row has begun, on most executors: there is no telling from outside.
const rowBegins = 100 * time.Millisecond

func cancel(t *testing.T, ctx context.Context, x xme.Executor) {
	gone, stop := context.WithCancel(ctx)
	stop()
	_, err := double.Call(gone, x, 1)
	wantErr(t, "context ended before", err, context.Canceled)

	for _, begins := range []time.Duration{0, rowBegins} {
		started := make(chan *xme.Future[int], 1)
		callCtx, stop := context.WithCancel(ctx)
		defer stop()
		go func() { started <- await.Go(callCtx, x, 0) }() // an executor may run it before Go returns
		<-time.After(begins)
		stop()
		_, err = (<-started).Wait(ctx)
		wantErr(t, "context ended during", err, context.Canceled)
	}

	n, err := double.Call(ctx, x, 4)
	want(t, "error after a cancel", err, error(nil))
	want(t, "result after a cancel", n, 8)
}

func deadline(t *testing.T, ctx context.Context, x xme.Executor) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	_, err := await.Call(ctx, x, 0)
	wantErr(t, "deadline", err, context.DeadlineExceeded)
}

func encode(t *testing.T, ctx context.Context, x xme.Executor) {
	_, err := echoRecord.Call(ctx, x, record{Plain: map[string]any{"c": make(chan int)}})
	e := wantErr(t, "a channel inside any", err, xme.ErrEncode)
	if !strings.Contains(e.Message, "Plain") || !strings.Contains(e.Message, "chan int") {
		t.Errorf("the error does not name field and type: %v", err)
	}
	n, err := double.Call(ctx, x, 4) // nothing stays behind
	want(t, "error after an argument that cannot cross", err, error(nil))
	want(t, "result", n, 8)
}

func callers(t *testing.T, ctx context.Context, x xme.Executor) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				if n, err := double.Call(ctx, x, g*1000+i); n != 2*(g*1000+i) || err != nil {
					t.Errorf("caller %d, call %d: %d, %v", g, i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func surroundings(t *testing.T, ctx context.Context, x xme.Executor) {
	seeds := func(x xme.Executor) (list []uint64) {
		for s, err := range look.Map(ctx, x, count(20)) {
			want(t, "error", err, error(nil))
			want(t, "Logger", s.Logger, true)
			want(t, "Current", s.Current, true)
			list = append(list, s.Seed)
		}
		return list
	}
	got := seeds(x)
	want(t, "seeds of rows, against Inline's", got, seeds(xme.Inline()))
	slices.Sort(got)
	want(t, "different seeds", len(slices.Compact(got)), 20)
	a, err := look.Call(ctx, x, 0)
	want(t, "error", err, error(nil))
	b, err := look.Call(ctx, x, 0)
	want(t, "error", err, error(nil))
	if a.Seed == b.Seed {
		t.Error("two calls have the same seed")
	}
}
