package manager_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// hermit is an object whose methods turn to itself, or return more than can be handed over.
type hermit struct{}

// Leave releases the object itself.
func (h *hermit) Leave(ctx context.Context, o *manager.Object[hermit]) (int, error) {
	return 0, o.Release(ctx)
}

// Keep has the manager keep the object.
func (h *hermit) Keep(ctx context.Context, m *manager.Manager) (int, error) { return 0, m.Keep(ctx) }

// Later has the manager keep what it has, and another object be released, once the method is over.
func (h *hermit) Later(ctx context.Context, in later) (int, error) {
	over, err := in.Over.Retain()
	if err != nil {
		return 0, err
	}
	after := context.WithoutCancel(ctx)
	go func() {
		defer over.Close()
		<-ctx.Done() // the method is over
		err := in.M.Keep(after)
		if err == nil {
			err = in.O.Release(after)
		}
		if err == nil {
			_ = over.Set()
		}
	}()
	return 0, nil
}

type later struct {
	M    *manager.Manager
	O    *manager.Object[hermit]
	Over *shm.Event
}

// Arrays returns n arrays.
func (h *hermit) Arrays(_ context.Context, n int) ([]*shm.Array[byte], error) {
	all := make([]*shm.Array[byte], n)
	for i := range all {
		var err error
		if all[i], err = shm.NewArray[byte](1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

var (
	hermitLeave  = manager.Method("hermit.Leave", (*hermit).Leave)
	hermitKeep   = manager.Method("hermit.Keep", (*hermit).Keep)
	hermitLater  = manager.Method("hermit.Later", (*hermit).Later)
	hermitArrays = manager.Method("hermit.Arrays", (*hermit).Arrays)
)

// A method that has its own object released, or kept, is told that it would wait for itself; one that is queued too, which nobody could give up.
//
// feature: X2
func TestMethodsTurnToThemselves(t *testing.T) {
	m := openWith(t, manager.Options{Process: true})
	o, err := manager.Share(inTime(t), m, "", &hermit{})
	must(t, err)
	if _, err := hermitLeave.Call(inTime(t), o, o); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("release: %v", err)
	}
	if _, err := hermitKeep.Call(inTime(t), o, m); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("keep: %v", err)
	}
	leave, err := hermitLeave.Append(inTime(t), o, o)
	must(t, err)
	keep, err := hermitKeep.Append(inTime(t), o, m)
	must(t, err)
	g, err := m.StartGuard(inTime(t), manager.GuardOptions{})
	must(t, err)
	if _, err := leave.Wait(inTime(t)); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("queued release: %v", err)
	}
	if _, err := keep.Wait(inTime(t)); !errors.Is(err, manager.ErrDeadlock) {
		t.Errorf("queued keep: %v", err)
	}
	_, err = g.Stop(inTime(t))
	must(t, err)
	over, err := shm.NewEvent()
	must(t, err)
	defer over.Close()
	other, err := manager.Share(inTime(t), m, "", &hermit{})
	must(t, err)
	_, err = hermitLater.Call(inTime(t), o, later{m, other, over})
	must(t, err)
	must(t, over.Wait(inTime(t)))
	must(t, m.Keep(inTime(t)))
	must(t, o.Release(inTime(t)))
	if err := other.Release(inTime(t)); !errors.Is(err, manager.ErrReleased) {
		t.Errorf("released later: %v", err)
	}
}

// A queued call whose result names more shared memory than can be handed over fails, and no other of its process's.
//
// feature: G1
func TestQueuedResultWithTooMuchMemory(t *testing.T) {
	m := openWith(t, manager.Options{Process: true})
	o, err := manager.Share(inTime(t), m, "", &hermit{})
	must(t, err)
	many, err := hermitArrays.Append(inTime(t), o, 251)
	must(t, err)
	few, err := hermitArrays.Append(inTime(t), o, 3)
	must(t, err)
	g, err := m.StartGuard(inTime(t), manager.GuardOptions{})
	must(t, err)
	if _, err := many.Wait(inTime(t)); !errors.Is(err, xme.ErrEncode) {
		t.Errorf("251 arrays: %v", err)
	}
	all, err := few.Wait(inTime(t))
	if err != nil || len(all) != 3 {
		t.Errorf("3 arrays: %d, %v", len(all), err)
	}
	for _, a := range all {
		must(t, a.Close())
	}
	_, err = g.Stop(inTime(t))
	must(t, err)
}

