package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

var refuse = xme.Register("refuse", func(context.Context, joined) (int, error) { return 0, errors.New("it refuses") })

// Tasks that fail, so that nobody takes what is put, are an error, theirs, and nothing to wait for.
func TestThroughQueuesEnds(t *testing.T) {
	pool, err := xme.Open(t.Context(), xme.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var n counts
	if err := throughQueues(t.Context(), pool, refuse, 8192, 2, &n); err == nil || !strings.Contains(err.Error(), "it refuses") {
		t.Errorf("tasks that fail: %v", err)
	}
	if err := throughQueues(t.Context(), pool, pass, 1000, 2, &n); err != nil || n.items != 1000 {
		t.Errorf("%d items passed: %v", n.items, err)
	}
}
