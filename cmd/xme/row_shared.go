package main

import (
	"context"
	"fmt"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

func init() {
	const handOver = "Call that hands an array of 80 MB over again, in a pool of 1 worker, back to back; driver and worker "
	rows = append(
		rows, row{
			name:    "view-80mb",
			what:    "an argument of 80 MB, shm.View[float64], by Call to 1 worker, which reads a few of its elements; not pinned",
			floorIs: "a copy of as much in this process, into memory that is used again",
			unit:    bytesPerSecond,
			measure: measureView,
			figure:  oursAlone, figureUnit: bytesPerSecond, must: 4e9, reach: 6e9, atLeast: true,
		}, row{
			name:    "array",
			what:    handOver + "pinned to one CPU each",
			floorIs: "Call of a function from int to int, by turns in the same pool",
			unit:    inSeconds,
			measure: measureHandOver(0),
			figure:  timesFloor, figureUnit: asRatio, must: 1.1, reach: 1,
		}, row{
			name:    "array-parked",
			what:    "Call that hands an array of 80 MB over again, in a pool of 1 worker that has slept for 5 ms; driver and worker pinned to one CPU each",
			floorIs: "Call of a function from int to int, by turns in the same pool, after as long a sleep",
			unit:    inSeconds,
			measure: measureHandOver(parkedFor),
			figure:  timesFloor, figureUnit: asRatio, must: 1.1, reach: 1,
		},
	)
}

var (
	readView  = xme.Register("readView", func(_ context.Context, v shm.View[float64]) (int, error) { return peek(v.Slice()), nil })
	readArray = xme.Register("readArray", func(_ context.Context, a *shm.Array[float64]) (int, error) { return peek(a.Slice()), nil })
)

// peek gives what shows that it is all there.
func peek(s []float64) int { return len(s) + int(s[0]) + int(s[len(s)/2]) + int(s[len(s)-1]) }

func measureView(ctx context.Context, quick bool) (s sample, err error) {
	rounds, floats := 8, 80*megabyte/8
	if quick {
		rounds, floats = 1, megabyte/8
	}
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	arg, to := make([]float64, floats), make([]float64, floats)
	for i := range arg {
		arg[i] = float64(i % 1000)
	}
	size := float64(8 * floats)
	return alternate(ctx, rounds, func() (float64, error) {
		start := time.Now()
		copy(to, arg)
		return size / time.Since(start).Seconds(), nil
	}, func() (float64, error) {
		arg[0]++
		start := time.Now()
		v, err := shm.ViewOf(arg)
		if err != nil {
			return 0, orAbsent(err)
		}
		got, err := readView.Call(ctx, pool, v)
		took := time.Since(start)
		if want := peek(arg); err == nil && got != want {
			err = fmt.Errorf("%d, not %d", got, want)
		}
		return size / took.Seconds(), err
	})
}

// parkedFor is how long a worker sleeps before a call that is to find it asleep.
const parkedFor = 5 * time.Millisecond

// measureHandOver measures calls that come so long after the one before.
func measureHandOver(pause time.Duration) func(ctx context.Context, quick bool) (sample, error) {
	return func(ctx context.Context, quick bool) (s sample, err error) {
		rounds, block, floats := 20, 25*time.Millisecond, 80*megabyte/8
		if quick {
			rounds, block, floats = 1, time.Millisecond, megabyte/8
		}
		pool, err := xme.Open(ctx, alone())
		if err != nil {
			return s, err
		}
		defer pool.Close()
		a, err := shm.NewArray[float64](floats)
		if err != nil {
			return s, orAbsent(err)
		}
		defer a.Close()
		for i := range a.Slice() {
			a.Slice()[i] = float64(i % 1000)
		}
		want := peek(a.Slice())
		hand := func() error {
			got, err := readArray.Call(ctx, pool, a)
			if err == nil && got != want {
				err = fmt.Errorf("%d, not %d", got, want)
			}
			return err
		}
		each := func(call func() error) func() (float64, error) {
			if pause == 0 {
				return func() (float64, error) { return perCall(block, call) }
			}
			return func() (float64, error) { return perParkedCall(pause, call) }
		}
		pid := pool.Workers()[0].PID
		return alternate(ctx, rounds, apart(pid, each(caller(ctx, pool))), apart(pid, each(hand)))
	}
}

// perParkedCall returns the median time of a few calls, each after a pause.
func perParkedCall(pause time.Duration, call func() error) (float64, error) {
	const calls = 9
	var all []float64
	for range calls {
		<-time.After(pause)
		start := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(start).Seconds())
	}
	return median(all), nil
}
