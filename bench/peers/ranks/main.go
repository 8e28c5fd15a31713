// Command ranks measures two ranks that exchange messages through package mpi: what ../mpi_ranks.c does on Open MPI, loop
// for loop, with rank 0 on one CPU and rank 1 on another. It prints one JSON object: seconds of each measure.
//
//	pingpong SIZE    half a round trip of SIZE bytes
//	stream SIZE      a message of SIZE bytes, one sent after the other, blocking
//	window SIZE      the same, eight under way at a time, receives posted first
//	allreduce SIZE   a sum of float64, in place
//	barrier
//
// The first and the last byte (or element) of every message are checked.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/mpi"
)

// wanted says where ranks are to be, and which measure is to be taken; empty: all.
type wanted struct {
	CPUs []int
	Only string
}

var measures = xme.Register("measures", func(ctx context.Context, in wanted) (map[string]float64, error) {
	c, cpus := mpi.From(ctx), in.CPUs
	if len(cpus) > 1 {
		if _, err := sys.Pin(os.Getpid(), cpus[c.Rank()]); err != nil {
			return nil, err
		}
		runtime.SetDefaultGOMAXPROCS()
	}
	r := newRank(c)
	found := map[string]float64{}
	for _, m := range []struct {
		name  string
		f     func(ctx context.Context, n int) error
		sizes []int
	}{
		{"pingpong", r.pingPong, []int{8, 64, 512, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20}},
		{"stream", r.stream, []int{8, 1 << 20}},
		{"window", r.window, []int{1 << 20}},
		{"allreduce", r.allreduce, []int{8, 8 << 20}},
		{"barrier", r.barrier, []int{0}},
	} {
		for _, size := range m.sizes {
			if in.Only != "" && in.Only != fmt.Sprintf("%s %d", m.name, size) {
				continue
			}
			took, err := r.measure(ctx, m.f, size)
			if err != nil {
				return nil, fmt.Errorf("%s %d: %w", m.name, size, err)
			}
			if m.name == "pingpong" {
				took /= 2
			}
			found[fmt.Sprintf("%s %d", m.name, size)] = took
		}
	}
	return found, nil
})

func main() {
	xme.Init()
	cpus, err := sys.Affinity()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ranks: not pinned:", err)
	}
	outs, err := mpi.Spawn(context.Background(), mpi.Options{Size: 2}, measures, wanted{cpus, strings.Join(os.Args[1:], " ")})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(outs[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ranks:", err)
		os.Exit(1)
	}
}

const (
	underWay = 8
	largest  = 16 << 20
)

var errOther = errors.New("received something else than was sent")

// rank is a rank's memory.
type rank struct {
	c       *mpi.Comm
	peer    int
	size    int // bytes of the message that is measured
	out, in [underWay][]byte
	sums    []float64
}

func newRank(c *mpi.Comm) *rank {
	r := &rank{c: c, peer: 1 - c.Rank(), sums: make([]float64, largest/8)}
	for k := range underWay {
		r.out[k], r.in[k] = make([]byte, largest), make([]byte, largest)
		touch(r.out[k])
		touch(r.in[k])
	}
	for i := range r.sums {
		r.sums[i] = 1
	}
	return r
}

func touch(b []byte) {
	for i := range b {
		b[i] = 255
	}
}

// measure repeats a measure until it takes a fifth of a second; what comes before warms up.
func (r *rank) measure(ctx context.Context, f func(ctx context.Context, n int) error, size int) (seconds float64, err error) {
	r.size = size
	for n := underWay; ; n *= 2 {
		if err := r.c.Barrier(ctx); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := f(ctx, n); err != nil {
			return 0, err
		}
		took, err := mpi.Broadcast(ctx, r.c, 0, time.Since(start).Seconds())
		if err != nil || took >= 0.2 {
			return took / float64(n), err
		}
	}
}
