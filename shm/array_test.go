package shm_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/shm"
)

type job struct {
	Data   *shm.Array[float64]
	Other  *shm.Array[float64]
	Lo, Hi int
}

var (
	double = xme.Register("double", func(_ context.Context, in job) (int, error) {
		for i := range in.Data.Slice()[in.Lo:in.Hi] {
			in.Data.Slice()[in.Lo+i] *= 2
		}
		return in.Hi - in.Lo, nil
	})
	add = xme.Register("add", func(_ context.Context, in *shm.Array[float64]) (float64, error) {
		sum := 0.0
		err := in.Use(func(s []float64) error {
			for _, v := range s {
				sum += v
			}
			return nil
		})
		return sum, err
	})
	makes = xme.Register("makes", func(_ context.Context, n int) (*shm.Array[float64], error) {
		a, err := shm.NewArray[float64](n)
		if err != nil {
			return nil, err
		}
		for i := range a.Slice() {
			a.Slice()[i] = float64(i)
		}
		return a, nil
	})
	same = xme.Register("same", func(_ context.Context, in job) (job, error) { return in, nil })
	// scribble writes where it may not.
	scribble = xme.Register("scribble", func(_ context.Context, in *shm.Array[float64]) (bool, error) {
		in.Slice()[0] = 1
		return true, nil
	})
	// scribbleApart does so on a goroutine of its own.
	scribbleApart = xme.Register("scribbleApart", func(_ context.Context, in *shm.Array[float64]) (bool, error) {
		done := make(chan bool)
		go func() {
			in.Slice()[0] = 1
			close(done)
		}()
		<-done
		return true, nil
	})
	sumView = xme.Register("sumView", func(_ context.Context, in shm.View[int32]) (int64, error) {
		sum := int64(0)
		for _, v := range in.Slice() {
			sum += int64(v)
		}
		return sum, nil
	})
	// passOn lends what it was lent to another task, without a copy of its own.
	passOn = xme.Register("passOn", func(ctx context.Context, in shm.View[int32]) (int64, error) {
		before, _ := shm.Usage()
		f := sumView.Go(ctx, xme.Current(ctx), in)
		if now, _ := shm.Usage(); now != before {
			return 0, fmt.Errorf("%d bytes in use, %d before", now, before)
		}
		return f.Wait(ctx)
	})
	scribbleView = xme.Register("scribbleView", func(_ context.Context, in shm.View[int32]) (bool, error) {
		in.Slice()[0] = 1
		return true, nil
	})
	// nests hands its array, one that it made and a view on to other tasks.
	nests = xme.Register("nests", func(ctx context.Context, in *shm.Array[float64]) (float64, error) {
		on := xme.Current(ctx)
		if _, err := double.Call(ctx, on, job{Data: in, Hi: in.Len()}); err != nil {
			return 0, fmt.Errorf("double: %w", err)
		}
		mine, err := makes.Call(ctx, on, 5)
		if err != nil {
			return 0, fmt.Errorf("makes: %w", err)
		}
		defer func() { _ = mine.Close() }()
		if _, err := double.Call(ctx, on, job{Data: mine, Hi: 5}); err != nil {
			return 0, fmt.Errorf("double mine: %w", err)
		}
		v, err := shm.ViewOf([]int32{1, 2, 3})
		if err != nil {
			return 0, err
		}
		six, err := sumView.Call(ctx, on, v)
		if err != nil {
			return 0, fmt.Errorf("view: %w", err)
		}
		back, err := same.Call(ctx, on, job{Data: in, Other: mine})
		if err != nil {
			return 0, fmt.Errorf("same: %w", err)
		}
		defer func() { _, _ = back.Data.Close(), back.Other.Close() }()
		back.Data.Slice()[0] += 1000
		back.Other.Slice()[0] += 100
		return in.Slice()[0] + mine.Slice()[0] + mine.Slice()[4] + float64(six), nil
	})
)

func newArray(t *testing.T, n int) *shm.Array[float64] {
	t.Helper()
	a, err := shm.NewArray[float64](n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// TestArray fills an array in place by several calls, which see each other's elements.
//
// feature: M1
func TestArray(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		a := newArray(t, 1000)
		for i := range a.Slice() {
			a.Slice()[i] = float64(i)
		}
		var jobs []job
		for lo := 0; lo < 1000; lo += 100 {
			jobs = append(jobs, job{Data: a, Lo: lo, Hi: lo + 100})
		}
		for n, err := range double.Map(t.Context(), on, slices.Values(jobs)) {
			if n != 100 || err != nil {
				t.Fatal(n, err)
			}
		}
		sum, err := add.Call(t.Context(), on, a)
		if sum != 999*1000 || err != nil {
			t.Errorf("sum %v, %v", sum, err)
		}
		part, err := add.Call(t.Context(), on, a.Part(10, 12))
		if part != 42 || err != nil {
			t.Errorf("part %v, %v", part, err)
		}
		if empty, err := add.Call(t.Context(), on, a.Part(7, 7)); empty != 0 || err != nil {
			t.Errorf("empty part %v, %v", empty, err)
		}
	})
}

// An array takes 16 bytes of an argument, a part of one 24: with the seed before it, and the 16 bytes of a record's header, a call with nothing else lies in the cache line of
// the word that announces it (docs/memory.md).
func TestHandlesAreShort(t *testing.T) {
	codec, err := wire.CodecFor[*shm.Array[float64]]()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 1000, 10_000_000} {
		a, err := shm.NewArray[float64](n)
		if err != nil {
			t.Fatal(err)
		}
		for what, one := range map[string]struct {
			a    *shm.Array[float64]
			most int
		}{"all": {a, 16}, "read only": {a.ReadOnly(), 16}, "a part": {a.Part(n/3, n/2+1), 24}} {
			p := wire.NewParcel()
			body, err := wire.Append(codec, nil, &one.a, p)
			if err != nil || len(body) > one.most {
				t.Errorf("%s of %d elements takes %d bytes, %v; want at most %d", what, n, len(body), err, one.most)
			}
			p.Free()
		}
		_ = a.Close()
	}
}

