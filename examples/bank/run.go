package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

const accounts, each = 100, 1000

func run(ctx context.Context, n, p int, every time.Duration) error {
	b, err := open()
	if err != nil {
		return err
	}
	defer b.close()
	pool, err := xme.Open(ctx, xme.Options{Workers: p})
	if err != nil {
		return err
	}
	defer pool.Close()
	over, stopped := make(chan struct{}), make(chan int, 1)
	stop := sync.OnceFunc(func() { close(over) })
	defer stop()
	go func() { stopped <- kill(pool, every, over) }()
	lost := 0
	for _, err := range transfer.Map(ctx, pool, times(b, n)) {
		switch {
		case errors.Is(err, xme.ErrWorkerLost):
			lost++ // what the row had moved stays moved
		case err != nil:
			return err
		}
	}
	stop()
	fmt.Fprintf(os.Stderr, "%d kills, %d of %d rows lost\n", <-stopped, lost, n)
	return b.audit(ctx)
}

// kill kills a worker again and again, and says how often it has.
func kill(pool *xme.Pool, every time.Duration, over <-chan struct{}) (n int) {
	for tick := time.Tick(max(every, 1)); every > 0; {
		select {
		case <-over:
			return n
		case <-tick:
		}
		workers := pool.Workers()
		if p, err := os.FindProcess(workers[rand.IntN(len(workers))].PID); err == nil && p.Kill() == nil {
			n++
		}
	}
	<-over
	return 0
}

func times(b bank, n int) iter.Seq[bank] { return slices.Values(slices.Repeat([]bank{b}, n)) }
