//go:build unix

package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/mpi"
)

// edgePatience bounds what must end by itself; nothing is measured with it.
const edgePatience = 2 * time.Minute

// edgeIn is what edge does, and a pipe by which ranks tell each other something beside their messages.
type edgeIn struct {
	How         string
	Read, Write *os.File
}

var edgeFrom = xme.Register("edge.from", func(ctx context.Context, _ int) (int, error) { return mpi.From(ctx).Size(), nil })

var edgeSleep = xme.Register("edge.sleep", func(_ context.Context, ms int) (int, error) {
	<-time.After(time.Duration(ms) * time.Millisecond)
	return 0, nil
})

var edge = xme.Register("edge", func(ctx context.Context, in edgeIn) (string, error) {
	if in.How == "From with a deadline" && xme.Rank(ctx) == 2 {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c := mpi.From(short)
		if _, _, err := mpi.Recv[int](short, c, 0, 0); !errors.Is(err, context.DeadlineExceeded) {
			return "", fmt.Errorf("a Recv with a deadline: %w", err)
		}
		if err := mpi.Send(ctx, c, 0, 0, 1); err != nil {
			return "", err
		}
		_, _, err := mpi.Recv[int](ctx, c, 0, 0)
		return "", err
	}
	c := mpi.From(ctx)
	me := c.Rank()
	next := (me + 1) % c.Size()
	tell := func() error { _, err := in.Write.Write([]byte{1}); return err }
	await := func() error { _, err := in.Read.Read(make([]byte, 1)); return err }
	// returned waits until a rank has returned.
	returned := func(rank int) error {
		_, err := mpi.Probe(ctx, c, rank, 999)
		if !errors.Is(err, mpi.ErrRankEnded) {
			return fmt.Errorf("rank %d: %w", rank, err)
		}
		return nil
	}
	switch in.How {
	case "barrier":
		return "", c.Barrier(ctx)

	case "deadlock":
		_, _, err := mpi.Recv[int](ctx, c, next, 0)
		return "", err

	case "Isends, then returns":
		const n = 300
		switch me {
		case 0:
			for i := range n {
				mpi.Isend(ctx, c, 1, 0, make([]byte, 8000)[:8000-i])
			}
			return "", nil
		case 2:
			if err := returned(0); err != nil {
				return "", err
			}
			return "", tell()
		}
		if err := await(); err != nil { // rank 0 has returned
			return "", err
		}
		for i := range n {
			v, _, err := mpi.Recv[[]byte](ctx, c, 0, 0)
			if err != nil || len(v) != 8000-i {
				return "", fmt.Errorf("message %d of %d: %d bytes, %w", i, n, len(v), err)
			}
		}
		return "", nil

	case "request waited for with a deadline":
		if me == 0 {
			r := mpi.Irecv[int](ctx, c, 1, 0)
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, _, err := r.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
				return "", fmt.Errorf("the Wait: %w", err)
			}
			if err := mpi.Send(ctx, c, 1, 0, 1); err != nil {
				return "", err
			}
			_, _, err := r.Wait(ctx)
			return "", err
		}
		if _, _, err := mpi.Recv[int](ctx, c, 0, 0); err != nil {
			return "", err
		}
		return "", mpi.Send(ctx, c, 0, 0, 2)

	case "From with a deadline":
		if me == 0 {
			_, _, err := mpi.Recv[int](ctx, c, 1, 0)
			if err != nil {
				return "", err
			}
			return "", mpi.Send(ctx, c, 1, 0, 2)
		}
		return "", errors.New("rank 1 does this elsewhere")

	case "server in a goroutine":
		if me > 0 {
			return "", mpi.Send(ctx, c, 0, 0, me)
		}
		var served error
		n := 0
		var server sync.WaitGroup
		server.Go(func() {
			for ; served == nil; n++ {
				_, _, served = mpi.Recv[int](ctx, c, mpi.AnySource, 0)
			}
		})
		server.Wait()
		if n != c.Size() || !errors.Is(served, mpi.ErrRankEnded) && !errors.Is(served, mpi.ErrDeadlock) {
			return "", fmt.Errorf("%d served: %w", n-1, served)
		}
		return "", nil

	case "SendRecv with a deadline":
		if me == 0 {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, _, err := mpi.SendRecv(short, c, 1, 5, make([]byte, 1<<20), 1, 0); !errors.Is(err, context.DeadlineExceeded) {
				return "", fmt.Errorf("the SendRecv: %w", err)
			}
			return "", mpi.Send(ctx, c, 1, 0, []byte{1})
		}
		if err := mpi.Send(ctx, c, 0, 0, []byte{1}); err != nil {
			return "", err
		}
		_, _, err := mpi.Recv[[]byte](ctx, c, 0, 0)
		return "", err

	case "Sleep beside an Irecv", "nested call beside an Irecv", "goroutine that sleeps", "polls an Irecv":
		if me == 1 {
			v, _, err := mpi.Recv[int](ctx, c, 0, 0)
			if err != nil {
				return "", err
			}
			return "", mpi.Send(ctx, c, 0, 0, v)
		}
		r := mpi.Irecv[int](ctx, c, 1, 0)
		switch in.How {
		case "Sleep beside an Irecv":
			<-time.After(time.Second)
			if err := mpi.Send(ctx, c, 1, 0, 1); err != nil {
				return "", err
			}
		case "nested call beside an Irecv":
			if _, err := edgeSleep.Call(ctx, xme.Current(ctx), 1000); err != nil {
				return "", err
			}
			if err := mpi.Send(ctx, c, 1, 0, 1); err != nil {
				return "", err
			}
		case "polls an Irecv":
			runtime.GOMAXPROCS(2)
			for begun := time.Now(); time.Since(begun) < 500*time.Millisecond; {
				if _, _, done, err := r.Test(); done || err != nil {
					return "", fmt.Errorf("the request is over before anything was sent: %w", err)
				}
			}
			if err := mpi.Send(ctx, c, 1, 0, 1); err != nil {
				return "", err
			}
		case "goroutine that sleeps":
			go func() {
				<-time.After(time.Second)
				_ = mpi.Send(ctx, c, 1, 0, 1)
			}()
		}
		_, _, err := r.Wait(ctx)
		return "", err

	case "nested call of From":
		if me == 1 {
			return "", nil
		}
		if err := returned(1); err != nil {
			return "", err
		}
		for range 20 {
			n, err := edgeFrom.Call(ctx, xme.Current(ctx), 0)
			if err != nil {
				return "", err
			}
			if n != 0 {
				return "", fmt.Errorf("a task that Spawn did not start has got a communicator of %d ranks", n)
			}
		}
		return "", nil

	case "deadlock beside a dead rank":
		two, err := c.Split(ctx, me/2, me)
		if err != nil {
			return "", err
		}
		if me == 2 {
			if err := mpi.Send(ctx, c, 0, 0, os.Getpid()); err != nil {
				return "", err
			}
			<-ctx.Done()
			return "", ctx.Err()
		}
		if me == 0 {
			pid, _, err := mpi.Recv[int](ctx, c, 2, 0)
			if err != nil {
				return "", err
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return "", err
			}
		}
		_, _, err = mpi.Recv[int](ctx, two, 1-me, 0) // both wait, and rank 2 is none of theirs
		if errors.Is(err, mpi.ErrDeadlock) {
			return "", nil
		}
		return "", fmt.Errorf("rank %d: want a deadlock: %w", me, err)

	case "dies after it has returned":
		if me == 0 {
			if err := mpi.Send(ctx, c, 1, 0, os.Getpid()); err != nil {
				return "", err
			}
			mpi.Isend(ctx, c, 1, 1, make([]byte, 64<<20))
			return "", nil
		}
		if me == 2 { // has a limit in time, so there is no deadlock
			short, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			_, _, err := mpi.Recv[int](short, c, 1, 0)
			return "", err
		}
		pid, _, err := mpi.Recv[int](ctx, c, 0, 0)
		if err != nil {
			return "", err
		}
		if err := returned(0); err != nil {
			return "", err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return "", err
		}
		for syscall.Kill(pid, 0) == nil {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			<-time.After(time.Millisecond)
		}
		_, _, err = mpi.Recv[[]byte](ctx, c, 0, 1)
		if !errors.Is(err, mpi.ErrRankEnded) {
			return "", fmt.Errorf("the rank that sends has died: %w", err)
		}
		return "", mpi.Send(ctx, c, 2, 0, 1)

	case "is slow after it has returned":
		if me == 0 {
			if err := mpi.Send(ctx, c, 1, 0, os.Getpid()); err != nil {
				return "", err
			}
			mpi.Isend(ctx, c, 1, 1, make([]byte, 64<<20))
			return "", nil
		}
		pid, _, err := mpi.Recv[int](ctx, c, 0, 0)
		if err != nil {
			return "", err
		}
		if err := returned(0); err != nil {
			return "", err
		}
		// The machine has other things to do for a second.
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return "", err
		}
		if err := exec.Command("/bin/sh", "-c", fmt.Sprintf("sleep 1; kill -CONT %d", pid)).Start(); err != nil {
			return "", err
		}
		v, _, err := mpi.Recv[[]byte](ctx, c, 0, 1)
		if err == nil && len(v) != 64<<20 {
			err = fmt.Errorf("%d bytes", len(v))
		}
		return "", err

	case "deadline in the middle of a large message":
		if me == 0 {
			err := mpi.Send(ctx, c, 1, 0, make([]byte, 1<<30-1))
			return fmt.Sprint(err), nil
		}
		if _, err := mpi.Probe(ctx, c, 0, 0); err != nil {
			return "", err
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_, _, err := mpi.RecvInto(short, c, 0, 0, make([]byte, 1<<30-1))
		if !errors.Is(err, context.DeadlineExceeded) {
			return "", fmt.Errorf("want a deadline that was exceeded: %w", err)
		}
		return "", nil

	case "exchange of small messages":
		if err := mpi.Send(ctx, c, next, 0, make([]byte, 8<<10)); err != nil {
			return "", err
		}
		_, _, err := mpi.Recv[[]byte](ctx, c, (me-1+c.Size())%c.Size(), 0)
		return "", err

	case "exits":
		if me == 0 {
			os.Exit(3)
		}
		_, _, err := mpi.Recv[int](ctx, c, 0, 0)
		var e *mpi.RankError
		if !errors.As(err, &e) || e.Rank != 0 || e.Why != mpi.Died {
			return "", fmt.Errorf("want that rank 0 has died: %w", err)
		}
		return "", nil

	case "splits side by side":
		// Rank 1 is in {0, 1} and in {1, 2}, and splits both at the same time.
		var a, b *mpi.Comm
		var err error
		if a, err = c.Split(ctx, max(0, me-1), me); err != nil { // {0, 1}, {2}
			return "", err
		}
		if b, err = c.Split(ctx, min(1, me), me); err != nil { // {0}, {1, 2}
			return "", err
		}
		switch me {
		case 0:
			if err := await(); err != nil {
				return "", err
			}
			n, err := a.Split(ctx, 0, 0)
			if err != nil {
				return "", err
			}
			return "", mpi.Send(ctx, n, 1, 0, "of a")
		case 2:
			n, err := b.Split(ctx, 0, 0)
			if err != nil {
				return "", err
			}
			if err := mpi.Send(ctx, n, 1, 0, "of b"); err != nil {
				return "", err
			}
			// Whatever waits in rank 1 has this message now.
			return "", mpi.Send(ctx, c, 1, 7, 1)
		}
		type made struct {
			c   *mpi.Comm
			err error
		}
		as := make(chan made, 1)
		begins := make(chan struct{})
		go func() {
			close(begins)
			n, err := a.Split(ctx, 0, 1)
			as <- made{n, err}
		}()
		<-begins
		<-time.After(100 * time.Millisecond) // let it begin; if it has not, the test finds nothing
		ofB, err := b.Split(ctx, 0, 1)
		if err != nil {
			return "", err
		}
		if _, _, err := mpi.Recv[int](ctx, c, 2, 7); err != nil {
			return "", err
		}
		if err := tell(); err != nil { // now rank 0 splits a
			return "", err
		}
		got := <-as
		if got.err != nil {
			return "", got.err
		}
		v, st, err := mpi.Recv[string](ctx, got.c, mpi.AnySource, 0)
		if err != nil || v != "of a" || st.Source != 0 {
			return "", fmt.Errorf("received %q from rank %d in a communicator of which another's messages are none of its business: %w", v, st.Source, err)
		}
		v, _, err = mpi.Recv[string](ctx, ofB, mpi.AnySource, 0)
		return v, err

	case "deadlock after a large message was taken back":
		// Rank 2 computes, and returns: rank 0's ring to it is full, and a large message to it was announced before.
		switch me {
		case 2:
			return "", await()
		case 1:
			for range 10 {
				if _, _, err := mpi.Recv[[]byte](ctx, c, 0, 0); err != nil {
					return "", err
				}
			}
		case 0:
			for range 10 {
				if err := mpi.Send(ctx, c, 1, 0, make([]byte, 8000)); err != nil {
					return "", err
				}
			}
			large := mpi.Isend(ctx, c, 2, 0, make([]byte, 1<<20))
			for {
				r := mpi.Isend(ctx, c, 2, 1, struct{}{})
				if done, err := r.Test(); err != nil {
					return "", err
				} else if !done { // there is no room for anything
					break
				}
			}
			if err := tell(); err != nil {
				return "", err
			}
			if err := large.Wait(ctx); !errors.Is(err, mpi.ErrRankEnded) {
				return "", fmt.Errorf("the large message to rank 2: %w", err)
			}
		}
		_, _, err := mpi.Recv[int](ctx, c, 1-me, 9) // both wait
		if errors.Is(err, mpi.ErrDeadlock) {
			return "", nil
		}
		return "", fmt.Errorf("rank %d: want a deadlock: %w", me, err)

	case "wrong root at one":
		if me == 0 {
			_, err := mpi.Broadcast(ctx, c, 9, me)
			if err == nil || !strings.Contains(err.Error(), "rank 9 does not exist") {
				return "", fmt.Errorf("want that rank 9 does not exist: %w", err)
			}
			return "", err
		}
		_, err := mpi.Broadcast(ctx, c, 0, me)
		return "", err
	}
	return "", fmt.Errorf("how? %q", in.How)
})

