package xme_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/mpi"
	"github.com/xenonmp/xme/xmetest"
)

// sayHere logs in a task of any kind, and has a nested one do so first if it is asked to.
var sayHere = xme.Register("sayHere", func(ctx context.Context, text string) (bool, error) {
	if rest, ok := strings.CutPrefix(text, "nested "); ok {
		if _, err := sayNested.Call(ctx, xme.Current(ctx), rest); err != nil {
			return false, err
		}
	}
	xme.Logger(ctx).Info(text)
	return true, nil
})

var (
	sayNested = xme.Register("sayNested", func(ctx context.Context, text string) (bool, error) {
		xme.Logger(ctx).Info(text)
		return true, nil
	})
	sayAtStart = xme.Register("sayAtStart", func(ctx context.Context, _ *manager.Manager) (struct{}, error) {
		xme.Logger(ctx).Info("the guard's start")
		return struct{}{}, nil
	})
)

// A task has a logger wherever it runs: in a set-up, as a service, nested, in a guard and its queue, in ranks of both kinds.
//
// feature: L1
func TestLoggerEverywhere(t *testing.T) {
	ctx, out := t.Context(), new(lines)
	o := xme.Options{Workers: 1, Stderr: out, Stdout: io.Discard, Setup: sayHere.Setup("a set-up")}
	t.Run("pool", func(t *testing.T) {
		pool := xmetest.Open(t, o)
		m, err := manager.Open(ctx, manager.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		_, err1 := sayHere.With(xme.Service()).Call(ctx, pool, "a service")
		_, err2 := sayHere.Call(ctx, pool, "nested call")
		guard := manager.Guard.Go(ctx, pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Start: sayAtStart.Name(), Verbose: -1}})
		_, err3 := sayHere.Call(ctx, m.Queue(), "a queued call")
		err4 := m.Queue().Stop(ctx)
		_, err5 := guard.Wait(ctx)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			t.Error(err)
		}
	})
	o.Setup, o.Workers = xme.Setup{}, 0
	err1 := mpi.Run(ctx, mpi.Options{Size: 2, Pool: o}, func(ctx context.Context, c *mpi.Comm) error {
		_, err := sayHere.Call(ctx, c, "a rank of Run")
		return err
	})
	_, err2 := mpi.Spawn(ctx, mpi.Options{Size: 2, Pool: o}, sayHere, "a rank of Spawn")
	if err := errors.Join(err1, err2); err != nil {
		t.Error(err)
	}
	for text, n := range map[string]int{
		"a set-up": 1, "a service": 1, "call": 1, "nested call": 1, "the guard's start": 1, "a queued call": 1, "a rank of Run": 1, "a rank of Spawn": 2,
	} {
		line := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\(pid@\d+\):` + text + `$`)
		if got := len(line.FindAllString(out.String(), -1)); got < n {
			t.Errorf("%q was logged %d times, want %d; all of it:\n%s", text, got, n, out.String())
		}
	}
}
