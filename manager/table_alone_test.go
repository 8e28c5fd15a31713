package manager_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// feature: N1
func TestTableAlone(t *testing.T) {
	t.Parallel()
	c, ctx, tab := &check{}, t.Context(), manager.NewTable()
	c.ok(tab.Update(ctx, manager.Put("a", 1), manager.Put("b", []string{"x"}), manager.Put(manager.GuardKey, "no key is reserved")))
	n, rev, err := manager.Load[int](ctx, tab, "a")
	c.ok(err)
	c.equal(n, 1)
	_, err = manager.CompareAndSwap(ctx, tab, "a", rev+1, 2)
	c.is(err, manager.ErrConflict)
	_, err = manager.CompareAndSwap(ctx, tab, "a", rev, 2)
	c.ok(err)
	_, err = manager.Get[string](ctx, tab, "a")
	c.is(err, manager.ErrType)
	c.is(tab.Delete(ctx, "no"), manager.ErrNoKey, `"no"`)
	size, err := tab.Len(ctx)
	c.ok(err)
	c.equal(size, 3)
	var seen []string
	for e, err := range manager.Watch(ctx, tab, "a", "b") {
		c.ok(err)
		seen = append(seen, e.Key+e.Value.String())
		if len(seen) == 2 {
			c.ok(tab.Delete(ctx, "a"))
		}
		if e.Deleted {
			break
		}
	}
	c.equal(seen, []string{`b["x"]`, "a2", "a<none>"})
	c.ok(tab.Clear(ctx))
	if err := errors.Join(c.faults...); err != nil {
		t.Error(err)
	}
}

// feature: N1
func TestTableAloneKeepsNoMemory(t *testing.T) {
	t.Parallel()
	ctx, tab := t.Context(), manager.NewTable()
	a, err := shm.NewArray[int](1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	err = manager.Set(ctx, tab, "k", a)
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), `"k"`) || !strings.Contains(err.Error(), "use a manager's") {
		t.Errorf("got %v", err)
	}
	if err := manager.Set(ctx, tab, "k", 1); err != nil {
		t.Error(err)
	}
	w := weak.Make(tab)
	for range 100 {
		runtime.GC()
		if w.Value() == nil {
			return
		}
	}
	t.Error("the table is still there when nobody has it")
}

type tabled struct{ T *manager.Table }

// feature: N1
func TestTableDoesNotCross(t *testing.T) {
	t.Parallel()
	tab := manager.NewTable()
	err := manager.Set(t.Context(), open(t), "k", tabled{tab})
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), "manager.Table") || !strings.Contains(err.Error(), "*manager.Manager") {
		t.Errorf("got %v", err)
	}
}

var underLock = xme.Register("underLock", func(ctx context.Context, in struct {
	M *manager.Manager
	L *manager.Lock
},
) (bool, error) {
	tab := in.M.Messages().Guarded(in.L)
	for range 20 {
		if err := in.L.Acquire(ctx); err != nil {
			return false, err
		}
		n, err := manager.Get[int](ctx, tab, "n")
		if err == nil {
			err = manager.Set(ctx, tab, "n", n+1)
		}
		if err := errors.Join(err, in.L.Release(ctx)); err != nil {
			return false, err
		}
	}
	return true, nil
})

// Who holds the lock of a table changes it, others wait; also tasks, also by the lock of the manager's own tables.
//
// feature: N1
func TestGuardedTables(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for _, kind := range []manager.Kind{manager.ReadWrite, manager.Mutex, manager.Disable} {
		m := openWith(t, manager.Options{Lock: manager.LockOptions{Kind: kind}})
		extra, err := m.NewLock(t.Context(), manager.LockOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer extra.Close()
		for _, l := range []*manager.Lock{m.Lock(), extra} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := manager.Set(ctx, m.Messages().Guarded(l), "n", 0); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() {
					_, err := underLock.Call(ctx, pool, struct {
						M *manager.Manager
						L *manager.Lock
					}{m, l})
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			n, err := manager.Get[int](ctx, m.Messages(), "n")
			if err != nil || n != 40 && (l == extra || kind != manager.Disable) {
				t.Errorf("%v, %v: counted %d, %v", kind, l, n, err)
			}
		}
	}
}