// TestArrayAsResult has arrays come back: one that the task made, and the caller's own.
func TestArrayAsResult(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		used, _ := region.Usage()
		made, err := makes.Call(t.Context(), on, 300)
		if err != nil {
			t.Fatal(err)
		}
		if s := made.Slice(); len(s) != 300 || s[299] != 299 {
			t.Errorf("%d elements, %v", len(s), s)
		}
		mine := newArray(t, 10)
		back, err := same.Call(t.Context(), on, job{Data: mine, Other: made})
		if err != nil {
			t.Fatal(err)
		}
		mine.Slice()[3] = 7
		if back.Data.Slice()[3] != 7 || back.Other.Slice()[299] != 299 {
			t.Error("another memory came back")
		}
		for _, a := range []*shm.Array[float64]{made, back.Data, back.Other, mine} {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		settles(t, used)
	})
}

// settles waits until no more memory is in use than was; calls that have just ended may
// be about to give theirs back.
func settles(t *testing.T, used int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		now, _ := region.Usage()
		if now <= used { // what earlier tests have left may have gone meanwhile
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d bytes in use, %d before", now, used)
			return
		}
		runtime.Gosched()
	}
}

func TestArrayNested(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		a := newArray(t, 10)
		for i := range a.Slice() {
			a.Slice()[i] = 1
		}
		got, err := nests.Call(t.Context(), on, a)
		if want := 1002.0 + 100 + 8 + 6; got != want || err != nil {
			t.Errorf("got %v, want %v: %v", got, want, err)
		}
		if a.Slice()[9] != 2 || a.Slice()[0] != 1002 {
			t.Errorf("the array holds %v", a.Slice())
		}
	})
}

// TestReadOnly ends a task that writes where it may only read, and nothing else.
func TestReadOnly(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		a := newArray(t, 10)
		a.Slice()[0] = 42
		_, err := scribble.Call(t.Context(), on, a.ReadOnly())
		var e *xme.Error
		if !errors.As(err, &e) || e.Cause != xme.CausePanic || !strings.Contains(e.Message, "read-only") {
			t.Errorf("got %v", err)
		}
		v, err := shm.ViewOf([]int32{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = scribbleView.Call(t.Context(), on, v); !errors.As(err, &e) || !strings.Contains(e.Message, "read-only") {
			t.Errorf("a view: got %v", err)
		}
		if sum, err := add.Call(t.Context(), on, a.ReadOnly()); sum != 42 || err != nil {
			t.Errorf("%v, %v", sum, err)
		}
		if ok, err := scribble.Call(t.Context(), on, a); !ok || err != nil || a.Slice()[0] != 1 {
			t.Errorf("writable: %v, %v, %v", ok, err, a.Slice()[0])
		}
	})
}

// TestReadOnlyApart has a worker die of a write that no task can be ended for, alone.
func TestReadOnlyApart(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		a := newArray(t, 10)
		_, err := scribbleApart.Call(t.Context(), pool, a.ReadOnly())
		var e *xme.Error
		if !errors.As(err, &e) || e.Cause != xme.CauseLost || !strings.Contains(e.Error(), "fault") {
			t.Errorf("got %v", err)
		}
		if sum, err := add.Call(t.Context(), pool, a); sum != 0 || err != nil {
			t.Errorf("%v, %v", sum, err)
		}
	})
}

func TestView(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		used, _ := region.Usage()
		for _, n := range []int{0, 1, 1000, 1 << 20} {
			s := make([]int32, n)
			want := int64(0)
			for i := range s {
				s[i] = int32(i)
				want += int64(i)
			}
			v, err := shm.ViewOf(s)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := sumView.Call(t.Context(), on, v); got != want || err != nil {
					t.Errorf("%d elements: %d, want %d, %v", n, got, want, err)
				}
			}
		}
		settles(t, used)
	})
}

// TestViewOfArray hands a part of an array over as it is.
func TestViewOfArray(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		a, err := shm.NewArray[int32](1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		a.Slice()[1000] = 7
		used, _ := region.Usage()
		v, err := shm.ViewOf(a.Slice()[1000:2000])
		if err != nil {
			t.Fatal(err)
		}
		f := sumView.Go(t.Context(), on, v)
		if now, _ := region.Usage(); now != used {
			t.Errorf("%d bytes in use, %d before", now, used)
		}
		if got, err := f.Wait(t.Context()); got != 7 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := passOn.Call(t.Context(), on, v); got != 7 || err != nil {
			t.Errorf("passed on: %v, %v", got, err)
		}
	})
}

// TestKilledWorkers pushes arrays through workers that are killed: nothing stays.
func TestKilledWorkers(t *testing.T) {
	processes(t, func(t *testing.T, pool *xme.Pool) {
		used, _ := region.Usage()
		for i := range 20 {
			a, err := shm.NewArray[float64](100_000)
			if err != nil {
				t.Fatal(err)
			}
			f := double.With(xme.Retries(20)).Go(t.Context(), pool, job{Data: a, Hi: a.Len()})
			if i%3 == 0 {
				_ = proc.KillRank(pool, 1+i%2) // it may have no process just now
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if n, err := f.Wait(t.Context()); n != 100_000 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		settles(t, used)
	})
}
