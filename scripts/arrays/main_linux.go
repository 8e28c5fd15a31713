package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// config is what the flags say.
type config struct {
	bytes, size int // pushed in all; of an array
	time        time.Duration
	seed        uint64
	workers     int
	every       time.Duration // between kills, on average
}

func main() {
	xme.Init()
	c := config{bytes: 8 << 30, size: 64 << 20}
	flag.Func("bytes", "how much to push through, as 8GiB or 100MiB (8GiB)", size(&c.bytes))
	flag.Func("size", "`bytes` of an array (64MiB)", size(&c.size))
	flag.DurationVar(&c.time, "t", 0, "how long to run, instead of -bytes")
	flag.Uint64Var(&c.seed, "seed", 0, "of the kills and of what is done; 0: from the clock")
	flag.IntVar(&c.workers, "workers", 2, "workers of the pool")
	flag.DurationVar(&c.every, "every", 50*time.Millisecond, "between two kills, on average")
	flag.Parse()
	if flag.NArg() > 0 || c.bytes < 1 || c.size < 4096 || c.workers < 1 || c.every <= 0 || c.time < 0 {
		fmt.Fprintln(os.Stderr, "arrays: no arguments; -bytes, -workers and -every above 0, -size 4KiB or more")
		os.Exit(2)
	}
	if err := run(context.Background(), c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "arrays:", err)
		os.Exit(1)
	}
}

// size reads a number of bytes.
func size(to *int) func(string) error {
	return func(s string) error {
		number, unit := s, 1
		for name, n := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if rest, ok := strings.CutSuffix(s, name); ok {
				number, unit = rest, n
			}
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > math.MaxInt/unit {
			return fmt.Errorf("%q is no number of bytes: write 4096, 64KiB, 100MiB or 8GiB", s)
		}
		*to = n * unit
		return nil
	}
}

// counts are what a run did.
type counts struct{ arrays, views, made, kills, lost, items, gone int }

func run(ctx context.Context, c config, out io.Writer) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Fprintf(out, "seed %d, arrays of %d bytes, %d workers, a kill every %v\n", c.seed, c.size, c.workers, c.every)
	// What is made once for all shall be there before the first look.
	if err := push(ctx, config{bytes: c.size, size: c.size, seed: c.seed, workers: 1, every: time.Hour}, &counts{}, io.Discard); err != nil {
		return err
	}
	before, shmem := procs.Take(), shmemBytes()
	var n counts
	begin := time.Now()
	if err := push(ctx, c, &n, out); err != nil {
		return err
	}
	took := time.Since(begin)
	fmt.Fprintf(out, "%d items through queues, %d lost with workers that had taken them\n", n.items, n.gone)
	used, idle := shm.Usage()
	fmt.Fprintf(out, "%d arrays filled and read, %d lent, %d made by tasks, in %v; %d kills, %d calls lost and made again\n",
		n.arrays, n.views, n.made, took.Round(time.Millisecond), n.kills, n.lost)
	fmt.Fprintf(out, "shared memory: %d bytes in use, %d kept; the system counts %+d MiB since the start\n", used, idle, (shmemBytes()-shmem)>>20)
	left := procs.Settle(before, 5*time.Second)
	for _, l := range left {
		fmt.Fprintln(out, "left behind:", l)
	}
	if n.arrays == 0 || n.views == 0 || n.made == 0 || n.items == 0 {
		return errors.New("too short: not all of the four were done")
	}
	if n.lost > n.kills {
		return fmt.Errorf("%d calls were lost, by %d kills", n.lost, n.kills)
	}
	const others = 8 << 20 // what other programs may take meanwhile
	if grown := shmemBytes() - shmem; used != 0 || idle != 0 || len(left) > 0 || grown > others {
		return fmt.Errorf("%d bytes in use, %d kept, %d bytes more in the system, %d things left behind", used, idle, grown, len(left))
	}
	return nil
}

// push opens a pool, pushes arrays through it while its workers are killed, and closes it.
func push(ctx context.Context, c config, n *counts, out io.Writer) error {
	// For one array, or for the opening, or the closing.
	patience := 5*time.Minute + time.Duration(c.size>>20)*time.Second
	dog := procs.Watchdog(patience, func() string { return fmt.Sprintf("arrays: seed %d", c.seed) })
	defer dog.Stop()
	pool, err := xme.Open(ctx, xme.Options{Workers: c.workers})
	if err != nil {
		return err
	}
	defer pool.Close()
	rng := rand.New(rand.NewPCG(c.seed, 1))
	done := make(chan struct{})
	var monkey sync.WaitGroup
	monkey.Go(func() { n.kills = kill(pool, rand.New(rand.NewPCG(c.seed, 2)), c.every, done) })
	defer func() {
		close(done)
		monkey.Wait()
	}()
	begin, told := time.Now(), time.Now()
	more := func(bytes int) bool {
		if c.time > 0 {
			return time.Since(begin) < c.time
		}
		return bytes < c.bytes
	}
	for bytes := 0; more(bytes); bytes += c.size {
		dog.Reset(patience)
		way := rng.IntN(ways)
		if first := bytes / c.size; first < ways { // each once, whatever comes then
			way = first
		}
		if err := one(ctx, pool, way, c, n); err != nil {
			return fmt.Errorf("after %d MiB: %w", bytes>>20, err)
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(out, "%d MiB\n", bytes>>20)
		}
	}
	return nil
}

// kill kills workers until done is closed.
func kill(pool *xme.Pool, rng *rand.Rand, every time.Duration, done <-chan struct{}) (kills int) {
	for {
		select {
		case <-done:
			return kills
		case <-time.After(time.Duration(rng.Int64N(int64(2 * every)))):
		}
		workers := pool.Workers()
		if procs.Kill(workers[rng.IntN(len(workers))].PID) {
			kills++
		}
	}
}

// shmemBytes returns how much shared memory there is in the system.
func shmemBytes() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\nShmem:")
	var kb int64
	_, _ = fmt.Sscan(rest, &kb)
	return kb << 10
}
