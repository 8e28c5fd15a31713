package xme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmelog"
	"github.com/xenonmp/xme/xmetest"
)

// panicking is an executor that breaks its contract.
type panicking struct{}

func (panicking) Submit(context.Context, []*xme.Call) (int, error) { panic("not today") }

// Mistakes of the caller or of an executor end in a panic that says what, on the
// caller's goroutine; they do not hang.
// feature: S11
func TestMistakesDoNotHang(t *testing.T) {
	t.Parallel()
	var none *xme.Pool
	for name, tc := range map[string]struct {
		on   xme.Executor
		want string
	}{
		"nil pool":      {none, "nil executor"},
		"nil executor":  {nil, "nil executor"},
		"executor dies": {panicking{}, "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, tc.want) {
					t.Errorf("panic %q, want %q in it", msg, tc.want)
				}
			}()
			for _, err := range square.Map(t.Context(), tc.on, count(3)) {
				if err == nil {
					t.Error("a row succeeded")
				}
			}
			t.Error("no panic")
		})
	}
}

// A context's own cause does not make a cancelled row look like one that failed.
// feature: S12
func TestCancelCause(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, on := range map[string]xme.Executor{"pool": xmetest.Open(t, xme.Options{Workers: 1}), "inline": xme.Inline()} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(boom)
		_, err := square.Call(ctx, on, 3)
		var e *xme.Error
		if !errors.As(err, &e) || e.Cause != xme.CauseCancelled || !errors.Is(err, context.Canceled) || !errors.Is(err, boom) {
			t.Errorf("%s: %v; want it cancelled, with the cause", name, err)
		}
	}
	// One that runs, and returns what its context says.
	begun, g, _ := gates(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	f := saysAndWaits.Go(ctx, xmetest.Open(t, xme.Options{Workers: 1}), g)
	readBegun(t, begun, 1)
	cancel(boom)
	if _, err := f.Wait(t.Context()); !errors.Is(err, context.Canceled) || !errors.Is(err, boom) {
		t.Errorf("%v; want it cancelled, with the cause", err)
	}
	// One that does not listen.
	ctx, cancel = context.WithCancelCause(t.Context())
	f = waits.Go(ctx, xmetest.Open(t, quiet(xme.Options{})), g)
	readBegun(t, begun, 1)
	cancel(boom)
	_, err := f.Wait(t.Context())
	var e *xme.Error
	if !errors.As(err, &e) || e.Cause != xme.CauseCancelled || !e.Killed || !errors.Is(err, context.Canceled) || !errors.Is(err, boom) {
		t.Errorf("%v; want it cancelled and killed, with the cause", err)
	}
}

// A row that is cancelled because another one failed, as errgroup does it, is cancelled: the other's panic, stack and process are not its own.
// feature: S12
func TestCancelledForAnotherRow(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, quiet(xme.Options{Grace: patience}))
	_, failed := dies.Call(t.Context(), pool, "panic")
	if !errors.Is(failed, xme.ErrPanic) {
		t.Fatal(failed)
	}
	running := func(f *xme.Func[gate, int]) func(context.Context, func(), xme.Executor) error {
		return func(ctx context.Context, cancel func(), on xme.Executor) error {
			begun, g, _ := gates(t)
			ended := make(chan error, 1)
			go func() {
				_, err := f.Call(ctx, on, g)
				ended <- err
			}()
			readBegun(t, begun, 1)
			cancel()
			return <-ended
		}
	}
	type ways map[string]func(ctx context.Context, cancel func(), on xme.Executor) error
	all := ways{
		"unbegun": func(ctx context.Context, cancel func(), on xme.Executor) error {
			cancel()
			_, err := square.Call(ctx, on, 3)
			return err
		},
		"future": func(ctx context.Context, cancel func(), on xme.Executor) error {
			cancel()
			_, err := square.Go(ctx, on, 3).Wait(context.WithoutCancel(ctx))
			return err
		},
		"sequence": func(ctx context.Context, cancel func(), on xme.Executor) (last error) {
			cancel()
			for _, err := range square.Map(ctx, on, count(3)) {
				last = err
			}
			return last
		},
		"obeys":             running(saysAndWaits),
		"returns the cause": running(saysAndReturnsCause),
	}
	for _, tc := range []struct {
		name string
		on   xme.Executor
		ways ways
	}{
		{"pool", pool, all},
		{"inline", xme.Inline(), all},
		{"short grace", xmetest.Open(t, quiet(xme.Options{})), ways{"killed": running(waits)}},
	} {
		for name, why := range map[string]error{"itself": failed, "wrapped": fmt.Errorf("giving up: %w", failed)} {
			for how, run := range tc.ways {
				ctx, cancel := context.WithCancelCause(t.Context())
				err := run(ctx, func() { cancel(why) }, tc.on)
				var e *xme.Error
				switch {
				case !errors.As(err, &e) || e.Cause != xme.CauseCancelled || e.Func == failed.(*xme.Error).Func: //nolint:errorlint // it is one
					t.Errorf("%s, %s, %s: %+v; want it cancelled", tc.name, name, how, err)
				case !errors.Is(err, context.Canceled) || !errors.Is(err, why) || !errors.Is(err, failed) || errors.Is(err, xme.ErrPanic):
					t.Errorf("%s, %s, %s: %v: cancelled: %t, for the cause: %t, %t, a panic: %t", tc.name, name, how, err,
						errors.Is(err, context.Canceled), errors.Is(err, why), errors.Is(err, failed), errors.Is(err, xme.ErrPanic))
				case strings.Contains(e.Stack, "choose") || e.Output != "" || e.Nested != nil || !strings.Contains(e.Message, "index out of range"):
					t.Errorf("%s, %s, %s: %+v: what is another row's?", tc.name, name, how, err)
				case e.Killed != (how == "killed"):
					t.Errorf("%s, %s, %s: %+v, killed: %t", tc.name, name, how, err, e.Killed)
				}
			}
		}
	}
}

