package shm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// weights is what keepWeights keeps in a worker.
var weights struct {
	sync.Mutex
	array *shm.Array[float64]
}

var (
	keepWeights = xme.Register("keepWeights", func(_ context.Context, in *shm.Array[float64]) (bool, error) {
		kept, err := in.Retain()
		if err != nil {
			return false, err
		}
		weights.Lock()
		defer weights.Unlock()
		if weights.array != nil {
			_ = weights.array.Close()
		}
		weights.array = kept
		return true, nil
	})
	useWeights = xme.Register("useWeights", func(_ context.Context, _ bool) (float64, error) {
		weights.Lock()
		defer weights.Unlock()
		if weights.array == nil {
			return 0, errors.New("there are none")
		}
		return weights.array.Slice()[0], nil
	})
	returnWeights = xme.Register("returnWeights", func(_ context.Context, _ bool) (*shm.Array[float64], error) {
		weights.Lock()
		defer weights.Unlock()
		return weights.array, nil
	})
	dropWeights = xme.Register("dropWeights", func(_ context.Context, _ bool) (bool, error) {
		weights.Lock()
		defer weights.Unlock()
		if weights.array != nil {
			_ = weights.array.Close()
		}
		weights.array = nil
		return true, nil
	})
	// stash keeps its argument beyond its end, which it may not.
	stash = xme.Register("stash", func(_ context.Context, in *shm.Array[float64]) (bool, error) {
		weights.Lock()
		defer weights.Unlock()
		weights.array = in
		return true, nil
	})
	unstash = xme.Register("unstash", func(_ context.Context, _ bool) (string, error) {
		weights.Lock()
		defer weights.Unlock()
		a := weights.array
		weights.array = nil
		err := a.Use(func([]float64) error { return nil })
		_, again := a.Retain()
		return fmt.Sprint(errors.Is(again, shm.ErrClosed) && errors.Is(err, shm.ErrClosed)), nil
	})
	// mapped counts the shared memory that its process maps, in bytes.
	mapped = xme.Register("mapped", func(_ context.Context, _ bool) (int, error) {
		maps, err := os.ReadFile("/proc/self/maps")
		n := 0
		for line := range strings.Lines(string(maps)) {
			var from, to int
			if strings.Contains(line, "memfd:xme") {
				if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
					return 0, err
				}
				n += to - from
			}
		}
		return n, err
	})
	makeMany = xme.Register("makeMany", func(_ context.Context, n int) (int, error) {
		var all []*shm.Array[byte]
		defer func() {
			for _, a := range all {
				_ = a.Close()
			}
		}()
		for i := range n {
			a, err := shm.NewArray[byte](1 << 20)
			if err != nil {
				return i, err
			}
			all = append(all, a)
		}
		return n, nil
	})
)

// TestRetain keeps an array in a worker for later tasks, though the driver has closed it
// and makes others.
func TestRetain(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		if pool, ok := on.(*xme.Pool); ok && len(pool.Ranks()) > 0 {
			on = xmetestOne(t, pool)
		}
		a := newArray(t, 1000)
		a.Slice()[0] = 42
		if _, err := keepWeights.Call(t.Context(), on, a); err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		for range 10 {
			b := newArray(t, 1000)
			b.Slice()[0] = 1
			_ = b.Close()
		}
		if got, err := useWeights.Call(t.Context(), on, true); got != 42 || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		for range 2 {
			back, err := returnWeights.Call(t.Context(), on, true)
			if err != nil {
				t.Fatal(err)
			}
			if back.Slice()[0] != 42 {
				t.Errorf("came back with %v", back.Slice()[0])
			}
			_ = back.Close()
		}
		if _, err := dropWeights.Call(t.Context(), on, true); err != nil {
			t.Error(err)
		}
	})
}

// xmetestOne opens a pool with one worker of the kind that pool has.
func xmetestOne(t *testing.T, pool *xme.Pool) xme.Executor {
	t.Helper()
	if pid := pool.Workers()[0].PID; pid == os.Getpid() {
		return pool // one process is all there is
	}
	return xmetest.Open(t, xme.Options{Workers: 1})
}

