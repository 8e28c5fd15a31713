package main

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	if serveChild() {
		return
	}
	xmetest.Main(m)
}

// feature: S11
func TestChildren(t *testing.T) {
	xmetest.Exercise(t, func(t *testing.T) xme.Executor {
		x := OpenChildren(2)
		t.Cleanup(x.Close)
		return x
	})
}

var exit = xme.Register("exit", func(_ context.Context, code int) (int, error) {
	os.Exit(code)
	return 0, nil
})

// A child that dies fails its own call; the next call gets another.
func TestDeadChild(t *testing.T) {
	x := OpenChildren(1)
	t.Cleanup(x.Close)
	if _, err := exit.Call(t.Context(), x, 7); !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("a call that ended its process: %v, want %v", err, xme.ErrWorkerLost)
	}
	if sq, err := squared.Call(t.Context(), x, 3); sq.Value != 9 || err != nil {
		t.Errorf("the call after it: %v, %v", sq, err)
	}
}

// Close ends what is waiting to be accepted and may be called twice.
func TestClosed(t *testing.T) {
	x := OpenChildren(1)
	x.Close()
	x.Close()
	if _, err := squared.Call(t.Context(), x, 3); !errors.Is(err, xme.ErrClosed) {
		t.Errorf("a call after Close: %v, want %v", err, xme.ErrClosed)
	}
}
