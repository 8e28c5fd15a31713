package ring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// spinning handles: as two processes have them.
func pair(b *testing.B, slots, elem, arena int) (put, get *ring.Queue) {
	mem := make([]byte, ring.QueueSize(slots, elem, arena))
	put, err := ring.NewQueue(mem, slots, elem, arena, polls{})
	if err != nil {
		b.Fatal(err)
	}
	if get, err = ring.OpenQueue(mem, polls{}); err != nil {
		b.Fatal(err)
	}
	return put, get
}

// BenchmarkQueue moves elements of 8 bytes from one goroutine to another: ns/op is for
// one put of so many.
func BenchmarkQueue(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			put, get := pair(b, 4096, 8, 0)
			got := make(chan int)
			go func() {
				n, buf := 0, make([]byte, 8*batch)
				for {
					k, err := get.GetFixed(context.Background(), 2, buf)
					if err != nil {
						got <- n
						return
					}
					n += k
				}
			}()
			n, buf := 0, make([]byte, 8*batch)
			for b.Loop() {
				if _, err := put.PutFixed(b.Context(), 1, buf); err != nil {
					b.Fatal(err)
				}
				n += batch
			}
			put.End()
			if k := <-got; k != n {
				b.Fatalf("got %d of %d", k, n)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

func BenchmarkQueueItems(b *testing.B) {
	for _, size := range []int{24, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			put, get := pair(b, 1024, 0, 1<<20)
			done := make(chan error)
			go func() {
				for {
					if err := get.GetVar(context.Background(), 2, func([]byte) error { return nil }); err != nil {
						done <- err
						return
					}
				}
			}()
			buf := make([]byte, size)
			for b.Loop() {
				if err := put.PutVar(b.Context(), 1, buf); err != nil {
					b.Fatal(err)
				}
			}
			put.End()
			if err := <-done; !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkQueueAlone puts and gets on one goroutine: the work itself.
func BenchmarkQueueAlone(b *testing.B) {
	put, get := pair(b, 4096, 8, 0)
	buf := make([]byte, 8)
	for b.Loop() {
		_, _ = put.PutFixed(b.Context(), 1, buf)
		_, _ = get.GetFixed(b.Context(), 2, buf)
	}
}

// BenchmarkChannel is what there would be within one process.
func BenchmarkChannel(b *testing.B) {
	c, done := make(chan uint64, 4096), make(chan struct{})
	go func() {
		defer close(done)
		for range c {
		}
	}()
	for b.Loop() {
		c <- 1
	}
	close(c)
	<-done
}
