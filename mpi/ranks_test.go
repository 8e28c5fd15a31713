package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/mpi"
)

var ranks = xme.Register("ranks", func(ctx context.Context, how string) (string, error) {
	c := mpi.From(ctx)
	n, me := c.Size(), c.Rank()
	next, last := (me+1)%n, (me-1+n)%n
	switch how {
	case "deadlock":
		v, _, err := mpi.Recv[int](ctx, c, next, 7)
		return fmt.Sprint(v), err
	case "deadlock in collectives":
		if me == 0 {
			return "", c.Barrier(ctx)
		}
		_, err := mpi.Allreduce(ctx, c, me, mpi.Sum)
		return "", err
	case "large sends":
		return "", mpi.Send(ctx, c, next, 1, make([]byte, 1<<20))
	case "dies":
		if me == 1 {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
		}
		_, err := mpi.Allreduce(ctx, c, me, mpi.Sum)
		return "", err
	case "dies, and the others wait for each other":
		if me == 1 {
			p, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = p.Kill()
			}
			return "", err
		}
		_, _, err := mpi.Recv[int](ctx, c, 2-me, 0)
		var ended *mpi.RankError
		if !errors.As(err, &ended) || ended.Rank != 1 || ended.Why != mpi.Died {
			return "", fmt.Errorf("want that rank 1 has died: %w", err)
		}
		if err := c.Barrier(ctx); !errors.As(err, &ended) || ended.Rank != 1 {
			return "", fmt.Errorf("the next: want that rank 1 has died: %w", err)
		}
		return "", nil
	case "returns":
		if me == 1 {
			return "early", nil
		}
		_, _, err := mpi.Recv[int](ctx, c, 1, 0)
		return "", err
	case "fails":
		if me == 1 {
			return "", errors.New("no luck")
		}
		_, _, err := mpi.Recv[int](ctx, c, mpi.AnySource, 0)
		return "", err
	case "sums":
		sum, err := mpi.Allreduce(ctx, c, float64(me), mpi.Sum)
		if err != nil {
			return "", err
		}
		all, err := mpi.Allgather(ctx, c, fmt.Sprint("r", me))
		if err != nil {
			return "", err
		}
		buf := make([]float64, 100_000)
		for i := range buf {
			buf[i] = float64(me * i)
		}
		if err := mpi.AllreduceSlice(ctx, c, buf, mpi.Sum); err != nil {
			return "", err
		}
		if err := c.Barrier(ctx); err != nil {
			return "", err
		}
		got, _, err := mpi.SendRecv(ctx, c, next, 1, []string{fmt.Sprint(me)}, last, 1)
		return fmt.Sprint(sum, all, buf[99_999], got), err
	}
	return "", fmt.Errorf("how? %q", how)
})

func TestRanks(t *testing.T) {
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkSocket, xme.LinkPipe} {
		t.Run(link.String(), func(t *testing.T) { testRanks(t, xme.Options{Link: link}) })
	}
}

// digs calls itself on its rank's pool, as deep as rank 0 is asked to; the other ranks return at once.
var digs *xme.Func[int, int]

func init() {
	digs = xme.Register("digs", func(ctx context.Context, n int) (int, error) {
		if n == 0 || mpi.From(ctx).Rank() > 0 {
			return 0, nil
		}
		below, err := digs.Call(ctx, xme.Current(ctx), n-1)
		return below + 1, err
	})
}

// Calls of a rank that find no process left end, though another rank has returned and its process idles.
// feature: U7, P9
func TestCallsOfARankTooDeep(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := mpi.Spawn(ctx, mpi.Options{Size: 2, Pool: xme.Options{MaxProcesses: 4, Spares: -1}}, digs, 30); !errors.Is(err, xme.ErrDepth) {
		t.Errorf("thirty deep: %v", err)
	}
}

func testRanks(t *testing.T, pool xme.Options) {
	for how, want := range map[string]error{
		"deadlock": mpi.ErrDeadlock, "deadlock in collectives": mpi.ErrDeadlock, "large sends": mpi.ErrDeadlock,
		"dies": xme.ErrWorkerLost, "dies, and the others wait for each other": xme.ErrWorkerLost, "returns": mpi.ErrRankEnded, "fails": nil,
	} {
		t.Run(how, func(t *testing.T) {
			_, err := mpi.Spawn(t.Context(), mpi.Options{Size: 3, Pool: pool}, ranks, how)
			t.Log(err)
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if strings.HasPrefix(how, "dies, and") && !strings.Contains(err.Error(), "1 of 3 ranks failed") {
				t.Fatal(err)
			}
			if how == "fails" && !strings.Contains(err.Error(), "no luck") {
				t.Fatal(err)
			}
		})
	}
	for n := 1; n <= 9; n++ {
		if pool.Link != xme.LinkAuto && n != 2 && n != 5 && !long.Wanted() {
			continue
		}
		out, err := mpi.Spawn(t.Context(), mpi.Options{Size: n, Pool: pool}, ranks, "sums")
		if err != nil {
			t.Fatal(err)
		}
		t.Log(out[n-1])
	}
}
