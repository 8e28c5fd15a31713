package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	rows = append(
		rows, row{
			name:    "arg-1mb",
			what:    "arguments of 1 MB, []byte, streamed through Map to 1 worker, which owns and writes to each; not pinned",
			floorIs: "2 processes: copy into shared memory, one slot ahead; make and copy out; pinned to one CPU each",
			unit:    bytesPerSecond,
			measure: measureMegabytes,
			figure:  timesFloor, figureUnit: asRatio, must: 0.6, reach: 0.9, atLeast: true,
		}, row{
			name:    "arg-80mb",
			what:    "an argument of 80 MB, []float64, by Call to 1 worker, which owns and writes to it; not pinned",
			floorIs: "2 processes, one after the other: copy into warm shared memory; make and copy out; pinned to one CPU each",
			unit:    bytesPerSecond,
			measure: measureEightyMegabytes,
			figure:  timesFloor, figureUnit: asRatio, must: 0.9, reach: 1.0, atLeast: true,
		},
	)
	roles["copy"] = serveCopies
}

var (
	receiveBytes  = xme.Register("receiveBytes", func(_ context.Context, b []byte) (int, error) { return touch(b), nil })
	receiveFloats = xme.Register("receiveFloats", func(_ context.Context, f []float64) (int, error) { return touch(f), nil })
)

// touch writes to what it owns, and gives what shows that it is all there.
func touch[T byte | float64](s []T) int {
	s[0]++
	return len(s) + int(s[0]) + int(s[len(s)/2]) + int(s[len(s)-1])
}

// touched is what touch will give for a copy of s.
func touched[T byte | float64](s []T) int {
	return touch([]T{s[0], s[len(s)/2], s[len(s)-1]}) - 3 + len(s)
}

const megabyte = 1_000_000

func measureMegabytes(ctx context.Context, quick bool) (s sample, err error) {
	rounds, block := 4, 150*time.Millisecond
	if quick {
		rounds, block = 1, 5*time.Millisecond
	}
	p, err := startPeer(ctx, "copy", copyBytes(2, megabyte))
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	// Distinct, and more than the cache near a CPU holds.
	args := make([][]byte, 8)
	for i := range args {
		args[i] = make([]byte, megabyte)
		for j := range args[i] {
			args[i][j] = byte(i + j*j)
		}
	}
	c := newCopier(p, 2, megabyte)
	return alternate(ctx, rounds,
		apart(p.pid(), func() (float64, error) { return c.rate(args, block) }),
		func() (float64, error) { return argRate(ctx, pool, args, block) })
}

// argRate returns how many bytes a second Map takes to the workers.
func argRate(ctx context.Context, pool *xme.Pool, args [][]byte, d time.Duration) (float64, error) {
	start, n := time.Now(), 0
	for got, err := range receiveBytes.Map(ctx, pool, inTurn(args, start.Add(d))) {
		if want := touched(args[n%len(args)]); err == nil && got != want {
			err = fmt.Errorf("row %d gave %d, not %d", n, got, want)
		}
		if err != nil {
			return 0, err
		}
		n++
	}
	return float64(n*megabyte) / time.Since(start).Seconds(), nil
}

// inTurn gives the arguments round and round until it is late.
func inTurn[T any](args []T, end time.Time) iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := 0; time.Now().Before(end) && yield(args[n%len(args)]); n++ {
		}
	}
}

func measureEightyMegabytes(ctx context.Context, quick bool) (s sample, err error) {
	rounds, floats := 8, 80*megabyte/8
	if quick {
		rounds, floats = 1, megabyte/8
	}
	p, err := startPeer(ctx, "copy", copyBytes(1, 8*floats))
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	arg := make([]float64, floats)
	for i := range arg {
		arg[i] = float64(i % 1000)
	}
	c := newCopier(p, 1, 8*floats)
	if err := c.start(); err != nil {
		return s, err
	}
	size := float64(8 * floats)
	s, err = alternate(ctx, rounds, apart(p.pid(), func() (float64, error) {
		start := time.Now()
		c.push(asBytes(arg))
		err := c.pull(touched(asBytes(arg)))
		return size / time.Since(start).Seconds(), err
	}), func() (float64, error) {
		arg[0]++
		start := time.Now()
		got, err := receiveFloats.Call(ctx, pool, arg)
		took := time.Since(start)
		if want := touched(arg); err == nil && got != want {
			err = fmt.Errorf("%d, not %d", got, want)
		}
		return size / took.Seconds(), err
	})
	if err == nil {
		err = c.stop()
	}
	return s, err
}
