package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func init() {
	const what = "shm.Queue[int64] with room for 4096, from the driver to a task in another process, every item checked, in order, "
	rows = append(
		rows, row{
			name:    "queue",
			what:    what + "one by one; pinned to one CPU each",
			floorIs: "a channel with as much room, one by one, between two goroutines of one process; not pinned",
			unit:    rowsPerSecond,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureQueue(ctx, 1, quick) },
			figure:  oursAlone, figureUnit: rowsPerSecond, must: 1e6, reach: 4e6, atLeast: true,
		}, row{
			name:    "queue-batch",
			what:    what + "64 at a time; pinned to one CPU each",
			floorIs: "a channel of batches, between two goroutines of one process; not pinned",
			unit:    rowsPerSecond,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureQueue(ctx, 64, quick) },
			figure:  oursAlone, figureUnit: rowsPerSecond, must: 5e6, reach: 50e6, atLeast: true,
		},
	)
}

// drained is what drain has: a queue, and how many items to take at a time.
type drained struct {
	Queue *shm.Queue[int64]
	Batch int
}

// drain takes everything out of a queue, until its end, and returns how many items there were.
var drain = xme.Register("drain", func(ctx context.Context, in drained) (int64, error) {
	return inOrder(func(dst []int64) (int, error) { return in.Queue.GetSome(ctx, dst) }, in.Batch)
})

// inOrder takes the numbers from 0 on, until io.EOF.
func inOrder(get func([]int64) (int, error), batch int) (next int64, err error) {
	dst := make([]int64, batch)
	for {
		n, err := get(dst)
		switch {
		case errors.Is(err, io.EOF):
			return next, nil
		case err != nil:
			return 0, err
		}
		for _, v := range dst[:n] {
			if v != next {
				return 0, fmt.Errorf("item %d is %d", next, v)
			}
			next++
		}
	}
}

// room is how many items the queues hold.
const room = 4096

func measureQueue(ctx context.Context, batch int, quick bool) (s sample, err error) {
	rounds, n := 5, 2_000_000
	if batch > 1 {
		n *= 10
	}
	if quick {
		rounds, n = 1, 10_000
	}
	n -= n % batch
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	ours := func() (float64, error) { return queueRate(ctx, pool, n, batch) }
	return alternate(ctx, rounds, func() (float64, error) { return channelRate(n, batch) }, apart(pool.Workers()[0].PID, ours))
}

// feed puts the numbers from 0 to n, which is a multiple of batch.
func feed(n, batch int, put func([]int64) error) error {
	src := make([]int64, batch)
	for at := 0; at < n; at += batch {
		for i := range src {
			src[i] = int64(at + i)
		}
		if err := put(src); err != nil {
			return err
		}
	}
	return nil
}

// queueRate returns how many items a second go through a queue.
func queueRate(ctx context.Context, pool *xme.Pool, n, batch int) (float64, error) {
	q, err := shm.NewQueue[int64](room)
	if err != nil {
		return 0, orAbsent(err)
	}
	defer q.Close()
	got := drain.Go(ctx, pool, drained{Queue: q, Batch: batch})
	start := time.Now()
	err = feed(n, batch, func(vs []int64) error {
		_, err := q.PutAll(ctx, vs)
		return err
	})
	if err := errors.Join(err, q.End()); err != nil {
		return 0, err
	}
	items, err := got.Wait(ctx)
	took := time.Since(start)
	if err == nil && items != int64(n) {
		err = fmt.Errorf("%d items came out of %d", items, n)
	}
	return float64(n) / took.Seconds(), err
}

// channelRate does the same through a channel: of numbers, or of batches of them, for which memory is made as it is by who sends such.
func channelRate(n, batch int) (float64, error) {
	start := time.Now()
	var items int64
	var err error
	if batch == 1 {
		items, err = through(n, 1, room, func(vs []int64) int64 { return vs[0] }, func(dst []int64, v int64) int { dst[0] = v; return 1 })
	} else {
		items, err = through(n, batch, room/batch, func(vs []int64) []int64 { return append([]int64(nil), vs...) }, func(dst, vs []int64) int { return copy(dst, vs) })
	}
	if err == nil && items != int64(n) {
		err = fmt.Errorf("%d items came out of %d", items, n)
	}
	return float64(n) / time.Since(start).Seconds(), err
}

// through has a goroutine take from a channel what is put into it, and returns how many items that was.
func through[T any](n, batch, room int, pack func([]int64) T, unpack func([]int64, T) int) (items int64, err error) {
	q, taken := make(chan T, room), make(chan error, 1)
	go func() {
		var err error
		items, err = inOrder(func(dst []int64) (int, error) {
			v, ok := <-q
			if !ok {
				return 0, io.EOF
			}
			return unpack(dst, v), nil
		}, batch)
		for range q { // after an error
		}
		taken <- err
	}()
	err = feed(n, batch, func(vs []int64) error {
		q <- pack(vs)
		return nil
	})
	close(q)
	err = errors.Join(err, <-taken)
	return items, err
}
