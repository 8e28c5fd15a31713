package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
)

func init() {
	rows = append(rows, row{
		name:    "startup",
		what:    "10 workers opened, each has answered a call",
		floorIs: "10 processes of the same program side by side, each to its first byte from xme.Init",
		unit:    inSeconds,
		measure: measureStartup,
		figure:  timesFloor, figureUnit: asRatio, must: 2.0, reach: 1.3,
	})
}

const startupWorkers = 10

var rank = xme.Register("rank", func(ctx context.Context, _ int) (int, error) { return xme.Rank(ctx), nil })

func measureStartup(ctx context.Context, _ bool) (sample, error) {
	floor, err := probesUp(startupWorkers)
	if err != nil {
		return sample{}, err
	}
	ours, err := workersUp(ctx, startupWorkers)
	return sample{Floor: floor.Seconds(), Ours: ours.Seconds()}, err
}

// probesUp starts n bare processes side by side, as a pool does, and returns how long it took until all were up. They
// are reaped outside that time, as a pool's are.
func probesUp(n int) (time.Duration, error) {
	path, err := sys.Executable()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	exec := &proc.Exec{Path: path, Args: []string{os.Args[0], "xme-worker"}, Env: os.Environ()}
	probes, errs := make([]*proc.Probe, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if probes[i], errs[i] = exec.StartProbe(); errs[i] == nil {
				errs[i] = probes[i].Up()
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	for i, p := range probes {
		if p != nil {
			wg.Go(func() { errs[i] = errors.Join(errs[i], p.End()) })
		}
	}
	wg.Wait()
	return took, errors.Join(errs...)
}

// workersUp opens a pool and returns how long it took until every worker had answered.
func workersUp(ctx context.Context, n int) (time.Duration, error) {
	ranks := make([]int, n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	start := time.Now()
	pool, err := xme.Open(ctx, xme.Options{Workers: n})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	for i, answer := range rank.With(xme.On(ranks...)).Broadcast(ctx, pool, 0) {
		switch r, err := answer.Wait(ctx); {
		case err != nil:
			return 0, err
		case r != ranks[i]:
			return 0, fmt.Errorf("rank %d answered for rank %d", r, ranks[i])
		}
	}
	return time.Since(start), nil
}
