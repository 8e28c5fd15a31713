package xmetest

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme"
)

func retries(t *testing.T, ctx context.Context, x xme.Executor) {
	_, err := fail.With(xme.Retries(2)).Call(ctx, x, "known")
	skipUnsupported(t, err)
	want(t, "attempts", wantErr(t, "a function that always fails", err, errKnown).Attempt, 3)
	_, err = fail.Call(ctx, x, "known")
	want(t, "attempts without the option", wantErr(t, "a function that always fails", err, errKnown).Attempt, 1)
	n, err := fail.With(xme.Retries(2)).Call(ctx, x, "")
	want(t, "error", err, error(nil))
	want(t, "result", n, 7)
}

func timeout(t *testing.T, ctx context.Context, x xme.Executor) {
	_, err := await.With(xme.Timeout(10*time.Millisecond)).Call(ctx, x, 0)
	skipUnsupported(t, err)
	wantErr(t, "a row over its time", err, xme.ErrTimeout)
	wantErr(t, "a row over its time", err, context.DeadlineExceeded)
	n, err := double.With(xme.Timeout(patience)).Call(ctx, x, 2)
	want(t, "error of a row within its time", err, error(nil))
	want(t, "result", n, 4)
}

func on(t *testing.T, ctx context.Context, x xme.Executor) {
	ranked, ok := x.(interface{ Ranks() []int })
	if !ok {
		_, err := look.With(xme.On(1)).Call(ctx, x, 0)
		skipUnsupported(t, err)
		t.Fatalf("On without Ranks: %v, want an error that wraps errors.ErrUnsupported", err)
	}
	ranks := ranked.Ranks()
	for _, r := range ranks {
		s, err := look.With(xme.On(r)).Call(ctx, x, 0)
		want(t, "error", err, error(nil))
		want(t, "rank", s.Rank, r)
	}
	s, err := look.With(xme.On(ranks...)).Call(ctx, x, 0)
	want(t, "error", err, error(nil))
	if !slices.Contains(ranks, s.Rank) {
		t.Errorf("ran on rank %d, asked for one of %v", s.Rank, ranks)
	}
	_, err = look.With(xme.On(1<<20)).Call(ctx, x, 0)
	wantErr(t, "a rank that does not exist", err, nil)
}

func fresh(t *testing.T, ctx context.Context, x xme.Executor) {
	n, err := double.With(xme.Fresh()).Call(ctx, x, 3)
	skipUnsupported(t, err)
	want(t, "error", err, error(nil))
	want(t, "result", n, 6)
	pids := map[int]bool{}
	for _, f := range []*xme.Func[int, int]{where, where.With(xme.Fresh()), where.With(xme.Fresh())} {
		pid, err := f.Call(ctx, x, 0)
		want(t, "error", err, error(nil))
		if pid == os.Getpid() {
			return // it has no other process
		}
		if pids[pid] {
			t.Errorf("a Fresh row ran in process %d, which has run rows before", pid)
		}
		pids[pid] = true
	}
}

func service(t *testing.T, ctx context.Context, x xme.Executor) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	f := await.With(xme.Service()).Go(ctx, x, 0)
	select {
	case <-f.Done():
		_, err := f.Wait(ctx)
		skipUnsupported(t, err)
		t.Fatalf("a service ended before its context: %v", err)
	default:
	}
	n, err := double.Call(ctx, x, 3) // beside the service
	want(t, "error", err, error(nil))
	want(t, "result", n, 6)
	stop()
	_, err = f.Wait(t.Context())
	skipUnsupported(t, err)
	wantErr(t, "a service whose context ended", err, context.Canceled)
}

func retriedService(t *testing.T, ctx context.Context, x xme.Executor) {
	_, err := fail.With(xme.Retries(2), xme.Service()).Call(ctx, x, "known")
	skipUnsupported(t, err)
	want(t, "attempts", wantErr(t, "a service that always fails", err, errKnown).Attempt, 3)
}

func memory(t *testing.T, ctx context.Context, x xme.Executor) {
	n, err := double.With(xme.Memory(1<<30)).Call(ctx, x, 3)
	skipUnsupported(t, err)
	want(t, "error", err, error(nil))
	want(t, "result", n, 6)
}

func broadcast(t *testing.T, ctx context.Context, x xme.Executor) {
	fs := look.Broadcast(ctx, x, 0)
	ranked, ok := x.(interface{ Ranks() []int })
	if !ok {
		want(t, "futures without ranks", len(fs), 1)
		_, err := fs[0].Wait(ctx)
		wantErr(t, "Broadcast without ranks", err, errors.ErrUnsupported)
		skipUnsupported(t, err)
	}
	var got []int
	for _, f := range fs {
		s, err := f.Wait(ctx)
		want(t, "error", err, error(nil))
		got = append(got, s.Rank)
	}
	if !slices.IsSorted(got) || len(got) == 0 {
		t.Errorf("Broadcast ran on %v, want rank order", got)
	}
	all := ranked.Ranks()
	if len(all) == 0 {
		t.Fatal("there are no ranks, though Broadcast ran")
	}
	last := all[len(all)-1]
	fs = look.With(xme.On(last, all[0])).Broadcast(ctx, x, 0)
	got = nil
	for _, f := range fs {
		s, err := f.Wait(ctx)
		want(t, "error", err, error(nil))
		got = append(got, s.Rank)
	}
	want(t, "Broadcast on given ranks", got, []int{last, all[0]})
}

func nested(t *testing.T, ctx context.Context, x xme.Executor) {
	n, err := nest.Call(ctx, x, 5)
	skipUnsupported(t, err)
	want(t, "error", err, error(nil))
	want(t, "result of a call made in a task", n, 10)
}
