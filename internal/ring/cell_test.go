package ring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

var cellSizes = []int{1, 3, 8, 9, 16, 100, 4096}

// Every size keeps what it is given, alone.
func TestCell(t *testing.T) {
	t.Parallel()
	for _, size := range cellSizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			mem := make([]byte, ring.CellSize(size)+64)
			c, ctx := ring.NewCell(mem, size, newParks()), t.Context()
			a, b, got := bytes.Repeat([]byte{0xa5}, size), bytes.Repeat([]byte{0x5a}, size), make([]byte, size)
			want := func(what string, want []byte) {
				t.Helper()
				ring.NewCell(mem, size, newParks()).Load(got)
				if !bytes.Equal(got, want) {
					t.Fatalf("%s: %x, want %x", what, got, want)
				}
			}
			want("new", make([]byte, size))
			must(t, c.Store(ctx, 7, a))
			want("stored", a)
			old := make([]byte, size)
			must(t, c.Swap(ctx, 7, b, old))
			want("swapped", b)
			if !bytes.Equal(old, a) {
				t.Errorf("swapped out %x", old)
			}
			must(t, c.Swap(ctx, 7, old, old))
			want("swapped with itself", a)
			if ok, err := c.CompareAndSwap(ctx, 7, b, b); ok || err != nil {
				t.Errorf("swapped what was not the same: %v, %v", ok, err)
			}
			want("not swapped", a)
			if ok, err := c.CompareAndSwap(ctx, 7, a, b); !ok || err != nil {
				t.Errorf("not swapped: %v, %v", ok, err)
			}
			want("compared and swapped", b)
			must(t, c.Update(ctx, 7, func(buf []byte) { buf[size-1]++ }))
			b[size-1]++
			want("updated", b)
			func() {
				defer func() { _ = recover() }()
				_ = c.Update(ctx, 7, func(buf []byte) {
					buf[0] = 0
					panic("no")
				})
			}()
			want("after a panic", b)
			must(t, c.Store(ctx, 8, a)) // the lock is free
			want("stored after a panic", a)
			if tail := mem[ring.CellSize(size):]; !bytes.Equal(tail, make([]byte, 64)) {
				t.Error("it wrote beyond its size")
			}
		})
	}
}

// Processes count in one cell while others read: no update is lost, no read is torn.
func TestCellShared(t *testing.T) {
	t.Parallel()
	for _, size := range []int{8, 24, 1024} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			const procs, each = 3, 2000
			mem, waits := make([]byte, ring.CellSize(size)), newParks()
			var writers, readers sync.WaitGroup
			done := make(chan struct{})
			for me := range uint32(procs) {
				writers.Go(func() {
					ctx, c := bounded(t), ring.NewCell(mem, size, waits)
					for i := range each {
						if err := c.Update(ctx, me+1, func(buf []byte) {
							fillWords(buf, binary.LittleEndian.Uint64(buf)+1)
						}); err != nil {
							t.Error(err)
							return
						}
						if i%8 == 0 {
							runtime.Gosched()
						}
					}
				})
				readers.Go(func() {
					c, buf, last := ring.NewCell(mem, size, waits), make([]byte, size), uint64(0)
					for {
						c.Load(buf)
						n := binary.LittleEndian.Uint64(buf)
						if want := make([]byte, size); n < last || !bytes.Equal(buf, fillWords(want, n)) {
							t.Errorf("read %x after %d", buf, last)
							return
						}
						last = n
						select {
						case <-done:
							return
						default:
							runtime.Gosched()
						}
					}
				})
			}
			writers.Wait()
			close(done)
			readers.Wait()
			buf := make([]byte, size)
			ring.NewCell(mem, size, waits).Load(buf)
			if n := binary.LittleEndian.Uint64(buf); n != procs*each {
				t.Errorf("counted %d of %d", n, procs*each)
			}
		})
	}
}

func fillWords(b []byte, n uint64) []byte {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], n)
	}
	return b
}

// A writer that dies half-way leaves the old value; the next goes on once it is swept.
func TestCellWriterDies(t *testing.T) {
	t.Parallel()
	const size = 100
	mem, waits := make([]byte, ring.CellSize(size)), newParks()
	c, old, got := ring.NewCell(mem, size, waits), bytes.Repeat([]byte{1}, size), make([]byte, size)
	must(t, c.Store(t.Context(), 7, old))
	var image []byte
	func() {
		defer func() { _ = recover() }()
		_ = c.Update(t.Context(), 7, func([]byte) {
			image = bytes.Clone(mem) // with the lock held
			panic("die")
		})
	}()
	copies := image[128:]
	for i := range 128 { // the copy that does not count: seq is 1
		copies[i] = 0xee
		if i%8 != 0 && i != 99 {
			continue
		}
		now := bytes.Clone(image)
		c := ring.NewCell(now, size, waits)
		if c.Load(got); !bytes.Equal(got, old) {
			t.Fatalf("a writer died after %d bytes: %x", i, got)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Store(ended, 8, old); !errors.Is(err, context.Canceled) {
			t.Fatalf("stored beside a dead writer: %v", err)
		}
		if c.Sweep(8) || !c.Sweep(7) {
			t.Fatal("swept the wrong one")
		}
		must(t, c.Store(t.Context(), 8, bytes.Repeat([]byte{2}, size)))
		if c.Load(got); !bytes.Equal(got, bytes.Repeat([]byte{2}, size)) {
			t.Fatalf("stored after a death: %x", got)
		}
	}
}

func BenchmarkCell(b *testing.B) {
	for _, size := range []int{8, 64, 4096} {
		c, buf := ring.NewCell(make([]byte, ring.CellSize(size)), size, polls{}), make([]byte, size)
		b.Run(fmt.Sprintf("load-%d", size), func(b *testing.B) {
			for b.Loop() {
				c.Load(buf)
			}
		})
		b.Run(fmt.Sprintf("store-%d", size), func(b *testing.B) {
			for b.Loop() {
				_ = c.Store(b.Context(), 7, buf)
			}
		})
	}
}

func BenchmarkLock(b *testing.B) {
	l := ring.NewLock(make([]byte, 64), polls{})
	for b.Loop() {
		_, _ = l.Acquire(b.Context(), 7)
		l.Release(7)
	}
}