// A manager that comes back gives nobody a number, or a revision, that another had.
//
// feature: X1
func TestNumbersOfAnEarlierLife(t *testing.T) {
	ctx := inTime(t)
	m := openWith(t, manager.Options{Process: true, Restart: true})
	c, err := manager.ShareNew(ctx, m, "c", newCounter, 0)
	must(t, err)
	must(t, m.Keep(ctx))
	var revs []uint64
	for life := range 3 {
		gone, err := manager.Share(ctx, m, "", &plain{1})
		must(t, err)
		list, err := manager.NewList[int](ctx, m, "")
		must(t, err)
		lock, err := m.NewLock(ctx, manager.LockOptions{Kind: manager.Authorisation})
		must(t, err)
		rev, err := manager.CompareAndSwap(ctx, m, "key", 0, life)
		must(t, err)
		revs = append(revs, rev)

		kill(t, ctx, c)
		for _, err = add.Call(ctx, c, 0); errors.Is(err, manager.ErrLost) && ctx.Err() == nil; _, err = add.Call(ctx, c, 0) { // nobody has noticed yet
			<-time.After(time.Millisecond)
		}
		must(t, err)
		next, err := manager.Share(ctx, m, "", &plain{2})
		must(t, err)
		nextList, err := manager.NewList[int](ctx, m, "", 1)
		must(t, err)
		nextLock, err := m.NewLock(ctx, manager.LockOptions{})
		must(t, err)
		must(t, manager.Set(ctx, m, "key", -1))

		if n, err := addPlain.Call(ctx, gone, 1); !errors.Is(err, manager.ErrReleased) {
			t.Errorf("life %d: an object that is no more: %d, %v", life, n, err)
		}
		if n, err := list.Len(ctx); !errors.Is(err, manager.ErrReleased) {
			t.Errorf("life %d: a list that is no more: %d, %v", life, n, err)
		}
		if err := lock.SetKind(ctx, manager.Disable); !errors.Is(err, manager.ErrNotFound) {
			t.Errorf("life %d: a lock that is no more: %v", life, err)
		}
		for _, rev := range revs {
			if _, err := manager.CompareAndSwap(ctx, m, "key", rev, 7); !errors.Is(err, manager.ErrConflict) {
				t.Errorf("life %d: revision %d is no more: %v", life, rev, err)
			}
		}
		all, err := m.Values(ctx, "key")
		must(t, err)
		for _, v := range all.Items() {
			revs = append(revs, v.Rev())
		}
		must(t, next.Release(ctx))
		must(t, nextList.Release(ctx))
		must(t, nextLock.Close())
		must(t, lock.Close())
		must(t, m.Update(ctx, manager.Drop("key")))
		if life == 1 {
			must(t, m.Keep(ctx)) // the next one has the revisions of this one behind it
		}
	}
}

// The manager's own lock has its name wherever the manager lives.
//
// feature: K1
func TestTablesLockIsFound(t *testing.T) {
	for _, process := range []bool{false, true} {
		m := openWith(t, manager.Options{Process: process, Lock: manager.LockOptions{Name: "tables"}})
		l, err := m.FindLock(inTime(t), "tables")
		if err != nil {
			t.Errorf("process %v: %v", process, err)
			continue
		}
		must(t, l.Acquire(inTime(t)))
		if ok, err := m.Lock().TryAcquire(inTime(t)); ok {
			t.Errorf("process %v: it is another: %v", process, err)
		}
		must(t, l.Release(inTime(t)))
		must(t, l.Close())
		if _, err := m.NewLock(inTime(t), manager.LockOptions{Name: "tables"}); !errors.Is(err, manager.ErrExists) {
			t.Errorf("process %v: another of the name: %v", process, err)
		}
	}
}

// unshowable cannot be shown as JSON; it crosses all the same.
type unshowable struct{ N int }

func (u unshowable) MarshalJSON() ([]byte, error) { panic("no JSON") }

var _ json.Marshaler = unshowable{}

// A value whose JSON cannot be made is kept, and shown by its type.
//
// feature: M2
func TestValueThatCannotBeShown(t *testing.T) {
	m := openWith(t, manager.Options{})
	must(t, manager.Set(inTime(t), m, "key", unshowable{7}))
	v, err := manager.Get[unshowable](inTime(t), m, "key")
	if err != nil || v.N != 7 {
		t.Error(v.N, err)
	}
	all, err := m.Values(inTime(t), "key")
	must(t, err)
	for key, v := range all.Items() {
		if text := fmt.Sprint(v); key != "key" || text == "" {
			t.Error(key, text)
		}
	}
}
