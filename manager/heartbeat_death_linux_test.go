package manager_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

type doomed struct {
	M    *manager.Manager // as the operator
	Name string           // of the object
	Drop bool
}

// diesBeating has calls queued, with a heartbeat, and dies.
var diesBeating = xme.Register("diesBeating", func(ctx context.Context, in doomed) (int, error) {
	o, err := manager.Find[counter](ctx, in.M, in.Name)
	if err != nil {
		return 0, err
	}
	if _, err := in.M.Heartbeat(ctx, manager.HeartbeatOptions{Drop: in.Drop}); err != nil {
		return 0, err
	}
	for range 5 {
		if _, err := add.Append(ctx, o, 1); err != nil {
			return 0, err
		}
	}
	return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

// Who dies with a heartbeat is noticed, and its queued calls are dropped, or run, as it has asked.
// feature: G3
func TestDiesWithAHeartbeat(t *testing.T) {
	for _, drop := range []bool{true, false} {
		ctx := inTime(t)
		m := open(t)
		o, err := manager.ShareNew(ctx, m, "o", newCounter, 0)
		must(t, err)
		op, err := m.NewOperator(ctx)
		must(t, err)
		_, err = diesBeating.Call(ctx, xmetest.Open(t, xme.Options{Workers: 1}), doomed{m.As(op), "o", drop})
		if !errors.Is(err, xme.ErrWorkerLost) {
			t.Fatal(err)
		}
		for e, err := range manager.Watch(ctx, m, manager.StatusKey) {
			must(t, err)
			all, err := manager.As[map[string]string](e.Value)
			must(t, err)
			if strings.HasPrefix(all[op.String()], "died ") {
				break
			}
		}
		_, err = add.Append(ctx, o, 100)
		must(t, err)
		for ran := true; ran; {
			ran, err = m.Queue().Exec(ctx)
			must(t, err)
		}
		want, errs := 105, 0
		if drop {
			want, errs = 100, 5
		}
		if n, err := add.Call(ctx, o, 0); n != want || err != nil {
			t.Errorf("drop %v: %d, %v; want %d", drop, n, err, want)
		}
		for range 5 {
			r, err := m.Queue().As(op).Result(ctx)
			must(t, err)
			if errors.Is(r.Err, manager.ErrDropped) {
				errs--
			}
		}
		if errs != 0 {
			t.Errorf("drop %v: %d of its results do not say so", drop, errs)
		}
	}
}
