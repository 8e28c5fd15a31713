package main

import (
	"context"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

const rounds = 1000

type task struct {
	Lock *manager.Lock
	N    *shm.Array[int64]
}

// count counts up what would lose some without the lock.
var count = xme.Register("count", func(ctx context.Context, t task) (int, error) {
	for i := range rounds {
		if err := t.Lock.Acquire(ctx); err != nil {
			return i, err
		}
		t.N.Slice()[0]++
		if err := t.Lock.Release(ctx); err != nil {
			return i, err
		}
	}
	return rounds, nil
})

// forget takes the lock and returns.
var forget = xme.Register("forget", func(ctx context.Context, t task) (string, error) {
	return "", t.Lock.Acquire(ctx)
})
