package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// joined are two queues and a task between them.
type joined struct {
	In, Out *shm.Queue[int]
	Count   *shm.Value[counted]
}

// counted is more than a word, so that writers lock it.
type counted struct{ Items, Twice, Thrice int64 }

// atOnce is how many items a task takes at a time.
const atOnce = 7

// pass hands items on, a few at a time, until there are no more.
var pass = xme.Register("pass", func(ctx context.Context, j joined) (int, error) {
	batch, total := make([]int, atOnce), 0
	for {
		n, err := j.In.GetSome(ctx, batch)
		if err != nil {
			return total, atEnd(err)
		}
		if _, err := j.Out.PutAll(ctx, batch[:n]); err != nil {
			return total, err
		}
		if err := j.In.Done(n); err != nil {
			return total, err
		}
		k := int64(n)
		j.Count.Update(func(c counted) counted { return counted{c.Items + k, c.Twice + 2*k, c.Thrice + 3*k} })
		total += n
	}
})

// throughQueues has tasks that are killed hand items from one queue to another. Each comes at
// most once, and those that do not come are known to be lost. One task's error ends it all.
func throughQueues(ctx context.Context, pool *xme.Pool, task *xme.Func[joined, int], items, workers int, n *counts) error {
	in, err := shm.NewQueue[int](64)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := shm.NewQueue[int](16)
	if err != nil {
		return err
	}
	defer out.Close()
	count, err := shm.NewValue(counted{})
	if err != nil {
		return err
	}
	defer count.Close()
	j := joined{In: in, Out: out, Count: count}

	ctx, fail := context.WithCancelCause(ctx)
	var all, tasks sync.WaitGroup
	defer all.Wait()
	defer fail(nil)
	lost := make([]counts, workers)
	for i := range workers {
		tasks.Go(func() {
			if _, err := insist(ctx, pool, task, j, &lost[i]); err != nil {
				fail(err)
			}
		})
	}
	all.Go(func() {
		defer tasks.Wait()
		for i := range items {
			if err := in.Put(ctx, i); err != nil {
				fail(err)
				return
			}
		}
		if err := in.End(); err != nil {
			fail(err)
			return
		}
		tasks.Wait()
		_ = out.End()
	})
	seen, last := make([]bool, items), 0
	for v, err := range out.All(ctx) {
		switch {
		case err != nil:
			return cmp.Or(context.Cause(ctx), err)
		case v < 0 || v >= items || seen[v]:
			return fmt.Errorf("item %d came twice, or was never put", v)
		}
		seen[v] = true
		last++
	}
	all.Wait()
	calls := 0
	for i := range workers {
		calls += lost[i].lost
	}
	n.lost += calls
	if err := context.Cause(ctx); err != nil {
		return err
	}
	gone := 0
	var missing *shm.LostError
	if err := in.Join(ctx); errors.As(err, &missing) {
		gone = missing.Items
	} else if err != nil {
		return err
	}
	c := count.Load()
	if gone > atOnce*calls {
		return fmt.Errorf("%d items are said to be lost with %d calls, each of which had %d at most", gone, calls, atOnce)
	}
	if items-last > gone || c.Twice != 2*c.Items || c.Thrice != 3*c.Items || c.Items > int64(items) {
		return fmt.Errorf("%d items of %d came, %d are known to be lost, %v counted", last, items, gone, c)
	}
	n.items, n.gone = n.items+last, n.gone+gone
	return nil
}