var saysAndReturnsCause = xme.Register("saysAndReturnsCause", func(ctx context.Context, g gate) (int, error) {
	if _, err := g.Said.Write([]byte{0}); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, context.Cause(ctx)
})

var saysAndWaits = xme.Register("saysAndWaits", func(ctx context.Context, g gate) (int, error) {
	if _, err := g.Said.Write([]byte{0}); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
})

// feature: S7
func TestClosedPool(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	_ = pool.Close()
	_, g, _ := gates(t)
	for range 20 { // the duplicated files must not stay open: xmetest.Main looks
		if _, err := pass.Call(t.Context(), pool, g); !errors.Is(err, xme.ErrClosed) {
			t.Fatal(err)
		}
	}
	fs := square.Broadcast(t.Context(), pool, 1)
	if len(fs) != 1 {
		t.Fatalf("%d futures", len(fs))
	}
	if _, err := fs[0].Wait(t.Context()); !errors.Is(err, xme.ErrClosed) {
		t.Errorf("Broadcast on a closed pool: %v", err)
	}
}

// A pool that closes ends a Map, and a Table's Run, whose input blocks.
// feature: S7
func TestCloseEndsBlockedInput(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	never := make(chan int)
	t.Cleanup(func() { close(never) })
	input := func(yield func(int) bool) {
		if yield(1) {
			<-never
		}
	}
	var tab xme.Table
	square.Add(&tab, input)
	ran := make(chan error, 1)
	go func() { ran <- tab.Run(t.Context(), pool) }()
	checkCut(t, square.Map(t.Context(), pool, input), 1, xme.ErrClosed, func() { go func() { _ = pool.Close() }() })
	if err := <-ran; !errors.Is(err, xme.ErrClosed) {
		t.Errorf("Run: %v, want ErrClosed", err)
	}
}

var nestApart = xme.Register("nestApart", func(ctx context.Context, n int) (int, error) {
	return square.Call(context.Background(), xme.Current(ctx), n)
})

// feature: S11
func TestInlineNestedWithAnotherContext(t *testing.T) {
	t.Parallel()
	if n, err := nestApart.Call(t.Context(), xme.Inline(), 6); n != 36 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

var poison = xme.Register("poison", func(context.Context, explosive) (int, error) { return 0, nil })

// explosive ends the process that decodes it, as a lack of memory may.
type explosive struct{}

func (e explosive) MarshalBinary() ([]byte, error) { return []byte{1}, nil }

func (e *explosive) UnmarshalBinary([]byte) error { os.Exit(9); return nil }

// A row that kills whoever decodes its argument is charged, and the next one runs.
// feature: S12
func TestArgumentThatKills(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	if _, err := poison.Call(t.Context(), pool, explosive{}); !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("%v, want ErrWorkerLost", err)
	}
	if n, err := square.Call(t.Context(), pool, 2); n != 4 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// A row that exceeds its time and does not listen is killed; the error holds what
// its goroutines did.
// feature: S12
func TestTimeoutLadder(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Millisecond, Stderr: new(lines)})
	begun, g, _ := gates(t)
	f := pass.With(xme.Timeout(100*time.Millisecond)).Go(t.Context(), pool, g)
	readBegun(t, begun, 1) // the function is on the stack
	_, err := f.Wait(t.Context())
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, xme.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v, want ErrTimeout", err)
	}
	if !strings.Contains(e.Stack, "goroutine ") || !strings.Contains(e.Stack, "pool_test.go") {
		t.Errorf("the error does not hold the worker's goroutines:\n%s", e.Stack)
	}
	if n, err := square.With(xme.Timeout(patience)).Call(t.Context(), pool, 2); n != 4 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// lines is a writer that can be read while it is written to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var speak = xme.Register("speak", func(_ context.Context, n int) (int, error) {
	_, _ = fmt.Fprintf(os.Stdout, "line %d\nno end %d", n, n)
	if n == 2 {
		os.Exit(2)
	}
	_, _ = fmt.Fprintln(os.Stdout)
	return os.Getpid(), nil
})

// What tasks print arrives whole and labelled, the last words of a dead worker too.
// feature: S12, L3
func TestOutputIsRelayed(t *testing.T) {
	t.Parallel()
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stdout: &out, Log: xmelog.Options{NoTime: true}})
	pid, err := speak.Call(t.Context(), pool, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = speak.Call(t.Context(), pool, 2)
	var e *xme.Error
	if !errors.As(err, &e) || !strings.HasSuffix(e.Output, "line 2\nno end 2") {
		t.Errorf("the error's output: %+v", err)
	}
	_ = pool.Close()
	want := fmt.Sprintf("(pid@%[1]d):line 1\n(pid@%[1]d):no end 1\n(pid@%[1]d):line 2\n(pid@%[1]d):no end 2\n", pid)
	if out.String() != want {
		t.Errorf("relayed:\n%swant:\n%s", &out, want)
	}
}
