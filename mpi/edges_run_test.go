//go:build unix

package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/mpi"
)

// TestEdgeRunOfEverything has eight goroutines make calls of all kinds while ranks are killed, closed one by one in a random order, twice, and watched; all futures
// end, Run ends, and nothing is left.
func TestEdgeRunOfEverything(t *testing.T) {
	seeds := uint64(12)
	if !long.Wanted() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			o := mpi.Options{Size: 2 + rnd.IntN(4), Buffer: 1 + rnd.IntN(20)}
			o.Pool = xme.Options{Link: xme.Link(rnd.IntN(3)), Grace: time.Millisecond, Spares: rnd.IntN(3) - 1, Recycle: rnd.IntN(2) * (1 + rnd.IntN(5)), MaxProcesses: rnd.IntN(2) * (o.Size + 3)}
			o.Pool.Stderr, o.Pool.Stdout = io.Discard, io.Discard
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var futures []*xme.Future[int]
			ended := make(chan error, 1)
			how := rnd.IntN(4)
			go func() {
				ended <- mpi.Run(ctx, o, func(ctx context.Context, c *mpi.Comm) error {
					var mu sync.Mutex
					var callers, others sync.WaitGroup
					watching, stop := context.WithCancel(ctx)
					defer stop()
					for g := range 8 {
						callers.Go(func() {
							rnd := rand.New(rand.NewPCG(seed, uint64(g+2)))
							for range 40 {
								f := []*xme.Func[int, int]{square, square, nests, die, whoAmI}[rnd.IntN(5)]
								switch rnd.IntN(6) {
								case 0:
									f = f.With(xme.On(1 + rnd.IntN(o.Size-1)))
								case 1:
									f = f.With(xme.On(1+rnd.IntN(o.Size-1), 1+rnd.IntN(o.Size-1)), xme.Retries(1))
								case 2:
									f = f.With(xme.Fresh())
								case 3:
									f = f.With(xme.Timeout(time.Millisecond))
								}
								var fs []*xme.Future[int]
								if rnd.IntN(8) == 0 {
									fs = f.Broadcast(ctx, c, 3)
								} else {
									fs = append(fs, f.Go(ctx, c, 3))
								}
								mu.Lock()
								futures = append(futures, fs...)
								mu.Unlock()
							}
						})
					}
					others.Go(func() {
						for w := range c.Watch(watching) {
							if rnd := rand.IntN(10); rnd == 0 && w.PID > 0 {
								_ = syscall.Kill(w.PID, syscall.SIGKILL)
							}
						}
					})
					if how > 0 {
						for _, r := range rnd.Perm(o.Size - 1) {
							others.Go(func() { _ = c.Close(r + 1) })
							others.Go(func() { _ = c.Close(r+1, 1) })
						}
					}
					if how == 2 {
						cancel()
					}
					callers.Wait()
					if how == 3 {
						return errors.New("main fails")
					}
					if err := c.Close(); err != nil && how != 2 {
						t.Error(err)
					}
					stop()
					others.Wait()
					return nil
				})
			}()
			select {
			case err := <-ended:
				if how != 2 && (err == nil) != (how < 2) {
					t.Errorf("how %d: %v", how, err)
				}
			case <-time.After(3 * edgePatience):
				buf := make([]byte, 1<<20)
				t.Fatalf("Run has not ended\n%s", buf[:runtime.Stack(buf, true)])
			}
			for _, f := range futures {
				short, cancel := context.WithTimeout(t.Context(), edgePatience)
				if _, err := f.Wait(short); short.Err() != nil {
					t.Errorf("a future has not ended: %v", err)
				}
				cancel()
			}
		})
	}
}

// TestEdgeRunCutIsNoSuccess: main makes a call whose result it does not wait for, and returns nil. If ctx ends a moment after, Run returns its cause, since the call was cut ("if ctx ends first, Run returns
// its cause"). If it ended a moment before, the call was cut just the same. (Found: then Run returns nil.)
func TestEdgeRunCutIsNoSuccess(t *testing.T) {
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	err := mpi.Run(ctx, mpi.Options{Size: 2}, func(_ context.Context, c *mpi.Comm) error {
		hang.Go(context.Background(), c, 0)
		stop(why)
		return nil
	})
	if !errors.Is(err, why) {
		t.Errorf("Run: %v, want %v", err, why)
	}
}

// TestEdgeRunNilComm: a call on a nil communicator is an error, or a panic that says what is wrong.
func TestEdgeRunNilComm(t *testing.T) {
	defer func() {
		if p := recover(); p != nil && strings.Contains(fmt.Sprint(p), "nil pointer dereference") {
			t.Errorf("it panics with %v", p)
		}
	}()
	var c *mpi.Comm
	if _, err := square.Call(t.Context(), c, 2); err == nil {
		t.Error("a call on no communicator has gone well")
	}
}

