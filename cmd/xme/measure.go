package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

// alternate measures both once to warm up, then as often as it is told, by turns, and returns the medians: what slows
// the machine down for a while harms both.
func alternate(ctx context.Context, rounds int, floor, ours func() (float64, error)) (sample, error) {
	var floors, all []float64
	for i := range rounds + 1 {
		if ctx.Err() != nil {
			return sample{}, context.Cause(ctx)
		}
		f, err := floor()
		if err != nil {
			return sample{}, fmt.Errorf("floor: %w", err)
		}
		o, err := ours()
		if err != nil {
			return sample{}, err
		}
		if i > 0 {
			floors, all = append(floors, f), append(all, o)
		}
	}
	return sample{Floor: median(floors), Ours: median(all)}, nil
}

// perCall calls for a while, back to back, and returns the seconds that one took.
func perCall(d time.Duration, call func() error) (float64, error) {
	const stretch = 16 // between looks at the clock
	start := time.Now()
	for n := 0; ; n += stretch {
		if took := time.Since(start); took >= d && n > 0 {
			return took.Seconds() / float64(n), nil
		}
		for range stretch {
			if err := call(); err != nil {
				return 0, err
			}
		}
	}
}

// percentile returns the value that a share of all do not exceed, by nearest rank.
func percentile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

// pins keeps processes on their CPUs until it is undone.
type pins []func() error

// pinned puts this process on the first CPU that it may use, and the others on the second: or all on the first, if they
// are to be together.
func pinned(together bool, others ...int) (pins, error) {
	cpus, err := sys.Affinity()
	if err != nil {
		return nil, orAbsent(err)
	}
	here, there := cpus[0], cpus[min(1, len(cpus)-1)]
	switch {
	case together:
		there = here
	case here == there:
		return nil, fmt.Errorf("one CPU alone: %w", errAbsent)
	}
	var p pins
	for i, pid := range append([]int{os.Getpid()}, others...) {
		cpu := there
		if i == 0 {
			cpu = here
		}
		restore, err := sys.Pin(pid, cpu)
		if err != nil {
			return nil, errors.Join(err, p.undo())
		}
		p = append(p, restore)
	}
	return p, nil
}

// apart is a measurement with this process pinned to one CPU and another to the next.
func apart(pid int, measure func() (float64, error)) func() (float64, error) {
	return func() (value float64, err error) {
		on, err := pinned(false, pid)
		if err != nil {
			return 0, err
		}
		value, err = measure()
		return value, errors.Join(err, on.undo())
	}
}

func (p pins) undo() error {
	var errs []error
	for _, restore := range p {
		errs = append(errs, restore())
	}
	return errors.Join(errs...)
}
