package xme_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

// scrawl is what to write where into the memory that a worker shares with its driver.
type scrawl struct {
	At    int
	Bytes [32]byte
	Later bool // also after the row has ended, for a while
}

var scribbles = xme.Register("scribbles", func(_ context.Context, s scrawl) (int, error) {
	mem, err := laneMemory()
	if err != nil {
		return 0, err
	}
	if s.Later {
		go func() {
			for range 1000 {
				copy(mem[s.At:], s.Bytes[:])
				runtime.Gosched()
			}
		}()
	}
	return copy(mem[s.At:], s.Bytes[:]), nil
})

// laneMemory finds the lane among what is mapped.
func laneMemory() ([]byte, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		var mode string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); n == 3 && mode == "rw-s" &&
			strings.Contains(lines.Text(), "memfd:") && to-from >= uintptr(link.LaneSize) && to-from < uintptr(link.LaneSize)+8192 {
			return unsafe.Slice((*byte)(pointer(from)), link.LaneSize), nil
		}
	}
	return nil, errors.New("no lane is mapped")
}

// pointer makes an address that the runtime knows nothing of a pointer.
func pointer(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// Rubbish of 32 bytes in a worker's shared memory costs that worker at most: the row
// ends, the driver lives, and the next rows have their own values.
// feature: S10
func TestRubbishInALane(t *testing.T) {
	t.Parallel()
	tries := 300
	if !long.Wanted() {
		tries = 30
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	rnd := rand.New(rand.NewPCG(3, 5))
	none := 0
	words := []int{0, 128, 192, 320, 384, 448, 512} // docs/memory.md
	for i := range tries {
		s := scrawl{At: rnd.IntN(link.LaneSize), Later: i%4 >= 2}
		if i%2 == 0 {
			s.At = max(0, words[i/2%len(words)]-rnd.IntN(24)) // and no body of a row or a result that is short: those are the worker's to spoil
		}
		for j := range s.Bytes {
			s.Bytes[j] = byte(rnd.Uint32())
		}
		switch _, err := scribbles.Call(t.Context(), pool, s); {
		case err == nil:
		case strings.Contains(err.Error(), "no lane is mapped"):
			none++
		case errors.Is(err, xme.ErrWorkerLost):
		default:
			t.Fatalf("rubbish %d at %d: %v", i, s.At, err)
		}
		for n := range 4 {
			got, err := square.Call(t.Context(), pool, n)
			if err == nil && got != n*n {
				t.Fatalf("after rubbish %d at %d: %d squared is %d", i, s.At, n, got)
			}
			if err != nil && !errors.Is(err, xme.ErrWorkerLost) {
				t.Fatalf("after rubbish %d at %d: %v", i, s.At, err)
			}
		}
	}
	t.Logf("%d workers ended", pool.Stats().Deaths)
	if pool.Stats().Deaths == 0 {
		t.Errorf("no worker was ended for rubbish; %d of %d had no lane", none, tries)
	}
}

// While a worker idles, a slow row holds up none of those behind it.
// feature: S3
func TestSlowRowHoldsUpNoShortOnes(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	const rows = 3000
	in := func(yield func(time.Duration) bool) {
		for i := range rows {
			d := time.Microsecond
			if i == 1000 {
				d = time.Second
			}
			if !yield(d) {
				return
			}
		}
	}
	ended := 0
	for r := range pausing.Unordered(t.Context(), pool, in) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Index == 1000 && ended != rows-1 {
			t.Errorf("the slow row ended after %d others, want all %d", ended, rows-1)
		}
		ended++
	}
	if ended != rows {
		t.Errorf("%d rows ended, want %d", ended, rows)
	}
}

// pausing computes for a while.
var pausing = xme.Register("pausing", func(_ context.Context, d time.Duration) (time.Duration, error) {
	for begin := time.Now(); time.Since(begin) < d; {
		continue
	}
	return d, nil
})

// Big arguments arrive whole, are the task's own, and their memory is used again: also
// by rows that run elsewhere than those before, and after a worker has died.
// feature: S5
func TestBigArgumentsInSegments(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for i := range 40 {
		b := make([]byte, 40<<10+i*70_000)
		for j := range b {
			b[j] = byte(i + j)
		}
		sum, err := keeps.Call(t.Context(), pool, b)
		if err != nil {
			t.Fatal(err)
		}
		if want := sumOf(b); sum != want {
			t.Fatalf("%d bytes sum up to %d, want %d", len(b), sum, want)
		}
		if i == 20 {
			xmetest.Kill(t, pool, 1)
		}
	}
	for rank := 1; rank <= 2; rank++ { // what the tasks kept has not changed since
		if bad, err := unspoilt.With(xme.On(rank)).Call(t.Context(), pool, 0); err != nil || bad != 0 {
			t.Errorf("rank %d: %d kept values have changed, %v", rank, bad, err)
		}
	}
}

// The first row of a worker goes through shared memory too, if it is big.
// feature: S5
func TestFirstRowIsBig(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	if n, err := mappedFor.Call(t.Context(), pool, make([]byte, 3_000_000)); n != 1 || err != nil {
		t.Errorf("%d mappings of shared memory could hold the argument, %v; want 1", n, err)
	}
}

// mappedFor counts the shared memory of this process that is large enough for b, and not twice so.
var mappedFor = xme.Register("mappedFor", func(_ context.Context, b []byte) (n int, err error) {
	maps, err := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, err
		}
		if size := int(to - from); strings.Contains(line, "memfd:xme") && size >= len(b) && size < 2*len(b) {
			n++
		}
	}
	return n, err
})

var keptValues [][]byte

var keeps = xme.Register("keeps", func(_ context.Context, b []byte) (uint64, error) {
	keptValues = append(keptValues, b)
	return sumOf(b), nil
})

var unspoilt = xme.Register("unspoilt", func(context.Context, int) (int, error) {
	bad := 0
	for _, b := range keptValues {
		for j := range b {
			if b[j] != byte(int(b[0])+j) {
				bad++
				break
			}
		}
	}
	return bad, nil
})

func sumOf(b []byte) (sum uint64) {
	for i, c := range b {
		sum += uint64(c) * uint64(i%251+1)
	}
	return sum
}