// TestEdgeSpawnInRun: main of a Run may Spawn, and the other way round; ranks of one are none of the other.
func TestEdgeSpawnInRun(t *testing.T) {
	run(t, mpi.Options{Size: 2}, func(ctx context.Context, c *mpi.Comm) {
		if _, err := mpi.Spawn(ctx, mpi.Options{Size: 2}, edge, edgeIn{How: "barrier"}); err != nil {
			t.Error(err)
		}
		if n, err := edgeFrom.Call(ctx, c, 0); n != 0 || err != nil {
			t.Errorf("a rank of Run has a communicator of %d: %v", n, err)
		}
		if n, err := edgeSpawns.Call(ctx, c, 3); n != 3 || err != nil {
			t.Errorf("Spawn in a task: %d, %v", n, err)
		}
	})
	out, err := mpi.Spawn(t.Context(), mpi.Options{Size: 2}, edgeSpawns, 2)
	if err != nil || out[0] != 2 || out[1] != 2 {
		t.Errorf("Spawn in a rank of Spawn: %v, %v", out, err)
	}
}

var edgeSpawns = xme.Register("edge.spawns", func(ctx context.Context, n int) (int, error) {
	out, err := mpi.Spawn(ctx, mpi.Options{Size: n}, edge, edgeIn{How: "barrier"})
	return len(out), err
})

// edgePids writes the rank's pid, then talks for ever.
var edgePids = xme.Register("edge.pids", func(ctx context.Context, dir string) (int, error) {
	c := mpi.From(ctx)
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	buf := make([]float64, 1<<18)
	for {
		if err := mpi.AllreduceSlice(ctx, c, buf, mpi.Sum); err != nil {
			return 0, err
		}
	}
})

// TestEdgeDriverKilled: the driver is killed, or interrupted, in the midst of collectives: nothing is left of its ranks, in memory, or in /dev/shm.
func TestEdgeDriverKilled(t *testing.T) {
	if dir := os.Getenv("XME_EDGE_DRIVER"); dir != "" {
		_, err := mpi.Spawn(t.Context(), mpi.Options{Size: 3}, edgePids, dir)
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("it looks into /dev/shm")
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("ignored here, and so by the driver")
			}
			dir, tmp := t.TempDir(), t.TempDir()
			before := names(t, "/dev/shm")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEdgeDriverKilled$", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), "XME_EDGE_DRIVER="+dir, "TMPDIR="+tmp)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			wait(t, "three ranks", func() bool { return len(names(t, dir)) == 3 })
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			wait(t, "the end of all ranks", func() bool {
				for pid := range names(t, dir) {
					if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
						return false
					}
				}
				return true
			})
			if left := names(t, tmp); len(left) > 0 && sig != syscall.SIGKILL {
				t.Errorf("left in TMPDIR: %v", left)
			}
			for name := range names(t, "/dev/shm") {
				if !before[name] {
					t.Errorf("left in /dev/shm: %s", name)
				}
			}
		})
	}
}

func names(t *testing.T, dir string) map[string]bool {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]bool{}
	for _, e := range list {
		m[e.Name()] = true
	}
	return m
}

// TestEdgeSpawnContextEnds: Spawn's context ends at any moment, also before it begins: Spawn returns, with an error that wraps its cause.
func TestEdgeSpawnContextEnds(t *testing.T) {
	cause := errors.New("enough")
	for i := range 12 {
		ctx, cancel := context.WithCancelCause(t.Context())
		dir := t.TempDir()
		if i == 0 {
			cancel(cause)
		} else {
			go func() {
				if i > 6 {
					for len(names(t, dir)) < 1+i%3 && t.Context().Err() == nil {
						runtime.Gosched()
					}
				} else {
					for range i * 50 {
						runtime.Gosched()
					}
				}
				cancel(cause)
			}()
		}
		ended := make(chan error, 1)
		go func() {
			_, err := mpi.Spawn(ctx, mpi.Options{Size: 3, Pool: xme.Options{Link: xme.Link(i % 3)}}, edgePids, dir)
			ended <- err
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, cause) {
				t.Errorf("%d: got %v, want %v", i, err, cause)
			}
		case <-time.After(edgePatience):
			t.Fatalf("%d: Spawn has not ended", i)
		}
		cancel(nil)
	}
}

// TestEdgeSpawnMemory: f's option Memory holds for each rank.
func TestEdgeSpawnMemory(t *testing.T) {
	for _, memory := range []int64{1 << 20, 256 << 20} {
		_, err := spawnEdgeOf(t, edge.With(xme.Memory(memory)), 2, xme.Options{}, edgeIn{How: "barrier"})
		if err != nil && !errors.Is(err, xme.ErrMemory) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Memory(%d): %v", memory, err)
		}
	}
}

// TestEdgeGoexitInRank: a rank's function ends its goroutine: that is its error, and the others are told.
func TestEdgeGoexitInRank(t *testing.T) {
	_, err := mpi.Spawn(t.Context(), mpi.Options{Size: 2}, edgeGoexit, 0)
	if err == nil || errors.Is(err, mpi.ErrRankEnded) || errors.Is(err, mpi.ErrDeadlock) {
		t.Errorf("got %v", err)
	}
}

var edgeGoexit = xme.Register("edge.goexit", func(ctx context.Context, _ int) (int, error) {
	c := mpi.From(ctx)
	if c.Rank() == 1 {
		runtime.Goexit()
	}
	v, _, err := mpi.Recv[int](ctx, c, 1, 0)
	return v, err
})
