package manager_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

const rounds = 300

// publish writes the same number twice while it has the lock, and reads it while it shares it.
var publish = xme.Register("publish", func(ctx context.Context, s scene) (int, error) {
	for i := range rounds {
		if s.Role == 0 {
			if err := s.Lock.Acquire(ctx); err != nil {
				return i, err
			}
			s.Data.Slice()[0]++
			runtime.Gosched()
			s.Data.Slice()[7]++
			if err := s.Lock.Release(ctx); err != nil {
				return i, err
			}
			continue
		}
		if err := s.Lock.AcquireRead(ctx); err != nil {
			return i, err
		}
		a, b := s.Data.Slice()[0], s.Data.Slice()[7]
		if a != b {
			return i, errors.New("torn")
		}
		if err := s.Lock.ReleaseRead(ctx); err != nil {
			return i, err
		}
	}
	return rounds, nil
})

// One writes, seven read at the same time, all as different operators, and nobody sees half of a change; who is not registered does not write.
//
// feature: K1, K4
func TestLockReadWrite(t *testing.T) {
	onMany(t, 8, func(t *testing.T, x xme.Executor) {
		m, s := openWith(t, manager.Options{}), newScene(t)
		writer, err := m.NewOperator(t.Context())
		must(t, err)
		l := newLock(t, m, manager.LockOptions{})
		must(t, l.Register(t.Context(), writer))
		var futures []*xme.Future[int]
		for s.Role = range 8 {
			op := writer
			if s.Role > 0 {
				op, err = m.NewOperator(t.Context())
				must(t, err)
			}
			s.Lock = l.As(op)
			futures = append(futures, publish.Go(soon(t), x, s))
		}
		if err := l.Acquire(soon(t)); !errors.Is(err, manager.ErrNotAuthorised) { // ADMIN, while another is registered
			t.Errorf("a second writer got %v", err)
		}
		for i, f := range futures {
			if n, err := f.Wait(soon(t)); n != rounds || err != nil {
				t.Errorf("task %d: %d, %v", i, n, err)
			}
		}
		if n := s.Data.Slice()[0]; n != rounds {
			t.Errorf("wrote %d times", n)
		}
	})
}

// Readers share the lock, keep the writer out, and are told apart from it when they give back.
//
// feature: K1, K2
func TestLockSides(t *testing.T) {
	m := openWith(t, manager.Options{})
	l := newLock(t, m, manager.LockOptions{})
	reader, second := l.As(m.Operator()), l.As(m.Operator())
	must(t, reader.AcquireRead(soon(t)))
	must(t, reader.AcquireRead(soon(t)))
	must(t, second.AcquireRead(soon(t)))
	if ok, err := l.TryAcquire(soon(t)); ok || err != nil {
		t.Errorf("the writer got %v, %v", ok, err)
	}
	if err := reader.Release(soon(t)); !errors.Is(err, manager.ErrNotHolder) {
		t.Errorf("got %v", err)
	}
	if err := reader.Acquire(soon(t)); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("a reader that asks to write got %v", err)
	}
	if err := reader.SetKind(soon(t), manager.Mutex); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("a reader that changes the kind got %v", err)
	}
	must(t, reader.ReleaseRead(soon(t)))
	must(t, second.ReleaseRead(soon(t)))
	must(t, l.Acquire(soon(t)))
	must(t, l.AcquireRead(soon(t))) // it has more than that
	if err := l.ReleaseRead(soon(t)); !errors.Is(err, manager.ErrNotHolder) {
		t.Errorf("got %v", err)
	}
	must(t, l.Release(soon(t)))
	must(t, l.SetKind(soon(t), manager.Mutex))
	must(t, l.AcquireRead(soon(t)))
	if ok, err := second.TryAcquire(soon(t)); ok || err != nil {
		t.Errorf("of a kind without sides a second one got %v, %v", ok, err)
	}
	must(t, l.ReleaseRead(soon(t)))
	must(t, l.AcquireRead(soon(t)))
	must(t, l.Release(soon(t)))
}

var acquireOnce = xme.Register("acquireOnce", func(ctx context.Context, s scene) (string, error) {
	l := s.Lock
	if l == nil {
		l = s.M.Lock()
	}
	if s.Op != (manager.Operator{}) {
		l = l.As(s.Op)
	}
	var o []manager.AcquireOption
	if s.Wait > 0 {
		o = append(o, manager.WithWait(s.Wait))
	}
	if err := l.Acquire(ctx, o...); err != nil {
		return "", err
	}
	return l.Operator().String(), l.Release(ctx)
})