// TestSetupArray gives every worker one array when it starts, replacements too.
func TestSetupArray(t *testing.T) {
	a := newArray(t, 1000)
	a.Slice()[0] = 7
	pool := xmetest.Open(t, xme.Options{Workers: 2, Setup: keepWeights.Setup(a)})
	_ = a.Close()
	check := func() {
		t.Helper()
		for _, f := range useWeights.With(xme.On(1, 2)).Broadcast(t.Context(), pool, true) {
			if got, err := f.Wait(t.Context()); got != 7 || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		}
	}
	check()
	_, _ = proc.KillRank(pool, 1), proc.KillRank(pool, 2)
	if got, err := useWeights.Call(t.Context(), pool, true); got != 7 || err != nil {
		if got, err = useWeights.Call(t.Context(), pool, true); got != 7 || err != nil { // the first may have gone to one that was dying
			t.Errorf("after the kill: %v, %v", got, err)
		}
	}
	check()
}

// TestEndsWithTask has an array that was kept without Retain say so.
func TestEndsWithTask(t *testing.T) {
	onAll(t, func(t *testing.T, on xme.Executor) {
		if pool, ok := on.(*xme.Pool); ok {
			on = xmetestOne(t, pool)
		}
		a := newArray(t, 10)
		if _, err := stash.Call(t.Context(), on, a); err != nil {
			t.Fatal(err)
		}
		if got, err := unstash.Call(t.Context(), on, true); got != "true" || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// TestWorkersUnmap has workers let go of what is no more.
func TestWorkersUnmap(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks in /proc")
	}
	processes(t, func(t *testing.T, pool *xme.Pool) {
		count := func() int {
			total := 0
			for _, f := range mapped.With(xme.On(1, 2)).Broadcast(t.Context(), pool, true) {
				n, err := f.Wait(t.Context())
				if err != nil {
					t.Skip(err)
				}
				total += n
			}
			return total
		}
		for range 4 { // so that they have their lanes
			count()
		}
		before := count()
		a := newArray(t, 1<<20)
		for _, f := range add.With(xme.On(1, 2)).Broadcast(t.Context(), pool, a) {
			if _, err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := count() - before; got != 2*8<<20 {
			t.Errorf("%d bytes more are mapped, want 16 MB", got)
		}
		used, _ := region.Usage()
		_ = a.Close()
		settles(t, used-8<<20)
		region.Trim()
		for range 1000 { // they are told on another way than calls come
			if count() == before {
				return
			}
		}
		t.Errorf("%d bytes are mapped that were not before", count()-before)
	})
}

// TestSharedBound bounds what calls name, and what tasks make.
func TestSharedBound(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 2, Shared: 8 << 20})
	small, big := newArray(t, 1000), newArray(t, 2<<20)
	if _, err := add.Call(t.Context(), pool, big); !errors.Is(err, xme.ErrMemory) || !strings.Contains(err.Error(), "Options.Shared (8388608)") {
		t.Errorf("got %v", err)
	}
	if _, err := add.Call(t.Context(), pool, small); err != nil {
		t.Error(err)
	}
	if n, err := makeMany.Call(t.Context(), pool, 8); n != 8 || err != nil {
		t.Errorf("made %d, %v", n, err)
	}
	_, err := makeMany.Call(t.Context(), pool, 9)
	if err == nil || !strings.Contains(err.Error(), "Options.Shared (8388608)") {
		t.Errorf("got %v", err)
	}
	if n, err := makeMany.Call(t.Context(), pool, 8); n != 8 || err != nil {
		t.Errorf("then made %d, %v", n, err)
	}
}

// earlyEnv has a worker make an array before Init.
const earlyEnv = "SHM_TEST_EARLY"

var early = func() *shm.Array[byte] {
	if os.Getenv(earlyEnv) == "" {
		return nil
	}
	a, _ := shm.NewArray[byte](1 << 20)
	return a
}()

var closeEarly = xme.Register("closeEarly", func(context.Context, struct{}) (int, error) { return os.Getpid(), early.Close() })

// TestSharedBoundOfEarlyMemory closes in a task what its worker made when nobody was to be asked yet.
func TestSharedBoundOfEarlyMemory(t *testing.T) {
	t.Setenv(earlyEnv, "1")
	pool := xmetest.Open(t, xme.Options{Workers: 1, Shared: 1 << 20})
	before := pool.Workers()[0].PID
	for range 2 {
		if pid, err := closeEarly.Call(t.Context(), pool, struct{}{}); pid != before || err != nil {
			t.Fatalf("process %d, want %d; %v", pid, before, err)
		}
	}
	if n, err := makeMany.Call(t.Context(), pool, 1); n != 1 || err != nil {
		t.Errorf("then made %d, %v", n, err)
	}
}

func TestNewArrayRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		make func() error
		want string
	}{
		"negative": {func() error { _, err := shm.NewArray[int](-1); return err }, "an array of -1 elements: make it 0 or more"},
		"string":   {func() error { _, err := shm.NewArray[string](1); return err }, "string is a pointer, or holds one"},
		"field": {func() error {
			_, err := shm.NewArray[struct{ P *int }](1)
			return err
		}, "has a field P that is a pointer"},
		"address": {func() error { _, err := shm.NewArray[uintptr](1); return err }, "an address"},
		"view":    {func() error { _, err := shm.ViewOf([][]int{}); return err }, "[]int is a pointer, or holds one"},
		"too many": {func() error {
			_, err := shm.NewArray[float64](1 << 60)
			return err
		}, "too many"},
		"too large": {func() error { _, err := shm.NewArray[float64](1 << 50); return err }, "no room for more shared memory"},
		"too large for this machine": {func() error {
			_, err := shm.NewArray[byte](1 << 45)
			return err
		}, "no room for more shared memory"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.make(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := shm.NewArray[byte](1 << 45); !errors.Is(err, xme.ErrMemory) {
		t.Errorf("it is no ErrMemory: %v", err)
	}
}

// TestNotCarried refuses arrays where nothing carries them.
func TestNotCarried(t *testing.T) {
	a := newArray(t, 10)
	if runtime.GOOS == "windows" {
		t.Skip("pipes carry handles there")
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Link: xme.LinkPipe})
	if _, err := add.Call(t.Context(), pool, a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("pipes: %v", err)
	}
	if _, err := makes.Call(t.Context(), pool, 5); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a result by pipes: %v", err)
	}
	if _, err := xme.Serve(t.Context(), "add", nil); err == nil {
		t.Error("served")
	}
}

