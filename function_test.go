package xme_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/xmetest"
)

// Two functions with one bare name: xmetest registers another "double".
var _ = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// feature: S1, P2
func TestLookup(t *testing.T) {
	t.Parallel()
	const pkg = "github.com/xenonmp/xme_test."
	if square.Name() != pkg+"square" {
		t.Errorf("full name %q", square.Name())
	}
	for name, want := range map[string]string{
		pkg + "square": "", "square": "",
		"double":     "is the name of several functions: use one of github.com/xenonmp/xme/xmetest.double, " + pkg + "double",
		pkg + "none": `no function "` + pkg + `none" is registered; there are: `,
	} {
		f, err := xme.Lookup[int, int](name)
		switch {
		case want == "":
			if err != nil || f != square {
				t.Errorf("Lookup(%q) = %v, %v", name, f, err)
			}
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("Lookup(%q): %v; want %q in it", name, err, want)
		}
	}
	_, err := xme.Lookup[string, int]("square")
	if err == nil || !strings.Contains(err.Error(), "func(context.Context, int) (int, error)") || !strings.Contains(err.Error(), "func(context.Context, string)") {
		t.Errorf("other types: %v; want both sides in it", err)
	}
}

// A field that the caller skips stays zero; the others land where they belong.
// feature: S9, F9
func TestSkippedKeyword(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	got, err := describe.Call(t.Context(), pool, request{A2: "second", Args: []int{1}, Kwargs: map[string]any{"kw1": "k", "n": int8(1)}})
	if want := "0  second [1] kw1=k n=int8"; got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// feature: U1, U2, S9
func TestRefusedTypes(t *testing.T) {
	t.Parallel()
	type inner struct {
		OK   int
		Hook func()
	}
	type hidden struct {
		Name  string
		cache int
	}
	_ = hidden{cache: 1}.cache
	for want, register := range map[string]func(){
		"chan int":     func() { xme.Register("x", func(context.Context, chan int) (int, error) { return 0, nil }) },
		"[].Hook":      func() { xme.Register("x", func(context.Context, []map[string]*inner) (int, error) { return 0, nil }) },
		"hidden.cache": func() { xme.Register("x", func(context.Context, hidden) (int, error) { return 0, nil }) },
		"error":        func() { xme.Register("x", func(context.Context, int) (error, error) { return nil, nil }) },
		"nil":          func() { xme.Register[int, int]("x", nil) },
		"1 to 200":     func() { xme.Register("", func(context.Context, int) (int, error) { return 0, nil }) },
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) || !strings.Contains(msg, "function_test.go:") {
					t.Errorf("panic %q; want %q and the place in it", msg, want)
				}
			}()
			register()
		}()
	}
}

// What a pool is made of says nothing to who wants to call on it in a task.
//
// feature: U1, U2, S9
func TestRefusedHandles(t *testing.T) {
	t.Parallel()
	type hidden struct {
		Name string
		pool *xme.Pool
	}
	_ = hidden{}.pool
	const (
		pool   = "a pool lives in one process; take xme.Current(ctx) in the task"
		fn     = "use the package-level handle by its name in the task"
		future = "wait there and pass the value"
		table  = "a table runs in the process that made it; pass the values"
	)
	for name, tc := range map[string]struct {
		register func()
		want     string
	}{
		"pool":              {func() { registerOf[*xme.Pool]() }, pool},
		"pool by value":     {func() { registerOf[xme.Pool]() }, pool},
		"pools":             {func() { registerOf[map[string][]*xme.Pool]() }, pool},
		"pool in a field":   {func() { registerOf[struct{ Pool *xme.Pool }]() }, pool},
		"hidden pool":       {func() { registerOf[hidden]() }, pool},
		"executor":          {func() { registerOf[xme.Executor]() }, pool},
		"function":          {func() { registerOf[*xme.Func[int, string]]() }, fn},
		"function by value": {func() { registerOf[struct{ F xme.Func[int, string] }]() }, fn},
		"future":            {func() { registerOf[[]*xme.Future[int]]() }, future},
		"table":             {func() { registerOf[*xme.Table]() }, table},
		"rows":              {func() { registerOf[*xme.Rows[int]]() }, table},
		"manager by value":  {func() { registerOf[manager.Manager]() }, "it is a handle, which crosses by pointer; use *manager.Manager"},
		"lock by value":     {func() { registerOf[struct{ L manager.Lock }]() }, "use *manager.Lock"},
		"monitor by value":  {func() { registerOf[monitor.Monitor]() }, "use *monitor.Monitor"},
		"as a result": {
			func() { xme.Register("x", func(context.Context, int) (*xme.Pool, error) { return nil, nil }) }, pool,
		},
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, tc.want) {
					t.Errorf("%s: panic %q; want %q in it", name, msg, tc.want)
				}
			}()
			tc.register()
		}()
	}
}

func registerOf[In any]() {
	xme.Register("x", func(context.Context, In) (int, error) { return 0, nil })
}

// feature: S4, S5, F8
func TestSplit(t *testing.T) {
	t.Parallel()
	a, b := make(xme.Array[int], 10), xme.Array[string]{"b1", "b2", "b3"}
	var got []string
	for s := range xme.Split(func(i int) string { return fmt.Sprint(a.At(i), b.At(i)) }, a, b) {
		got = append(got, s)
	}
	if len(got) != 10 || got[1] != "0b2" || got[2] != "0b3" || got[9] != "0b3" {
		t.Errorf("%q", got)
	}
	rows := func(over ...interface{ Len() int }) (n int) {
		for range xme.Split(func(int) int { return 0 }, over...) {
			n++
		}
		return n
	}
	if n := rows(); n != 1 {
		t.Errorf("no array: %d rows, want 1", n)
	}
	if n := rows(xme.Array[int]{}, xme.Array[string]{}); n != 0 {
		t.Errorf("all empty: %d rows, want none", n)
	}
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.Contains(msg, "array 2 (xme.Array[string]) is empty beside one of 3") {
			t.Errorf("one empty: panic %q", msg)
		}
	}()
	rows(make(xme.Array[int], 3), xme.Array[string]{})
}