// Of a group of operators each may take the lock, ADMIN too, nobody else, and a new group takes the place of the old one.
//
// feature: K1, K4
func TestLockAuthorisation(t *testing.T) {
	on(t, func(t *testing.T, x xme.Executor) {
		m := openWith(t, manager.Options{})
		a, err := m.NewOperator(t.Context())
		must(t, err)
		b, err := m.NewOperator(t.Context())
		must(t, err)
		l := newLock(t, m, manager.LockOptions{Kind: manager.Authorisation})
		may := func(o manager.Operator, want bool) {
			t.Helper()
			_, there := acquireOnce.Call(soon(t), x, scene{Lock: l, Op: o})
			for _, err := range []error{there, l.As(o).Do(soon(t), func(*shm.OwnerDiedError) error { return nil })} {
				if want && err != nil || !want && !errors.Is(err, manager.ErrNotAuthorised) {
					t.Errorf("%v got %v", o, err)
				}
			}
		}
		may(m.Operator(), true)
		may(a, false)
		must(t, l.Authorize(t.Context(), a))
		may(a, true)
		may(b, false)
		must(t, l.Authorize(t.Context(), b))
		may(a, false)
		may(b, true)
		may(m.Operator(), true)
		if err := l.Authorize(t.Context(), manager.Operator{}); !errors.Is(err, manager.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for name, err := range map[string]error{
			"SetKind": l.As(b).SetKind(t.Context(), manager.Mutex), "Authorize": l.As(b).Authorize(t.Context(), b),
			"Register": l.As(b).Register(t.Context(), b), "SetWait": l.As(b).SetWait(t.Context(), 1), "SetHooks": l.As(b).SetHooks(t.Context(), nil, nil),
		} {
			if !errors.Is(err, manager.ErrNotAuthorised) {
				t.Errorf("%s by another than ADMIN: %v", name, err)
			}
		}
	})
}

var holdUntil = xme.Register("holdUntil", func(ctx context.Context, s scene) (struct{}, error) {
	if err := s.Lock.Acquire(ctx); err != nil {
		return struct{}{}, err
	}
	shm.Add(s.Here, 1)
	if err := s.Go.Wait(ctx); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.Lock.Release(ctx)
})

// A change of kind waits for the holder, and everybody sees it.
//
// feature: K4, F16
func TestLockKindChanges(t *testing.T) {
	onMany(t, 2, func(t *testing.T, x xme.Executor) {
		m, s := openWith(t, manager.Options{}), newScene(t)
		s.Lock = newLock(t, m, manager.LockOptions{Kind: manager.Mutex})
		held := holdUntil.Go(soon(t), x, s)
		must(t, s.come(soon(t), 1))
		err := s.Lock.SetKind(short(t), manager.Disable)
		if we, ok := errors.AsType[*shm.WaitError](err); !ok || we.Holders[0].Func != "holdUntil" {
			t.Errorf("a change while the lock is held: %v", err)
		}
		if k, err := s.Lock.Kind(); k != manager.Mutex || err != nil {
			t.Errorf("it is %v, %v", k, err)
		}
		change := make(chan error)
		go func() { change <- s.Lock.SetKind(soon(t), manager.Disable) }()
		must(t, s.Go.Set())
		must(t, <-change)
		if _, err := held.Wait(soon(t)); err != nil {
			t.Error(err)
		}
		must(t, s.Lock.As(manager.Operator{}).Acquire(soon(t))) // nobody is kept out
		if _, err := acquireOnce.Call(soon(t), x, scene{Lock: s.Lock, Op: m.Operator()}); err != nil {
			t.Error(err) // fault 16
		}
		must(t, s.Lock.SetKind(soon(t), manager.Spin)) // of a disabled lock nobody is waited for
		must(t, s.Lock.Acquire(soon(t)))
		if _, err := acquireOnce.Call(soon(t), x, scene{Lock: s.Lock, Wait: time.Millisecond}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a task got %v", err)
		}
		must(t, s.Lock.Release(soon(t)))
	})
}

// The holder changes the kind, and who waits is refused though the lock is held still.
//
// feature: K4
func TestLockKindChangesUnderWaiters(t *testing.T) {
	for _, kind := range []manager.Kind{manager.Mutex, manager.Spin} {
		t.Run(kind.String(), func(t *testing.T) {
			m := openWith(t, manager.Options{})
			op, err := m.NewOperator(t.Context())
			must(t, err)
			l := newLock(t, m, manager.LockOptions{Kind: kind, Mute: time.Millisecond})
			must(t, l.Acquire(soon(t)))
			waits := make(chan error)
			other := l.As(op)
			go func() { waits <- other.Acquire(soon(t)) }()
			if err := other.As(m.Operator()).Acquire(short(t)); err == nil { // meanwhile it has begun, as likely as not
				t.Error("got what another has")
			}
			must(t, l.SetKind(soon(t), manager.Authorisation))
			if err := <-waits; !errors.Is(err, manager.ErrNotAuthorised) {
				t.Errorf("got %v", err)
			}
			must(t, l.Release(soon(t)))
			if h := l.Holders(); len(h) != 0 {
				t.Errorf("held by %v", h)
			}
		})
	}
}

// Who waited, and gets the lock after its kind has changed, has it only if that kind lets it.
//
// feature: K4
func TestLockKindChangesBeforeItIsGot(t *testing.T) {
	m := openWith(t, manager.Options{})
	op, err := m.NewOperator(t.Context())
	must(t, err)
	l := newLock(t, m, manager.LockOptions{Kind: manager.Mutex, Mute: time.Hour})
	must(t, l.Acquire(soon(t)))
	waits := make(chan error)
	go func() { waits <- l.As(op).Acquire(soon(t)) }()
	for ctx := soon(t); l.Holders()[0].Since.IsZero(); runtime.Gosched() { // until somebody waits
		must(t, ctx.Err())
	}
	must(t, l.SetKind(soon(t), manager.ReadWrite))
	must(t, l.Release(soon(t)))
	if err := <-waits; !errors.Is(err, manager.ErrNotAuthorised) {
		t.Errorf("got %v", err)
	}
	must(t, l.Acquire(soon(t)))
	must(t, l.Release(soon(t)))
}
