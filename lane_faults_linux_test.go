package xme_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

// Results that the lane cannot carry come on the link, in their rows' turn, among many
// that it does.
// feature: S4
func TestEndsThatComeOnTheLink(t *testing.T) {
	t.Parallel()
	rows := 40_000
	if !long.Wanted() {
		rows = 8_000
	}
	for _, workers := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: workers})
			n := 0
			for v, err := range sometimesBig.Map(t.Context(), pool, count(rows)) {
				if err != nil {
					t.Fatalf("row %d: %v", n, err)
				}
				if text, big := v.(string); big != (n%400 == 399) || big && len(text) != bigText || !big && v != n {
					t.Fatalf("row %d gave a %T", n, v)
				}
				n++
			}
			if deaths := pool.Stats().Deaths; n != rows || deaths != 0 {
				t.Errorf("%d rows, %d workers died", n, deaths)
			}
		})
	}
}

const bigText = 80 << 10

var sometimesBig = xme.Register("sometimes big", func(_ context.Context, n int) (any, error) {
	if n%400 == 399 {
		return strings.Repeat("x", bigText), nil
	}
	return n, nil
})

// A worker that writes rubbish costs the rows that it had claimed, and none of them runs
// again.
// feature: S4
func TestRubbishRunsNoRowTwice(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	path := filepath.Join(t.TempDir(), "ran")
	n := 0
	for _, err := range noted.Map(t.Context(), pool, func(yield func(note) bool) {
		for i := range 2000 {
			if !yield(note{i, path}) {
				return
			}
		}
	}) {
		if err == nil && n == 700 {
			t.Error("the row that wrote rubbish ended well")
		}
		n++
	}
	b, err := os.ReadFile(path)
	if err != nil || n != 2000 {
		t.Fatalf("%d rows, %v", n, err)
	}
	ran := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if ran[line] {
			t.Errorf("row %s ran twice", strings.TrimSpace(line))
		}
		ran[line] = true
	}
}

type note struct {
	N    int
	Path string
}

var noted = xme.Register("noted", func(ctx context.Context, a note) (int, error) {
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(f, "%d\n", a.N)
	if err := errors.Join(err, f.Close()); err != nil || a.N != 700 {
		return a.N, err
	}
	mem, err := laneMemory()
	if err != nil {
		return 0, err
	}
	(*atomic.Uint64)(unsafe.Pointer(&mem[192])).Store(1 << 40) // what says how many results there are
	<-ctx.Done()                                               // or it is killed
	return a.N, nil
})

// A worker that ends rows which it has not claimed is ended; the driver lives.
func TestEndsOfUnclaimedRows(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for _, err := range forges.Map(ctx, pool, count(2000)) {
		if n++; n == 701 { // the forged end of the row is there: have the others taken back
			cancel()
		}
		_ = err
	}
	cancel()
	if got, err := square.Call(t.Context(), pool, 3); err != nil || got != 9 {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}

var forges = xme.Register("forges", func(ctx context.Context, n int) (int, error) {
	if n != 700 {
		return n, nil
	}
	mem, err := laneMemory()
	if err != nil {
		return 0, err
	}
	const words, rowBytes, meta = 640, 512 << 10, 16
	tail := (*atomic.Uint64)(unsafe.Pointer(&mem[192]))
	rows, results := mem[words:words+rowBytes], mem[words+rowBytes:link.LaneSize]
	at := 0
	for binary.LittleEndian.Uint64(rows[at+16+meta:]) != uint64(n) {
		at += (int(binary.LittleEndian.Uint32(rows[at:])) + 31) &^ 15
	}
	call, pos := binary.LittleEndian.Uint32(rows[at+8:]), tail.Load()&^15
	for i := range uint32(5) {
		r := results[pos%uint64(len(results)):]
		binary.LittleEndian.PutUint64(r, 8|uint64(call+i)<<32)
		binary.LittleEndian.PutUint64(r[8:], 6)
		pos += 32
	}
	tail.Store(pos | tail.Load()&15) // the lowest bits count those that were alone
	<-ctx.Done()                     // or it is killed
	return n, nil
})

// Each row with a bound on its memory has it, not the first on its worker alone.
// feature: U5
func TestMemoryOfEveryRow(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for i := range 4 {
		limit, err := dataLimit.With(xme.Memory(256<<20)).Call(t.Context(), pool, 0)
		if err != nil || limit == "unlimited" || limit == "" {
			t.Errorf("call %d: %q, %v", i, limit, err)
		}
	}
	if limit, err := dataLimit.Call(t.Context(), pool, 0); err != nil || limit != "unlimited" {
		t.Errorf("without a bound: %q, %v", limit, err)
	}
}

var dataLimit = xme.Register("data limit", func(context.Context, int) (string, error) {
	b, err := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "Max data size") {
			return strings.Fields(line)[3], err
		}
	}
	return "", err
})

// The bound of a row that its worker gives back, before it has begun, is not left there.
//
// feature: S12
func TestBoundOfARowThatWasGivenBack(t *testing.T) {
	if raced {
		t.Skip("memory limits are not the race detector's")
	}
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	if _, err := square.Call(t.Context(), pool, 1); err != nil {
		t.Fatal(err)
	}
	before := pool.Workers()[0].PID
	for range 50 {
		fu := square.With(xme.Memory(64<<20)).Go(t.Context(), pool, 1)
		fu.Cancel()
		_, _ = fu.Wait(t.Context())
		limit, err := dataLimit.Call(t.Context(), pool, 0)
		if err != nil || limit != "unlimited" && pool.Workers()[0].PID == before {
			t.Fatalf("the next row has %q, %v", limit, err)
		}
		before = pool.Workers()[0].PID
	}
}

// A pool inside a process waits on nothing that a bubble's clock cannot see.
func TestInProcessPoolInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
		for range 3 {
			if _, err := naps.Call(t.Context(), pool, time.Hour); err != nil {
				t.Error(err)
			}
		}
		_ = pool.Close()
	})
}

var naps = xme.Register("naps", func(_ context.Context, d time.Duration) (int, error) {
	<-time.After(d)
	return 1, nil
})
