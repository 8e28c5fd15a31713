package main

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

func init() {
	rows = append(rows, row{
		name:    "replace",
		what:    "from a worker's SIGKILL to the first result of the spare that takes its rank",
		floorIs: "a bare start of the same program to its first byte from xme.Init",
		unit:    inSeconds,
		measure: measureReplace,
		figure:  oursAlone, figureUnit: inSeconds, must: 0.003, reach: 0.001,
	})
}

const deaths = 20

func measureReplace(ctx context.Context, quick bool) (sample, error) {
	n := deaths
	if quick {
		n = 2
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return sample{}, err
	}
	defer pool.Close()
	var floors, ours []float64
	for range n {
		floor, err := probesUp(1)
		if err != nil {
			return sample{}, err
		}
		took, err := replaceOnce(ctx, pool)
		if err != nil {
			return sample{}, err
		}
		floors, ours = append(floors, floor.Seconds()), append(ours, took.Seconds())
	}
	return sample{Floor: median(floors), Ours: median(ours)}, nil
}

// replaceOnce kills a worker and calls on its rank. The call may be sent to the one
// that is dying: then it has not begun there, and goes to the other.
func replaceOnce(ctx context.Context, pool *xme.Pool) (time.Duration, error) {
	for pool.Stats().Spares == 0 || len(pool.Ranks()) < 2 {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	old := pool.Workers()[0].PID
	start := time.Now()
	if err := proc.KillRank(pool, 1); err != nil {
		return 0, err
	}
	pid, err := processOf.With(xme.On(1)).Call(ctx, pool, 0)
	took := time.Since(start)
	if err == nil && pid == old {
		err = errors.New("the killed worker answered")
	}
	return took, err
}
