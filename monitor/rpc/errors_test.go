package rpc_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// feature: N3
func TestErrors(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	closed := xmetest.Open(t, xme.Options{Workers: 1})
	_ = closed.Close()
	funcs := []rpc.Function{
		rpc.Export(echo, pool), rpc.Export(shift, pool), rpc.Export(fail, pool), rpc.Export(long, pool), rpc.Export(nap, pool), rpc.Export(mirror, pool), rpc.Export(root, pool),
		rpc.Export(echo, closed).As("closed"),
	}
	c := dial(t, serveOn(t, listen(t), funcs, rpc.WithLimits(rpc.Limits{Message: 50000})).addr)
	for _, tc := range []struct {
		call, args, code string
		kinds            []error
	}{
		{"nobody", `1`, "not_found", []error{rpc.ErrUnknownFunction}},
		{"echo", `1`, "invalid_argument", []error{rpc.ErrArguments}},
		{"shift", `{"y":1}`, "invalid_argument", []error{rpc.ErrArguments}},
		{"shift", `[]`, "invalid_argument", []error{rpc.ErrArguments}},
		{"shift", `{"x":1.5}`, "invalid_argument", []error{rpc.ErrArguments}},
		{"shift", `{"x":1} `, "", nil},
		{"mirror", `123456789012345678901234567890`, "invalid_argument", []error{rpc.ErrArguments}},
		{"mirror", strings.Repeat("[", 4000) + strings.Repeat("]", 4000), "", nil},
		{"mirror", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "invalid_argument", []error{rpc.ErrArguments}},
		{"root", `-1`, "internal", nil},
		{"fail", `"own"`, "unknown", []error{errOwn}},
		{"fail", `"panic"`, "internal", []error{xme.ErrPanic}},
		{"fail", `"exit"`, "aborted", []error{xme.ErrWorkerLost}},
		{"fail", `"kill"`, "aborted", []error{xme.ErrWorkerLost}},
		{"nap", `""`, "deadline_exceeded", []error{xme.ErrTimeout, context.DeadlineExceeded}},
		{"long", `49990`, "", nil},
		{"long", `50001`, "resource_exhausted", []error{rpc.ErrTooLarge}},
		{"echo", `"` + strings.Repeat("x", 50001) + `"`, "resource_exhausted", []error{rpc.ErrTooLarge}},
		{"closed", `""`, "unavailable", []error{xme.ErrClosed}},
	} {
		out, err := c.CallJSON(t.Context(), tc.call, []byte(tc.args))
		var e *rpc.Error
		if tc.code == "" {
			if err != nil || len(out) == 0 {
				t.Errorf("%s(%.40s): %v", tc.call, tc.args, err)
			}
			continue
		}
		if !errors.As(err, &e) || e.Code != tc.code || e.Function != tc.call {
			t.Errorf("%s(%.40s): got %v, want %s", tc.call, tc.args, err, tc.code)
			continue
		}
		for _, k := range tc.kinds {
			if !errors.Is(err, k) {
				t.Errorf("%s(%.40s): %v is not %v", tc.call, tc.args, err, k)
			}
		}
		var x *xme.Error
		if errors.As(err, &x) && (x.Stack != "" || x.Output != "" || x.PID != 0) {
			t.Errorf("%s(%.40s): %+v tells of the server's inside", tc.call, tc.args, x)
		}
	}
	if _, err := c.CallJSON(t.Context(), "echo", []byte(`{`)); !errors.Is(err, rpc.ErrArguments) {
		t.Error(err)
	}
	if _, err := rpc.Call[float64, string](t.Context(), c, "echo", math.NaN()); !errors.Is(err, rpc.ErrArguments) {
		t.Error(err)
	}
	if _, err := rpc.Call[string, int](t.Context(), c, "echo", "x"); err == nil || !strings.Contains(err.Error(), "the result is no int: ") {
		t.Error(err)
	}
}

// feature: N3
func TestExact(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	c := dial(t, serveOn(t, listenUnix(t), []rpc.Function{rpc.Export(shift, pool), rpc.Export(mirror, pool), rpc.Export(kinds, pool)}).addr)
	p, err := rpc.Call[point, point](t.Context(), c, "shift", point{math.MaxInt64 - 1, "é\u2028<"})
	if err != nil || p != (point{math.MaxInt64, "é\u2028<"}) {
		t.Error(p, err)
	}
	for args, want := range map[string]string{
		`9223372036854775807`: "int64", `-9223372036854775808`: "int64", `18446744073709551615`: "uint64", `1.5`: "float64", `1e3`: "float64", `"1"`: "other",
	} {
		out, err := c.CallJSON(t.Context(), "kinds", []byte(args))
		if err != nil || string(out) != `"`+want+`"` {
			t.Errorf("%s: %s, %v", args, out, err)
		}
	}
	deep := `{"a":[1,{"b":9007199254740993}],"c":[18446744073709551615,null,true]}`
	out, err := c.CallJSON(t.Context(), "mirror", []byte(deep))
	if err != nil || string(out) != deep {
		t.Errorf("%s, %v", out, err)
	}
	v, err := rpc.Call[any, any](t.Context(), c, "mirror", uint64(math.MaxUint64))
	if err != nil || v != uint64(math.MaxUint64) {
		t.Error(v, err)
	}
}
