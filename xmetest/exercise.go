package xmetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
)

// patience bounds every wait of Exercise: only against hanging.
const patience = 30 * time.Second

// Exercise runs the conformance suite on executors that open makes, a fresh one
// for each part, closed by t.Cleanup if it needs closing. An executor that passes
// behaves to its callers as a pool does. Options that it refuses with
// errors.ErrUnsupported are skipped, and so listed by go test -v.
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

func cancel(t *testing.T, ctx context.Context, x xme.Executor) {
	gone, stop := context.WithCancel(ctx)
	stop()
	_, err := double.Call(gone, x, 1)
	wantErr(t, "context ended before", err, context.Canceled)

	started := make(chan *xme.Future[int], 1)
	callCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { started <- await.Go(callCtx, x, 0) }() // an executor may run it before Go returns
	stop()
	_, err = (<-started).Wait(ctx)
	wantErr(t, "context ended during", err, context.Canceled)

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

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func mapOrder(t *testing.T, ctx context.Context, x xme.Executor) {
	read := 0
	seq := double.Map(ctx, x, func(yield func(int) bool) {
		for i := range 3000 {
			read++
			if !yield(i) {
				return
			}
		}
	})
	want(t, "values read before ranging", read, 0)
	for range 2 { // each range runs anew
		i := 0
		for n, err := range seq {
			if n != 2*i || err != nil {
				t.Fatalf("row %d: %d, %v", i, n, err)
			}
			i++
		}
		want(t, "rows", i, 3000)
	}
}

func mapFailures(t *testing.T, ctx context.Context, x xme.Executor) {
	hows := []string{"", "text", "", "panic", ""}
	i := 0
	for n, err := range fail.Map(ctx, x, slices.Values(hows)) {
		if hows[i] == "" {
			want(t, fmt.Sprint("row ", i), n, 7)
			want(t, fmt.Sprint("error of row ", i), err, error(nil))
		} else {
			want(t, "row of the error", wantErr(t, "row", err, nil).Row, i)
		}
		i++
	}
	want(t, "rows", i, len(hows))
}

func mapEndless(t *testing.T, ctx context.Context, x xme.Executor) {
	i := 0
	block := make(chan struct{})
	ended := make(chan struct{})
	for n, err := range double.Map(ctx, x, func(yield func(int) bool) {
		defer close(ended)
		for i := 0; yield(i); i++ {
			if i == 99 {
				<-block // leaving must not wait for this
			}
		}
	}) {
		if n != 2*i || err != nil {
			t.Fatalf("row %d: %d, %v", i, n, err)
		}
		if i++; i == 100 {
			break
		}
	}
	close(block)
	<-ended
}

func mapInputPanic(t *testing.T, ctx context.Context, x xme.Executor) {
	rows := 0
	defer func() {
		r := recover()
		if s := fmt.Sprint(r); !strings.Contains(s, "in the input on purpose") {
			t.Errorf("recovered %v, want the input's panic", r)
		}
		want(t, "rows before the panic", rows, 5)
	}()
	for _, err := range double.Map(ctx, x, func(yield func(int) bool) {
		for i := range 5 {
			yield(i)
		}
		panic("in the input on purpose")
	}) {
		want(t, "error", err, error(nil))
		rows++
	}
	t.Error("the input's panic did not reach the ranger")
}

func mapContext(t *testing.T, ctx context.Context, x xme.Executor) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rows, failed := 0, 0
	for _, err := range double.Map(ctx, x, func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}) {
		if rows++; rows == 10 {
			stop()
		}
		if err != nil {
			wantErr(t, "row after the end of ctx", err, context.Canceled)
			failed++
		}
	}
	if rows < 10 {
		t.Errorf("%d rows before the end", rows)
	}
	t.Logf("%d rows, %d of them with the context's error", rows, failed)
}

func unordered(t *testing.T, ctx context.Context, x xme.Executor) {
	got := map[int]int{}
	for r := range double.Unordered(ctx, x, count(1000)) {
		if r.Err != nil || r.Value != 2*r.Index {
			t.Fatalf("row %d: %d, %v", r.Index, r.Value, r.Err)
		}
		got[r.Index]++
	}
	want(t, "rows", len(got), 1000)
	for i, n := range got {
		want(t, fmt.Sprint("times row ", i, " came"), n, 1)
	}
}

func table(t *testing.T, ctx context.Context, x xme.Executor) {
	var tab xme.Table
	doubles := double.Add(&tab, count(100))
	fails := fail.Add(&tab, slices.Values([]string{"", "known", "panic"}))
	if _, err := doubles.Values(); err == nil {
		t.Error("Values before Run gives no error")
	}
	for _, err := range doubles.All() {
		if err == nil {
			t.Error("All before Run gives no error")
		}
	}
	err := tab.Run(ctx, x)
	wantErr(t, "Run of a table with failing rows", err, nil)
	if !strings.Contains(err.Error(), "2 of 103 rows failed") {
		t.Errorf("Run: %v; want it to count", err)
	}
	ns, err := doubles.Values()
	want(t, "error", err, error(nil))
	for i, n := range ns {
		want(t, fmt.Sprint("row ", i), n, 2*i)
	}
	want(t, "rows", len(ns), 100)
	if _, err = fails.Values(); !errors.Is(err, errKnown) {
		t.Errorf("Values: %v, want the first error, %v", err, errKnown)
	}
	i := 0
	for _, err := range fails.All() {
		want(t, fmt.Sprint("row ", i, " failed"), err != nil, i > 0)
		if i == 1 {
			want(t, "index of row 1 in the table", wantErr(t, "row 1", err, errKnown).Row, 101)
		}
		i++
	}
	want(t, "rows", i, 3)
	if tab.Run(ctx, x) == nil {
		t.Error("a second Run gives no error")
	}
}

func tableContext(t *testing.T, ctx context.Context, x xme.Executor) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	block := make(chan struct{})
	defer close(block)
	var tab xme.Table
	rows := double.Add(&tab, func(yield func(int) bool) {
		if yield(1) {
			stop()
			<-block // an input that does not come back must not hold Run up
		}
	})
	later := double.Add(&tab, count(3))
	if err := tab.Run(ctx, x); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if _, err := rows.Values(); !errors.Is(err, context.Canceled) {
		t.Errorf("Values of an input cut short: %v", err)
	}
	if _, err := later.Values(); !errors.Is(err, context.Canceled) {
		t.Errorf("Values of an input that was never read: %v", err)
	}
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
