package xmetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
)

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
	rows := 0
	for _, err := range double.Map(ctx, x, func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}) {
		if rows++; rows == 10 {
			stop()
		}
		if err != nil {
			wantErr(t, "row after the end of ctx", err, context.Canceled)
		}
	}
	if rows < 10 {
		t.Errorf("%d rows before the end", rows)
	}
}

// offered is an executor that notes which calls it is offered.
type offered struct {
	xme.Executor
	mu    sync.Mutex
	calls map[*xme.Call]bool
	first chan struct{} // closed at the first
}

func (o *offered) Submit(ctx context.Context, calls []*xme.Call) (int, error) {
	o.mu.Lock()
	if len(o.calls) == 0 {
		close(o.first)
	}
	for _, c := range calls {
		o.calls[c] = true
	}
	o.mu.Unlock()
	return o.Executor.Submit(ctx, calls)
}

// mapCut cuts a Map short none of whose rows ends by itself.
func mapCut(t *testing.T, ctx context.Context, x xme.Executor) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	o := &offered{Executor: x, calls: map[*xme.Call]bool{}, first: make(chan struct{})}
	go func() { // an executor may run the row before Submit returns
		select {
		case <-o.first:
			stop()
		case <-ctx.Done():
		}
	}()
	rows := 0
	for _, err := range await.Map(ctx, o, func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}) {
		want(t, "index of the row", wantErr(t, "row under way at the end of ctx", err, context.Canceled).Row, rows)
		rows++
	}
	o.mu.Lock()
	want(t, "rows, against calls offered", rows, len(o.calls))
	o.mu.Unlock()
	if rows == 0 {
		t.Error("the row that was under way when ctx ended was not yielded")
	}
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
