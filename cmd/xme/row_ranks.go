package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/mpi"
)

func init() {
	const pinned = "; pinned to one CPU each"
	rows = append(
		rows, row{
			name:    "ranks",
			what:    "mpi.Send and mpi.RecvInto of 8 bytes between 2 ranks, there and back, each one's number checked, and now and then every byte" + pinned,
			floorIs: "2 processes that spin on a word in shared memory, there and back" + pinned,
			unit:    inSeconds,
			measure: measureRanks,
			figure:  timesFloor, figureUnit: asRatio, must: 6, reach: 3,
		}, row{
			name:    "ranks-1mb",
			what:    "the same of 1 MiB: bytes one way in half of a round trip" + pinned,
			floorIs: "a copy of 1 MiB to other memory, again and again, on one CPU",
			unit:    bytesPerSecond,
			measure: measureRanksBulk,
			figure:  timesFloor, figureUnit: asRatio, must: 0.3, reach: 0.6, atLeast: true,
		},
	)
}

// trip is what ranks exchange, and for how long.
type trip struct {
	Bytes int
	Block time.Duration
	CPUs  []int // by rank; nil: not pinned
}

// trips has two ranks exchange messages, and returns the seconds that one took there and back.
var trips = xme.Register("trips", func(ctx context.Context, t trip) (float64, error) {
	c := mpi.From(ctx)
	if t.CPUs != nil {
		if _, err := sys.Pin(os.Getpid(), t.CPUs[c.Rank()]); err != nil {
			return 0, err
		}
	}
	out, in := make([]byte, t.Bytes), make([]byte, t.Bytes)
	for {
		for i := range out {
			out[i]++
		}
		n := 16
		if t.Bytes < 1<<10 {
			n = 1000
		}
		begin := time.Now()
		for i := range n {
			out[0] = byte(i)
			for turn := range 2 {
				if turn == c.Rank() {
					if err := mpi.Send(ctx, c, 1-turn, 0, out); err != nil {
						return 0, err
					}
					continue
				}
				got, _, err := mpi.RecvInto(ctx, c, turn, 0, in)
				if err == nil && got != len(in) {
					err = errors.New("too few")
				}
				if err != nil {
					return 0, fmt.Errorf("%d of %d bytes: %w", got, len(in), err)
				}
				if in[0] != byte(i) {
					return 0, fmt.Errorf("rank %d received another message than the next", c.Rank())
				}
			}
		}
		took := time.Since(begin)
		if !slices.Equal(in, out) {
			return 0, fmt.Errorf("rank %d received something else than was sent", c.Rank())
		}
		// Rank 0 says how long it goes on; the time of the last stretch counts, the others warm up.
		left, err := mpi.Broadcast(ctx, c, 0, t.Block-took)
		if err != nil || left <= 0 {
			return took.Seconds() / float64(n), err
		}
		t.Block = left
	}
})

func measureTrips(ctx context.Context, bytes int, block time.Duration) func() (float64, error) {
	cpus, err := sys.Affinity()
	if err != nil || len(cpus) < 2 {
		cpus = nil
	}
	return func() (float64, error) {
		outs, err := mpi.Spawn(ctx, mpi.Options{Size: 2}, trips, trip{bytes, block, cpus})
		if err != nil {
			return 0, err
		}
		return outs[0], nil
	}
}

func measureRanks(ctx context.Context, quick bool) (s sample, err error) {
	rounds, block := 10, 25*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	p, err := startPeer(ctx, "spin", 2*line)
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	words := newPingPong(p)
	floor := func() (float64, error) { return words.perTrip(block) }
	return alternate(ctx, rounds, apart(p.pid(), floor), measureTrips(ctx, 8, block))
}

func measureRanksBulk(ctx context.Context, quick bool) (sample, error) {
	rounds, block := 10, 50*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	const size = 1 << 20
	from, to := make([]byte, size), make([]byte, size)
	floor := func() (float64, error) {
		each, err := perCall(block, func() error {
			from[0]++
			copy(to, from)
			return nil
		})
		return size / each, err
	}
	ours := measureTrips(ctx, size, block)
	return alternate(ctx, rounds, floor, func() (float64, error) {
		each, err := ours()
		return 2 * size / each, err
	})
}
