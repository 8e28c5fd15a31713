package rpc_test

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// feature: N3
func TestCall(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, pool)}).addr)
	for _, name := range []string{"echo", echo.Name()} {
		out, err := rpc.Call[string, string](t.Context(), c, name, "hello")
		if err != nil || out != "hello" {
			t.Fatalf("%s: %q, %v", name, out, err)
		}
	}
	if out, err := rpc.CallFunc(t.Context(), c, echo, "hello"); err != nil || out != "hello" {
		t.Fatalf("%q, %v", out, err)
	}
	n := 0
	for r := range rpc.Stream[string, string](t.Context(), c, "echo", []string{"a", "b", "c"}) {
		if r.Err != nil || r.Value != []string{"a", "b", "c"}[r.Index] {
			t.Error(r)
		}
		n++
	}
	if n != 3 {
		t.Error(n)
	}
}
