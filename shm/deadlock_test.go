package shm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// inOrder locks the first mutex, waits for all others to have theirs, and locks the second.
type inOrder struct {
	Left, Right *shm.Mutex
	Have        *shm.Value[int]
	Of          int
	Patience    time.Duration
}

var dine = xme.Register("dine", func(ctx context.Context, in inOrder) (string, error) {
	if err := in.Left.Lock(ctx); err != nil {
		return "", err
	}
	defer func() { _ = in.Left.Unlock() }()
	for shm.Add(in.Have, 1); in.Have.Load() < in.Of; {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	ctx, cancel := context.WithTimeout(ctx, in.Patience)
	defer cancel()
	err := in.Right.Lock(ctx)
	if err == nil {
		return "", in.Right.Unlock()
	}
	var wait *shm.WaitError
	if !errors.As(err, &wait) {
		return "", err
	}
	var lines []string
	for _, w := range wait.Cycle {
		lines = append(lines, fmt.Sprintf("%d waits for %s of %d", w.Who.Row, w.For, w.Held.Row))
	}
	for _, h := range wait.Holders {
		if h.Since.IsZero() {
			return "", fmt.Errorf("not known since when: %w", err)
		}
	}
	return strings.Join(lines, ", "), err
})

// Each of n has one mutex and waits for the next one's: who loses patience first is told of all.
//
// feature: M1
func TestDeadlockIsExplained(t *testing.T) {
	const n = 4
	onAllOf(t, n, func(t *testing.T, on xme.Executor) {
		var forks [n]*shm.Mutex
		for i := range forks {
			forks[i] = newMutex(t)
			forks[i].SetName(fmt.Sprint("fork ", i))
		}
		have, err := shm.NewValue(0)
		if err != nil {
			t.Fatal(err)
		}
		defer have.Close()
		in := func(yield func(inOrder) bool) {
			for i := range n {
				patience := time.Minute
				if i == 2 {
					patience = time.Second
				}
				if !yield(inOrder{forks[i], forks[(i+1)%n], have, n, patience}) {
					return
				}
			}
		}
		row := 0
		for _, err := range dine.Map(t.Context(), on, in) {
			if row != 2 {
				if err != nil {
					t.Errorf("row %d: %v", row, err)
				}
				row++
				continue
			}
			row++
			if err == nil || !errors.Is(err, shm.ErrDeadlock) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			text := err.Error()
			at := 0
			for i := range n {
				want := fmt.Sprintf(`in dine, row %d, which waits for mutex "fork %d", held by`, (2+i)%n, (3+i)%n)
				if i == 0 {
					want = `in dine, row 2 waits for mutex "fork 3", held by`
				}
				found := strings.Index(text[at:], want)
				if found < 0 {
					t.Fatalf("no %q in %q", want, text)
				}
				at += found
			}
		}
		if row != n {
			t.Errorf("%d rows", row)
		}
	})
}

// onAllOf runs a test on the forms that run n tasks at a time.
func onAllOf(t *testing.T, n int, f func(t *testing.T, on xme.Executor)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) xme.Executor{
		"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: n}) },
		"processes":  func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: n}) },
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

var lockLong = xme.Register("lockLong", func(ctx context.Context, in inOrder) (int, error) {
	if err := in.Left.Lock(ctx); err != nil {
		return 0, err
	}
	shm.Add(in.Have, 1)
	<-ctx.Done()
	return 0, in.Left.Unlock()
})

// Who waits for a holder that only takes its time is told who that is, and of no deadlock.
func TestAWaitThatIsNoDeadlock(t *testing.T) {
	onAllOf(t, 2, func(t *testing.T, on xme.Executor) {
		m := newMutex(t)
		have, err := shm.NewValue(0)
		if err != nil {
			t.Fatal(err)
		}
		defer have.Close()
		ctx, cancel := context.WithCancel(t.Context())
		f := lockLong.Go(ctx, on, inOrder{Left: m, Have: have})
		for have.Load() == 0 && t.Context().Err() == nil {
			<-time.After(time.Millisecond)
		}
		start := time.Now().Truncate(time.Millisecond)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				var wait *shm.WaitError
				err := m.Lock(ctx)
				if !errors.As(err, &wait) || errors.Is(err, shm.ErrDeadlock) || len(wait.Holders) != 1 || wait.Holders[0].Func != "lockLong" {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if h, ok := m.Holder(); !ok || h.Func != "lockLong" || h.Since.Before(start) || h.Since.After(time.Now()) {
			t.Errorf("held by %v since %v, %v", h, h.Since, ok)
		}
		cancel()
		_, _ = f.Wait(t.Context())
	})
}

// Who waits for one who waits for a third, who waits for nobody, is told of no cycle: none, not an empty one.
func TestAChainIsNoCycle(t *testing.T) {
	onAllOf(t, 2, func(t *testing.T, on xme.Executor) {
		a, b := newMutex(t), newMutex(t)
		have, err := shm.NewValue(0)
		if err != nil {
			t.Fatal(err)
		}
		defer have.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		third := lockLong.Go(ctx, on, inOrder{Left: b, Have: have})
		second := dine.Go(t.Context(), on, inOrder{a, b, have, 2, time.Minute})
		end := time.Now().Add(time.Minute)
		for h, _ := b.Holder(); h.Since.IsZero(); h, _ = b.Holder() { // until somebody waits
			if <-time.After(time.Millisecond); time.Now().After(end) {
				t.Fatal("nobody waits")
			}
		}
		short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		err = a.Lock(short)
		wait, ok := errors.AsType[*shm.WaitError](err)
		if !ok || wait.Cycle != nil || len(wait.Holders) != 1 || wait.Holders[0].Func != "dine" || errors.Is(err, shm.ErrDeadlock) {
			t.Errorf("got %#v", err)
		}
		cancel()
		if _, err := second.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		_, _ = third.Wait(t.Context())
	})
}