// spawnEdge runs edge on n ranks; ctx has no deadline, so that the ranks' has none, but ends if they hang.
func spawnEdge(t *testing.T, n int, pool xme.Options, in edgeIn) ([]string, error) {
	t.Helper()
	return spawnEdgeOf(t, edge, n, pool, in)
}

func spawnEdgeOf(t *testing.T, f *xme.Func[edgeIn, string], n int, pool xme.Options, in edgeIn) (out []string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if pool.Link != xme.LinkPipe {
		in.Read, in.Write = r, w
	}
	hung := false
	var mu sync.Mutex
	timer := time.AfterFunc(edgePatience, func() {
		mu.Lock()
		hung = true
		mu.Unlock()
		cancel()
	})
	defer timer.Stop()
	out, err = mpi.Spawn(ctx, mpi.Options{Size: n, Pool: pool}, f, in)
	mu.Lock()
	defer mu.Unlock()
	if hung {
		t.Errorf("%s: it hung, and ended with its context only: %v", in.How, err)
	}
	return out, err
}

// TestEdgeIsendGoesOnAfterReturn: Isend's promise: it goes on when the rank's function has returned, until it is received. (Found: what had no room in
// the ring when the rank returned is given up by the receiver: "rank 0 has returned".)
func TestEdgeIsendGoesOnAfterReturn(t *testing.T) {
	if _, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "Isends, then returns"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeNoDeadlockWithLimits: a rank that waits with a limit in time goes on by itself, so there is no deadlock. (Found: of
// a request the context of its begin counts, not that of the wait.)
func TestEdgeNoDeadlockWithLimits(t *testing.T) {
	for _, how := range []string{"request waited for with a deadline", "SendRecv with a deadline", "From with a deadline", "Sleep beside an Irecv", "nested call beside an Irecv", "goroutine that sleeps", "polls an Irecv"} {
		t.Run(how, func(t *testing.T) {
			if _, err := spawnEdge(t, 2, xme.Options{}, edgeIn{How: how}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEdgeDeadlockShowsAllRanks: who waits for whom is told of all ranks ("an error that shows the whole").
func TestEdgeDeadlockShowsAllRanks(t *testing.T) {
	const n = 64
	_, err := spawnEdge(t, n, xme.Options{}, edgeIn{How: "deadlock"})
	if !errors.Is(err, mpi.ErrDeadlock) {
		t.Fatalf("got %v, want a deadlock", err)
	}
	for r := range n {
		if !strings.Contains(err.Error(), fmt.Sprintf("rank %d waits in Recv from rank %d,", r, (r+1)%n)) {
			t.Fatalf("nothing is said of rank %d: %v", r, err)
		}
	}
}

// TestEdgeManyRanks: 64 ranks on however many CPUs.
func TestEdgeManyRanks(t *testing.T) {
	ranks := 64
	if !long.Wanted() {
		ranks = 24
	}
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkPipe} {
		if _, err := spawnEdge(t, ranks, xme.Options{Link: link}, edgeIn{How: "barrier"}); err != nil {
			t.Error(err)
		}
	}
}

// TestEdgeDeadlockWithTimeout: Spawn promises to find a deadlock if each rank waits with the context that it was given; f's option Timeout is
// allowed, and so is a deadline of Spawn's context.
func TestEdgeDeadlockWithTimeout(t *testing.T) {
	t.Run("option", func(t *testing.T) {
		_, err := spawnEdgeOf(t, edge.With(xme.Timeout(5*time.Second)), 2, xme.Options{}, edgeIn{How: "deadlock"})
		if !errors.Is(err, mpi.ErrDeadlock) {
			t.Errorf("got %v, want a deadlock", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := mpi.Spawn(ctx, mpi.Options{Size: 2}, edge, edgeIn{How: "deadlock"})
		if !errors.Is(err, mpi.ErrDeadlock) {
			t.Errorf("got %v, want a deadlock", err)
		}
	})
}

// TestEdgeSpawnRefusesOptions: "f's options Timeout and Memory hold for each rank; others are refused."
func TestEdgeSpawnRefusesOptions(t *testing.T) {
	for name, o := range map[string]xme.CallOption{"Fresh": xme.Fresh(), "Retries": xme.Retries(2), "Service": xme.Service(), "On": xme.On(1)} {
		t.Run(name, func(t *testing.T) {
			_, err := spawnEdgeOf(t, edge.With(o), 2, xme.Options{}, edgeIn{How: "barrier"})
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want an error that names the option %s and wraps errors.ErrUnsupported", err, name)
			}
		})
	}
}

// TestEdgeSpawnPoolOptions: each setting of the pool works, or is refused with an error that names it.
func TestEdgeSpawnPoolOptions(t *testing.T) {
	for name, o := range map[string]xme.Options{
		"Queue": {Queue: 1}, "Recycle": {Recycle: 1}, "MaxProcesses": {MaxProcesses: 2}, "Shared": {Shared: 4096}, "Spares": {Spares: 2}, "MaxMessage": {MaxMessage: 4096},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spawnEdge(t, 3, o, edgeIn{How: "barrier"})
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("Pool.%s: %v", name, err)
			}
		})
	}
}

// TestEdgeNestedTaskIsNoRank: From returns a communicator in Spawn's ranks; elsewhere one whose methods fail. A nested call runs in
// the process of a rank that has returned, and is none. (Found: From looks at the process and its rank only.)
func TestEdgeNestedTaskIsNoRank(t *testing.T) {
	if _, err := spawnEdge(t, 2, xme.Options{}, edgeIn{How: "nested call of From"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeDeadlockBesideDeadRank: a rank that has died ends nothing in a communicator that it is not in; a deadlock there is found, on every link. (Found:
// where letters go by post a dead rank does not answer, counts as having sent nothing, and so what was read of it is never equal to that.)
func TestEdgeDeadlockBesideDeadRank(t *testing.T) {
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkPipe} {
		t.Run(link.String(), func(t *testing.T) {
			_, err := spawnEdge(t, 3, xme.Options{Link: link}, edgeIn{How: "deadlock beside a dead rank"})
			if err == nil || !strings.Contains(err.Error(), "1 of 3 ranks failed") {
				t.Errorf("got %v, want that rank 2 alone failed", err)
			}
		})
	}
}

// TestEdgeDeathAfterReturn: a rank has returned, its Isend is under way ("goes on when the rank's function has returned"), its process dies: the receive
// ends with an error that names the rank. (Found: how a rank has ended is told once; the receive waits for pieces for ever.)
func TestEdgeDeathAfterReturn(t *testing.T) {
	if _, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "dies after it has returned"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeNoDeadlockWhileIsendGoesOn: a rank has returned, its large Isend is under way, and its process does not get a CPU for a while: who receives waits for
// something that comes. (Found: stands() takes a rank that has ended for one that does nothing more.)
func TestEdgeNoDeadlockWhileIsendGoesOn(t *testing.T) {
	if _, err := spawnEdge(t, 2, xme.Options{}, edgeIn{How: "is slow after it has returned"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeContextEndsInLargeMessage: a receive whose context ends while a large message comes ends with that. (It holds, but by luck: lead() looks at its
// context only when for a while nothing has come.)
func TestEdgeContextEndsInLargeMessage(t *testing.T) {
	if _, err := spawnEdge(t, 2, xme.Options{}, edgeIn{How: "deadline in the middle of a large message"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeSmallMessages: the guide: a small message is on its way when Send returns, a large one, above 8 KiB, when it has been received. So ranks may all send 8 KiB and
// receive then. (Found: with more than some twenty ranks rings are shorter, and the limit is 4 KiB, 1 KiB … : what works with 4 ranks is a deadlock with 64.)
func TestEdgeSmallMessages(t *testing.T) {
	for _, n := range []int{2, 16, 64} {
		if _, err := spawnEdge(t, n, xme.Options{}, edgeIn{How: "exchange of small messages"}); err != nil {
			t.Errorf("%d ranks: %v", n, err)
		}
	}
}

// TestEdgeServerEnds: a goroutine serves whoever asks, until nobody is left; the function waits for it with a WaitGroup. All others return: the receive ends, as the guide says ("a rank that has returned without
// sending what another waits for ends that wait too"), or a deadlock is found. (Found, after TestEdgeSelfMessageEndsWildcard was mended: it waits for ever, since a goroutine in WaitGroup.Wait hides the deadlock. It might count as one that waits: it goes on
// only by others.)
func TestEdgeServerEnds(t *testing.T) {
	if _, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "server in a goroutine"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeExitIsDeath: os.Exit in a rank is a death of its process.
func TestEdgeExitIsDeath(t *testing.T) {
	_, err := spawnEdge(t, 2, xme.Options{}, edgeIn{How: "exits"})
	if err == nil || !strings.Contains(err.Error(), "1 of 2 ranks failed") {
		t.Errorf("got %v, want that rank 0 alone failed", err)
	}
}

// TestEdgeSplitsSideBySide: collectives of different communicators may be called concurrently, so two Splits of one rank may: their communicators do not hear each
// other. (Found: the number of a new one is read before, and counted after what is told to the members: both get the same.)
func TestEdgeSplitsSideBySide(t *testing.T) {
	if _, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "splits side by side"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeDeadlockBesideFullRing: what is left for a rank that has returned does no harm to the others: their waits sleep, end with their contexts, and a
// deadlock is found. (Found: the withdrawal of the large message waits for room for ever, so the leader spins, see TestEdgeContextEndsSendToFullRing.)
func TestEdgeDeadlockBesideFullRing(t *testing.T) {
	if _, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "deadlock after a large message was taken back"}); err != nil {
		t.Error(err)
	}
}

// TestEdgeWrongRootAtOne: the rank that gave it is told; the others end when it does.
func TestEdgeWrongRootAtOne(t *testing.T) {
	_, err := spawnEdge(t, 3, xme.Options{}, edgeIn{How: "wrong root at one"})
	if err == nil || !strings.Contains(err.Error(), "rank 9 does not exist") {
		t.Errorf("got %v", err)
	}
}

// TestEdgeSpawnOfNil: a nil function is an error that says so, or a panic that does.
func TestEdgeSpawnOfNil(t *testing.T) {
	defer func() {
		if p := recover(); p != nil && !strings.Contains(fmt.Sprint(p), "xme") && !strings.Contains(fmt.Sprint(p), "mpi") {
			t.Errorf("it panics with %v", p)
		}
	}()
	var f *xme.Func[int, int]
	if _, err := mpi.Spawn(t.Context(), mpi.Options{Size: 2}, f, 1); err == nil {
		t.Error("nothing has run, without an error")
	}
}
