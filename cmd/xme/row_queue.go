package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func init() {
	const what = "shm.Queue[int64] with room for 4096, from the driver to a task in another process, every item checked, "
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

// drain takes everything out of a queue, until -1 comes, and returns the sum.
var drain = xme.Register("drain", func(ctx context.Context, in drained) (int64, error) {
	return sumOf(func(dst []int64) (int, error) { return in.Queue.GetSome(ctx, dst) }, in.Batch)
})

func sumOf(get func([]int64) (int, error), batch int) (sum int64, err error) {
	dst := make([]int64, batch)
	for {
		n, err := get(dst)
		switch {
		case errors.Is(err, io.EOF):
			return sum, nil
		case err != nil:
			return 0, err
		}
		for _, v := range dst[:n] {
			sum += v
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

// feed puts the numbers from 0 to n and returns their sum.
func feed(n, batch int, put func([]int64) error) (sum int64, err error) {
	src := make([]int64, batch)
	for at := 0; at < n; at += batch {
		for i := range src {
			src[i] = int64(at + i)
			sum += src[i]
		}
		if err := put(src); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// queueRate returns how many items a second go through a queue.
func queueRate(ctx context.Context, pool *xme.Pool, n, batch int) (float64, error) {
	q, err := shm.NewQueue[int64](room)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	got := drain.Go(ctx, pool, drained{Queue: q, Batch: batch})
	start := time.Now()
	want, err := feed(n, batch, func(vs []int64) error {
		_, err := q.PutAll(ctx, vs)
		return err
	})
	if err := errors.Join(err, q.End()); err != nil {
		return 0, err
	}
	sum, err := got.Wait(ctx)
	took := time.Since(start)
	if err == nil && sum != want {
		err = errors.New("the sum of what came out is another one")
	}
	return float64(n) / took.Seconds(), err
}

// channelRate does the same through a channel.
func channelRate(n, batch int) (float64, error) {
	q := make(chan []int64, room/batch)
	sum := make(chan int64)
	go func() {
		s, _ := sumOf(func(dst []int64) (int, error) {
			vs, ok := <-q
			if !ok {
				return 0, io.EOF
			}
			return copy(dst, vs), nil
		}, batch)
		sum <- s
	}()
	start := time.Now()
	want, err := feed(n, batch, func(vs []int64) error {
		q <- append([]int64(nil), vs...)
		return nil
	})
	close(q)
	if got := <-sum; err == nil && got != want {
		err = errors.New("the sum of what came out is another one")
	}
	return float64(n) / time.Since(start).Seconds(), err
}