func TestClose(t *testing.T) {
	a := newArray(t, 10)
	begun, end := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		err := a.Use(func(s []float64) error {
			close(begun)
			<-end
			s[0] = 1 // still there
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	for a.Use(func([]float64) error { return nil }) == nil {
	}
	select {
	case err := <-closed:
		t.Error("Close did not wait", err)
	default:
	}
	close(end)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wait.Wait()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := add.Call(t.Context(), xme.Inline(), a); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("handed over: %v", err)
	}
	part := a.Part(1, 2)
	for name, f := range map[string]func(){
		"Slice": func() { a.Slice() }, "Part": func() { part.Slice() }, "bounds": func() { a.Part(5, 11) }, "order": func() { a.Part(5, 4) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
	if !strings.Contains(a.String(), "float64] of 10") {
		t.Error(a)
	}
}

// TestReuse gives the memory of an array that is closed to the next, zeroed.
func TestReuse(t *testing.T) {
	a := newArray(t, 1<<17)
	for i := range a.Slice() {
		a.Slice()[i] = 1
	}
	_ = a.Close()
	_, idle := region.Usage()
	if idle == 0 {
		t.Fatal("nothing lies unused")
	}
	b := newArray(t, 1<<17)
	for i, v := range b.Slice() {
		if v != 0 {
			t.Fatalf("element %d is %v", i, v)
		}
	}
	if _, now := region.Usage(); now >= idle {
		t.Errorf("%d bytes lie unused, %d before", now, idle)
	}
}

func TestRegisterRefuses(t *testing.T) {
	for name, f := range map[string]func(){
		"array of strings": func() {
			xme.Register("r1", func(context.Context, *shm.Array[string]) (int, error) { return 0, nil })
		},
		"view as a result": func() {
			xme.Register("r3", func(context.Context, int) ([]shm.View[int], error) { return nil, nil })
		},
		"queue of channels": func() {
			xme.Register("r4", func(context.Context, *shm.Queue[chan int]) (int, error) { return 0, nil })
		},
		"pipe of arrays": func() {
			xme.Register("r5", func(context.Context, *shm.Pipe[*shm.Array[int]]) (int, error) { return 0, nil })
		},
		"array by value": func() {
			xme.Register("r2", func(context.Context, []shm.Array[int]) (int, error) { return 0, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, "cross") {
					t.Errorf("recovered %s", r)
				}
			}()
			f()
		})
	}
}
