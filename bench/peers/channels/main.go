// Command channels measures what an engine between processes stands against inside one: goroutines and channels. It prints
// one JSON object: rows a second, one by one through channels, and seconds for a call of a goroutine.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	rate, err := oneByOne(2, 2_000_000)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string]float64{"map": rate, "call": roundTrip(500_000)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "channels:", err)
		os.Exit(1)
	}
}

// oneByOne is a pool of goroutines as it is usually written: all take rows from one channel and put results into
// another; they are checked as they come, and that all have come.
func oneByOne(workers, n int) (float64, error) {
	type result struct{ row, value int }
	in, out := make(chan int, 1024), make(chan result, 1024)
	var wg sync.WaitGroup
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for v := range in {
				out <- result{v, v + 1}
			}
		})
	}
	go func() {
		for i := range n {
			in <- i
		}
		close(in)
		wg.Wait()
		close(out)
	}()
	seen := make([]bool, n)
	for r := range out {
		if r.value != r.row+1 || seen[r.row] {
			return 0, fmt.Errorf("row %d gave %d", r.row, r.value)
		}
		seen[r.row] = true
	}
	if slices.Contains(seen, false) {
		return 0, errors.New("a row is missing")
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// roundTrip calls a goroutine through two channels.
func roundTrip(n int) float64 {
	in, out := make(chan int), make(chan int)
	go func() {
		defer close(out)
		for v := range in {
			out <- v + 1
		}
	}()
	start := time.Now()
	for i := range n {
		in <- i
		<-out
	}
	close(in)
	return time.Since(start).Seconds() / float64(n)
}
