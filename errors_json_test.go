package xme_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// whole is an error in which every field says something.
func whole(t *testing.T) *xme.Error {
	t.Helper()
	return &xme.Error{
		Func: "main.f", Row: 0, Rank: 2, PID: 7, Attempt: 2, Attempts: 3, Cause: xme.CauseTimeout, Message: "too long",
		Stack:  "goroutine 7 [running]:\nexample.com/app.f()\n\t/src/app/f.go:12 +0x1",
		Nested: []string{"main.g"}, Earlier: []string{"panic: boom"},
		ExitCode: -1, Signal: "SIGKILL", Killed: true, Output: "a\nb", Memory: 3 << 20, CPU: 61575 * time.Microsecond,
	}
}

// The keys are stable: programs read them.
//
// feature: S12
func TestErrorJSON(t *testing.T) {
	t.Parallel()
	e := whole(t)
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cause":"time-out","error":"xme: main.f row 0 → main.g: time-out: too long (called from rank 2, pid 7, attempt 2 of 3)",` +
		`"message":"too long","func":"main.f","row":0,"rank":2,"pid":7,"attempt":2,"attempts":3,"nested":["main.g"],"earlier":["panic: boom"],` +
		`"at":{"func":"example.com/app.f","file":"/src/app/f.go","line":12},"exit_code":-1,"signal":"SIGKILL","killed":true,` +
		`"memory_bytes":3145728,"cpu_seconds":0.061575,"stack":"goroutine 7 [running]:\nexample.com/app.f()\n\t/src/app/f.go:12 +0x1",` +
		`"output":"a\nb","help":"` + helpPage + `#time-out"}`
	if string(got) != want {
		t.Errorf("marshalled:\n%s\nwant:\n%s", got, want)
	}
	var back xme.Error
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, &back, cmpopts.IgnoreUnexported(xme.Error{})); d != "" {
		t.Errorf("-marshalled +read back:\n%s", d)
	}
	if again, err := json.Marshal(&back); err != nil || string(again) != want {
		t.Errorf("marshalled again: %s, %v", again, err)
	}
	bare, err := json.Marshal(&xme.Error{Func: "f", Row: -1, Cause: xme.CauseReturned})
	if err != nil || string(bare) != `{"cause":"error","error":"xme: f: error","func":"f","help":"`+helpPage+`#error"}` {
		t.Errorf("a bare one: %s, %v", bare, err)
	}
	var out xme.Error
	if err := json.Unmarshal(bare, &out); err != nil || out.Row != -1 {
		t.Errorf("no row is row %d, %v", out.Row, err)
	}
	for _, bad := range []string{`{"cause":"bad luck"}`, `{}`, `[]`, `{"cause":1}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s is taken for an error", bad)
		}
	}
	if b, err := json.Marshal((*xme.Error)(nil)); err != nil || string(b) != "null" {
		t.Errorf("nil: %s, %v", b, err)
	}
}

// No text of a worker's drives the terminal of who reads its log; what comes back says the same.
//
// feature: S12
func TestErrorJSONControls(t *testing.T) {
	t.Parallel()
	const wild = "a\x1b[31m\u009b2J\x9b\u2028d\xff é\tb"
	e := &xme.Error{Func: wild, Row: 1, Cause: xme.CauseLost, Message: wild, Output: wild + "\n" + wild, Stack: wild, Signal: wild, Nested: []string{wild}, Earlier: []string{wild}}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]any
	if err := json.Unmarshal(b, &texts); err != nil {
		t.Fatal(err)
	}
	for key, text := range texts {
		if s := fmt.Sprint(text); strings.ContainsAny(s, "\x1b\u009b\u2028\ufffd") {
			t.Errorf("%s is %q", key, s)
		}
	}
	if want := `a\x1b[31m\u009b2J\x9b\u2028d\xff é` + "\tb"; texts["output"] != want+"\n"+want {
		t.Errorf("output is %q", texts["output"])
	}
	var back xme.Error
	if err := json.Unmarshal(b, &back); err != nil || back.Error() != e.Error() {
		t.Errorf("%q, %v, want %q", back.Error(), err, e.Error())
	}
}

// Errors of real rows, in a list of results and through a nested call, come back with what they were.
//
// feature: S12
func TestErrorJSONOfRows(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, quiet(xme.Options{Workers: 2}))
	in := []string{"fine", "known", "exit 333", "below known", "below below panic"}
	var results []xme.Result[string]
	for v, err := range dies.Map(t.Context(), pool, func(yield func(string) bool) {
		for _, how := range in {
			if !yield(how) {
				return
			}
		}
	}) {
		results = append(results, xme.Result[string]{Index: len(results), Value: v, Err: err})
	}
	b, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	var back []struct {
		Index int
		Value string
		Err   *xme.Error
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	for i, r := range back {
		was := results[i].Err
		if (r.Err == nil) != (was == nil) {
			t.Fatalf("row %d: %v, was %v", i, r.Err, was)
		}
		if was == nil {
			continue
		}
		for _, target := range []error{errRoute, io.ErrUnexpectedEOF, xme.ErrPanic, xme.ErrWorkerLost, xme.ErrTimeout} {
			if errors.Is(r.Err, target) != errors.Is(was, target) {
				t.Errorf("row %d: is %v: %t, was %t", i, target, errors.Is(r.Err, target), errors.Is(was, target))
			}
		}
		var e *xme.Error
		if !errors.As(was, &e) || fmt.Sprintf("%+v", r.Err) != fmt.Sprintf("%+v", e) || r.Err.Row != i {
			t.Errorf("row %d came back as\n%+v\nwas\n%+v", i, r.Err, was)
		}
	}
}

// A log shows the fields as a group.
//
// feature: S12
func TestErrorLogValue(t *testing.T) {
	t.Parallel()
	e := whole(t)
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Error("row", "err", e)
	for _, want := range []string{
		"err.cause=time-out", `err.message="too long"`, "err.func=main.f", "err.row=0", "err.rank=2", "err.pid=7", "err.attempt=2", "err.attempts=3",
		"err.at.func=example.com/app.f", "err.at.line=12", "err.exit_code=-1", "err.signal=SIGKILL", "err.killed=true", "err.cpu_seconds=0.061575",
		"err.help=" + helpPage + "#time-out", `err.output="a\nb"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is not in %s", want, &text)
		}
	}
	slog.New(slog.NewJSONHandler(&object, nil)).Error("row", "err", e, "none", (*xme.Error)(nil))
	var record struct{ Err, None map[string]any }
	b, err := json.Marshal(e)
	var keys map[string]any
	if err := errors.Join(err, json.Unmarshal(object.Bytes(), &record), json.Unmarshal(b, &keys)); err != nil {
		t.Fatal(err)
	}
	delete(keys, "error")
	if d := cmp.Diff(keys, record.Err); d != "" || record.None != nil {
		t.Errorf("-MarshalJSON +LogValue:\n%s", d)
	}
}

