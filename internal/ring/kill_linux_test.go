package ring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// roleEnv says that the test binary is a process of TestQueueKill: "put" or "get".
const roleEnv = "XME_RING_TEST_ROLE"

const killArena = 4000

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	err := play(role)
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// killSize is how large the memory of a queue of either kind is.
func killSize(fixed bool) (slots, elem, arena, size int) {
	slots, arena = 50, killArena
	if fixed {
		elem, arena = 8, 0
	}
	return slots, elem, arena, ring.QueueSize(slots, elem, arena)
}

// play puts, or gets and is done, until it is killed, or the queue has ended.
func play(role string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(2) // the test is gone
	}()
	fixed := role[4:] == "fixed"
	_, _, _, size := killSize(fixed)
	s, err := sys.OpenShared(os.NewFile(3, "shared"), size, true)
	if err != nil {
		return err
	}
	q, err := ring.OpenQueue(s.Bytes(), futex{})
	if err != nil {
		return err
	}
	ctx, me := context.Background(), uint32(os.Getpid())
	if role[:3] == "put" {
		return putOn(ctx, q, me, fixed)
	}
	last, buf := map[uint64]uint64{}, make([]byte, 64)
	for {
		k := 1
		if fixed {
			k, err = q.GetFixed(ctx, me, buf)
		} else {
			err = q.GetVar(ctx, me, func(item []byte) error {
				if copy(buf, item); !intact(item, binary.LittleEndian.Uint64(item)) {
					return fmt.Errorf("torn: %x", item)
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
		for i := range k {
			n := binary.LittleEndian.Uint64(buf[8*i:])
			if was := last[n>>32]; n <= was {
				return fmt.Errorf("%x came after %x", n, was)
			}
			last[n>>32] = n
		}
		if err := q.Done(me, k); err != nil {
			return err
		}
	}
}

func putOn(ctx context.Context, q *ring.Queue, me uint32, fixed bool) error {
	for n := uint64(me)<<32 + 1; ; n++ {
		if !fixed {
			item := make([]byte, 8+n*13%200)
			fill(item, n)
			if err := q.PutVar(ctx, me, item); err != nil {
				return err
			}
			continue
		}
		batch := elements(n)
		for range n % 7 {
			n++
			batch = append(batch, elements(n)...)
		}
		if _, err := q.PutFixed(ctx, me, batch); err != nil {
			return err
		}
	}
}

// Processes are killed anywhere and swept: the others go on, what they get is whole and in
// order, and in the end each item was done or is said to be lost.
func TestQueueKill(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"fixed", "items"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			kills := 60
			if !long.Wanted() {
				kills = 6
			}
			slots, elem, arena, size := killSize(kind == "fixed")
			s, err := sys.NewShared(size)
			must(t, err)
			defer func() { _ = s.Close() }()
			q, err := ring.NewQueue(s.Bytes(), slots, elem, arena, futex{})
			must(t, err)
			roles := []string{"put", "put", "get", "get"}
			var procs [4]*exec.Cmd
			for i := range procs {
				procs[i] = begin(t, s, roles[i]+"-"+kind)
			}
			rnd, lost := rand.New(rand.NewPCG(rand.Uint64(), 6)), 0
			for range kills {
				head := ring.Word(s.Bytes(), ring.OffHead)
				aim := head.Load() + rnd.Uint64N(20_000)
				awaitThat(t, func() bool { return head.Load() >= aim })
				i := rnd.IntN(len(procs))
				lost += end(t, q, procs[i])
				procs[i] = begin(t, s, roles[i]+"-"+kind)
			}
			lost += end(t, q, procs[0]) + end(t, q, procs[1])
			q.End()
			for _, p := range procs[2:] {
				if err := p.Wait(); err != nil {
					t.Errorf("a consumer: %v", err)
				}
			}
			err = q.Join(bounded(t))
			l := (*ring.LostError)(nil)
			if errors.As(err, &l) != (lost > 0) || l != nil && l.Items != lost {
				t.Errorf("%v, want %d lost", err, lost)
			}
			t.Logf("%d items, %d lost", ring.Word(s.Bytes(), ring.OffHead).Load(), lost)
		})
	}
}

func begin(t *testing.T, s *sys.Shared, role string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GOMAXPROCS=1")
	cmd.ExtraFiles = []*os.File{s.File()}
	cmd.Stderr = os.Stderr
	_, err = cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd
}

// end kills a process and sweeps it.
func end(t *testing.T, q *ring.Queue, cmd *exec.Cmd) (lost int) {
	t.Helper()
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() > 0 {
		t.Errorf("it was not killed: %v", err)
	}
	return q.Sweep(uint32(cmd.Process.Pid))
}
