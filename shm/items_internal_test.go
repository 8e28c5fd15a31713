package shm

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// Nothing is put at once, whoever else puts.
func TestPutAllOfNothing(t *testing.T) {
	t.Parallel()
	q, err := NewQueue[int](1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	s, err := q.side()
	if err != nil {
		t.Fatal(err)
	}
	defer q.unuse()
	s.put.Take(t.Context()) //nolint:errcheck // nobody else has it
	defer s.put.Give()
	if n, err := q.PutAll(t.Context(), nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// holed has room between its fields, in places where a copy of single fields leaves what was there.
type holed struct {
	A byte
	B int64
	_ [3]byte
	C [2]struct {
		D byte
		E float64
	}
}

// dirty is a value with all bits set that belong to no field.
func dirty(b int64, e float64) (v holed) {
	mem := bytesAt(&v)
	for i := range mem {
		mem[i] = 0xff
	}
	v.A, v.B = 1, b
	for i := range v.C {
		v.C[i].D, v.C[i].E = 2, e
	}
	return v
}

func TestSwapsByFields(t *testing.T) {
	t.Parallel()
	clean := func(b int64, e float64) (v holed) {
		v.A, v.B = 1, b
		for i := range v.C {
			v.C[i].D, v.C[i].E = 2, e
		}
		return v
	}
	nan := math.NaN()
	v, err := NewValue(clean(3, nan))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	for i, s := range []struct {
		old, next holed
		swaps     bool
	}{
		{dirty(4, nan), clean(5, 0), false},
		{dirty(3, nan), clean(4, 0), true},
		{dirty(4, math.Copysign(0, -1)), clean(5, 0), false},
		{dirty(4, 0), dirty(5, 1), true},
		{clean(5, 1), clean(6, 1), true},
	} {
		if got := v.CompareAndSwap(s.old, s.next); got != s.swaps {
			t.Errorf("%d: swapped: %v", i, got)
		}
	}
	if now := v.Load(); now.B != 6 {
		t.Error(now)
	}
}

// A zero handle of any kind says so.
func TestZeroHandles(t *testing.T) {
	t.Parallel()
	var a Array[int]
	var q Queue[int]
	for name, err := range map[string]error{
		"array":        a.Use(func([]int) error { return nil }),
		"retain array": func() error { _, err := a.Retain(); return err }(),
		"part":         a.Part(0, 0).Use(func([]int) error { return nil }),
		"queue":        q.Put(t.Context(), 1),
		"mutex":        new(Mutex).Lock(t.Context()),
	} {
		if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "zero value") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.append(nil, nil); !errors.Is(err, zeroError{}) {
		t.Error("encoded:", err)
	}
}

// Who gets a lock whose holder died, by a handle that is being closed, leaves it to the next to be told.
func TestDeathIsNotForgotten(t *testing.T) {
	t.Parallel()
	const dead = 12345
	m, err := NewMutex()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	rw, err := NewRWMutex()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rw.Close() }()

	lock := m.l.guard.(mutexGuard).Lock
	if !lock.TakeFree(dead) || !lock.Sweep(dead) {
		t.Fatal("nobody died")
	}
	if _, ok := rw.lock().TryLock(dead); !ok {
		t.Fatal("nobody writes")
	}
	rw.lock().Sweep(dead)

	closing, err := m.Retain()
	if err != nil {
		t.Fatal(err)
	}
	closingRW, err := rw.Retain()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // who comes after them comes to the same
		for name, lock := range map[string]func() error{
			"mutex": func() error {
				died, ok := lock.TryAcquire(closing.own.number)
				if !ok || !died {
					t.Error("not got, or nobody died", ok, died)
				}
				return closing.got(died)
			},
			"to write": func() error {
				died, ok := rw.lock().TryLock(closingRW.own.number)
				if !ok || died != dead {
					t.Error("not got, or nobody died", ok, died)
				}
				return closingRW.got(died, giveOn)
			},
			"to read": func() error {
				died, ok := rw.lock().TryRLock(closingRW.own.number)
				if !ok || died != dead {
					t.Error("not got, or nobody died", ok, died)
				}
				return closingRW.got(died, giveOnRead)
			},
		} {
			for _, c := range []*core{&closing.core, &closingRW.core} {
				c.state.Or(closedBit) // as if Close came in between
			}
			if err := lock(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
			for _, c := range []*core{&closing.core, &closingRW.core} {
				c.state.And(^closedBit)
			}
		}
	}
	for name, err := range map[string]error{"mutex": m.Lock(t.Context()), "to read": rw.RLock(t.Context())} {
		if died, ok := errors.AsType[*OwnerDiedError](err); !ok {
			t.Errorf("%s: %v, %v", name, err, died)
		}
	}
	if err := errors.Join(m.Unlock(), rw.RUnlock()); err != nil {
		t.Error(err)
	}
	if err := rw.Lock(t.Context()); !errors.Is(err, ErrOwnerDied) {
		t.Error("to write:", err)
	}
	if err := errors.Join(rw.Unlock(), m.Lock(t.Context()), m.Unlock(), rw.Lock(t.Context()), rw.Unlock(), closing.Close(), closingRW.Close()); err != nil {
		t.Error("told again:", err)
	}
}