// A user's error keeps its identity however it comes home, and each row's error is found in a table's.
//
// feature: S12
func TestIdentityThroughEverything(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, quiet(xme.Options{Workers: 1}))
	for how, with := range map[string][]xme.CallOption{
		"known": nil, "below known": nil, "below below below known": nil, "below-wrapped below below-wrapped known": nil,
		"below  known": {xme.Retries(2)}, "below-wrapped known": {xme.Timeout(patience), xme.Retries(1)},
	} {
		how = strings.Join(strings.Fields(how), " ")
		_, err := dies.With(with...).Call(t.Context(), pool, how)
		var e *xme.Error
		if !errors.Is(err, errRoute) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !errors.As(err, &e) || e.Cause != xme.CauseReturned {
			t.Errorf("%s: %v", how, err)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	var tab xme.Table
	rows := dies.With(xme.Retries(1)).Add(&tab, func(yield func(string) bool) {
		_ = yield("known") && yield("fine") && yield("attempts "+filepath.Join(t.TempDir(), "count"))
	})
	boom := errors.New("boom")
	waits.Add(&tab, func(func(gate) bool) { cancel(boom) })
	err := tab.Run(ctx, pool)
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, boom) {
		t.Errorf("Run: %v; want an *xme.Error and the cause of the end", err)
	}
	failed := 0
	for _, err := range rows.All() {
		if err != nil {
			failed++
			if !errors.As(err, &e) || e.Attempts != 2 {
				t.Errorf("%v: %+v", err, e)
			}
		}
	}
	if failed == 0 {
		t.Error("no row failed")
	}
	// What a task joins is joined at home: by text, and by the identity of each.
	both := &xme.Error{Func: "f", Row: -1, Cause: xme.CauseMemory}
	joined := errors.Join(both, fmt.Errorf("and %w", &xme.Error{Func: "g", Row: -1, Cause: xme.CauseDepth}))
	if !errors.Is(joined, xme.ErrMemory) || !errors.Is(joined, xme.ErrDepth) {
		t.Errorf("%v is not both", joined)
	}
}

// A figure that is known is shown.
//
// feature: S12
func TestErrorBlockFigures(t *testing.T) {
	t.Parallel()
	const want = `xme: main.f row 0 → main.g: time-out: too long (called from rank 2, pid 7, attempt 2 of 3)
  at: example.com/app.f (/src/app/f.go:12)
  exit: SIGKILL: the pool ended it
  used: at most 3 MiB of memory, 62ms of CPU
  earlier attempts:
    1: panic: boom
  stack:
    goroutine 7 [running]:
    example.com/app.f()
    	/src/app/f.go:12 +0x1
  last output:
    a
    b
  help: ` + helpPage + `#time-out`
	if got := fmt.Sprintf("%+v", whole(t)); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
	if got := fmt.Sprintf("%+v", &xme.Error{Func: "f", Row: -1, Cause: xme.CauseLost, ExitCode: 1, CPU: time.Second}); !strings.Contains(got, "\n  used: 1s of CPU\n") {
		t.Errorf("printed:\n%s", got)
	}
}

var refuses = xme.Register("refuses", func(_ context.Context, n int) (int, error) {
	if n%2 == 0 {
		return 0, fmt.Errorf("not %d", n)
	}
	return n, nil
})

// What a row's earlier attempts said is that row's alone, though calls are used again.
//
// feature: S12
func TestEarlierIsTheRowsOwn(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	row := 0
	for _, err := range refuses.With(xme.Retries(1)).Map(t.Context(), pool, count(3000)) {
		var e *xme.Error
		if want := fmt.Sprintf("not %d", row); errors.As(err, &e) != (row%2 == 0) || e != nil && (e.Attempt != 2 || len(e.Earlier) != 1 || e.Earlier[0] != want) {
			t.Fatalf("row %d: %v, earlier %q", row, err, e.Earlier)
		}
		row++
	}
}
