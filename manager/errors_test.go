package manager_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// named says that err, which there is to be, names the package at most once: in front, or where the text of an *xme.Error begins.
func (c *check) named(what string, err error) {
	if err == nil {
		c.fault("%s: no error", what)
		return
	}
	text := err.Error()
	at := strings.Index(text, "manager:")
	switch e, _ := errors.AsType[*xme.Error](err); {
	case strings.Count(text, "manager:") > 1:
		c.fault("%s: named twice: %s", what, text)
	case at > 0 && (e == nil || !strings.HasPrefix(text, "xme: ") || !strings.HasPrefix(e.Message, "manager:")):
		c.fault("%s: named in the middle: %s", what, text)
	case at < 0 && !strings.HasPrefix(text, "xme: ") && !strings.HasPrefix(text, "shm: "):
		c.fault("%s: of no package: %s", what, text)
	}
}

// unkept cannot be kept, nor cross.
type unkept struct{ C chan int }

// tryErrors provokes errors.
func tryErrors(ctx context.Context, m *manager.Manager, c *check) {
	op, err := m.NewOperator(ctx)
	c.ok(err)
	o, err := manager.ShareNew(ctx, m, "counter", newCounter, 0)
	c.ok(err)
	tryTableErrors(ctx, m, op, c)
	tryCollectionErrors(ctx, m, c)
	tryLockErrors(ctx, m, op, c)
	tryQueueErrors(ctx, m, op, o, c)
	tryObjectErrors(ctx, m, o, c)
}

func tryTableErrors(ctx context.Context, m *manager.Manager, op manager.Operator, c *check) {
	c.ok(manager.Set(ctx, m, "n", 1))
	_, err := manager.Get[int](ctx, m, "none")
	c.named("no key", err)
	_, err = manager.Get[string](ctx, m, "n")
	c.named("another type", err)
	_, err = manager.Get[unkept](ctx, m, "n")
	c.named("a type that cannot be kept", err)
	_, err = m.Values(ctx, "none")
	c.named("values", err)
	_, err = manager.CompareAndSwap(ctx, m, "n", 999, 2)
	c.named("swap", err)
	_, err = manager.CompareAndSwap(ctx, m, "none", 999, 2)
	c.named("swap of none", err)
	c.named("reserved", manager.Set(ctx, m, manager.StatusKey, 1))
	c.named("a chan", manager.Set(ctx, m, "c", make(chan int)))
	c.named("a zero change", m.Update(ctx, manager.Change{}))
	c.named("a put of a chan", m.Update(ctx, manager.Put("c", make(chan int))))
	c.named("a zero object", manager.Set(ctx, m, "o", &manager.Object[counter]{}))
	c.named("a zero lock", manager.Set(ctx, m, "l", &manager.Lock{}))
	c.named("a zero manager", manager.Set(ctx, m, "m", &manager.Manager{}))
	c.named("twice in one update", m.Update(ctx, manager.Put("n", 1), manager.Put("n", 2)))
	c.named("another operator", manager.Set(ctx, m.As(op), "n", 2))
	c.named("no operator", manager.Set(ctx, m.As(manager.Operator{}), "n", 2))
	c.named("delete nothing", m.Table().Delete(ctx))
	c.named("delete none", m.Table().Delete(ctx, "none"))
	alone := manager.NewTable()
	_, err = manager.Get[int](ctx, alone, "none")
	c.named("alone", err)
	c.named("alone, a chan", manager.Set(ctx, alone, "c", make(chan int)))
}

func tryCollectionErrors(ctx context.Context, m *manager.Manager, c *check) {
	l, err := manager.NewList(ctx, m, "list", 1, 2)
	c.ok(err)
	_, err = manager.NewList(ctx, m, "list", 1)
	c.named("a list's name again", err)
	_, err = manager.FindList[string](ctx, m, "list")
	c.named("a list of another type", err)
	_, err = manager.FindList[int](ctx, m, "none")
	c.named("no list", err)
	_, err = manager.NewList[unkept](ctx, m, "")
	c.named("a list of chans", err)
	_, err = l.At(ctx, 7)
	c.named("at", err)
	_, err = l.At(ctx, -7)
	c.named("at, negative", err)
	c.named("insert", l.Insert(ctx, 9, 1))
	c.named("set", l.Set(ctx, 9, 1))
	c.named("delete", l.Delete(ctx, 1, 9))
	_, err = l.Slice(ctx, 1, 9)
	c.named("slice", err)
	c.ok(l.Delete(ctx, 0, 2))
	_, err = l.Pop(ctx)
	c.named("pop", err)
	c.ok(l.Release(ctx))
	_, err = l.Len(ctx)
	c.named("a released list", err)
	_, err = (&manager.List[int]{}).Len(ctx)
	c.named("a zero list", err)
	_, err = manager.NewMap[any, int](ctx, m, "")
	c.named("a map of any", err)
	_, err = manager.FindMap[string, int](ctx, m, "none")
	c.named("no map", err)
	_, err = manager.NewMap[string, int](ctx, nil, "")
	c.named("a map without a manager", err)
}

func tryLockErrors(ctx context.Context, m *manager.Manager, op manager.Operator, c *check) {
	l, err := m.NewLock(ctx, manager.LockOptions{Name: "lock", Kind: manager.Mutex})
	c.ok(err)
	defer func() { c.ok(l.Close()) }()
	_, err = m.NewLock(ctx, manager.LockOptions{Name: "lock"})
	c.named("a lock's name again", err)
	for _, o := range []manager.LockOptions{{Kind: 9}, {Wait: -1}, {Name: string(make([]byte, 64))}} {
		_, err = m.NewLock(ctx, o)
		c.named("options", err)
	}
	_, err = m.FindLock(ctx, "none")
	c.named("no lock", err)
	c.named("release of what is not held", l.Release(ctx))
	c.ok(l.AcquireRead(ctx))
	c.ok(l.Release(ctx))
	c.ok(l.SetKind(ctx, manager.ReadWrite))
	c.ok(l.AcquireRead(ctx))
	c.named("release of a read", l.Release(ctx))
	c.named("write under a read", l.Acquire(ctx))
	c.named("a change of kind under a read", l.SetKind(ctx, manager.Mutex))
	c.ok(l.ReleaseRead(ctx))
	c.ok(l.Acquire(ctx))
	c.named("release of a write", l.ReleaseRead(ctx))
	c.ok(l.Release(ctx))
	c.named("a writer who is not", l.As(op).Acquire(ctx))
	c.named("a change by another operator", l.As(op).SetWait(ctx, 1))
	c.named("an operator who is none", l.Register(ctx, manager.Operator{}))
	c.named("a kind that is none", l.SetKind(ctx, 9))
	c.ok(l.SetKind(ctx, manager.Authorisation))
	c.named("who is not authorised", l.As(op).Acquire(ctx))
	c.ok(l.SetKind(ctx, manager.Mutex))
	c.ok(l.Acquire(ctx))
	c.named("a wait that is over", l.As(op).Acquire(ctx, manager.WithWait(time.Millisecond)))
	c.ok(l.Release(ctx))
	_, err = (&manager.Lock{}).TryAcquire(ctx)
	c.named("a zero lock", err)
	c.named("a zero lock's kind", (&manager.Lock{}).SetKind(ctx, manager.Mutex))
	_, err = (&manager.Lock{}).Retain()
	c.named("a zero lock, retained", err)
	other, err := m.NewLock(ctx, manager.LockOptions{Kind: manager.Mutex})
	c.ok(err)
	c.ok(other.Close())
	if err := other.Acquire(ctx); err != nil { // where the manager is, its memory lasts
		c.named("a closed lock", err)
		_, err = other.Retain()
		c.named("a closed lock, retained", err)
	}
}

func tryQueueErrors(ctx context.Context, m *manager.Manager, op manager.Operator, o *manager.Object[counter], c *check) {
	q := m.Queue()
	for _, b := range []manager.Builtin{
		{Name: "none"},
		{Name: "Table::get"},
		{Name: "Table::set"},
		{Name: "Table::update"},
		{Name: "Table::get", Keys: []string{"n"}, Kind: manager.Mutex},
		{Name: "Table::update", Changes: []manager.Change{{}}},
		{Name: "Table::update", Changes: []manager.Change{manager.Put("c", make(chan int))}},
	} {
		_, err := q.Append(ctx, b)
		c.named("append "+b.Name, err)
	}
	_, err := double.With(xme.Fresh()).Call(ctx, q, 1)
	c.named("an option", err)
	f, err := odd.Append(ctx, o, 1)
	c.ok(err)
	got, err := q.Append(ctx, manager.Builtin{Name: "Table::delete", Keys: []string{"none"}})
	c.ok(err)
	for range 2 {
		_, err = q.Exec(ctx)
		c.ok(err)
	}
	_, err = f.Wait(ctx)
	c.named("a method that fails", err)
	_, err = got.Wait(ctx)
	c.named("a built-in function that fails", err)
	dropped, err := add.Append(ctx, o, 1)
	c.ok(err)
	_, err = q.Discard(ctx)
	c.ok(err)
	_, err = dropped.Wait(ctx)
	c.named("discarded", err)
	_, err = m.Heartbeat(ctx, manager.HeartbeatOptions{Every: -1})
	c.named("a negative beat", err)
	_, err = m.Heartbeat(ctx, manager.HeartbeatOptions{Every: time.Hour})
	c.named("a slow beat", err)
	_, err = m.StartGuard(ctx, manager.GuardOptions{Start: "none"})
	c.named("a start-up function that is none", err)
	g, err := m.StartGuard(ctx, manager.GuardOptions{Verbose: -1})
	c.ok(err)
	_, err = q.Exec(ctx)
	c.named("exec beside a guard", err)
	_, err = double.Call(ctx, q, 2)
	c.ok(err)
	_, err = fallsBack.Call(ctx, q, 0)
	c.named("a function that fails with an error of a manager's", err)
	_, err = g.Stop(ctx)
	c.ok(err)
	_, err = add.Append(ctx, o, 1)
	c.named("append to a stopped queue", err)
	_, err = double.Call(ctx, q, 1)
	c.named("a function for a stopped queue", err)
	_, err = q.As(op).Result(ctx)
	c.named("no result any more", err)
	_, err = (&manager.Manager{}).Queue().Len(ctx)
	c.named("a zero manager's queue", err)
}

var fallsBack = xme.Register("fallsBack", func(context.Context, int) (int, error) { return 0, manager.ErrNoKey })

func tryObjectErrors(ctx context.Context, m *manager.Manager, o *manager.Object[counter], c *check) {
	_, err := odd.Call(ctx, o, 1)
	c.named("a method that fails", err)
	_, err = blowUp.Call(ctx, o, "panic")
	c.named("a method that panics", err)
	_, err = own.Call(ctx, o, o)
	c.named("a method that calls its object", err)
	_, err = manager.ShareNew(ctx, m, "counter", newCounter, 0)
	c.named("an object's name again", err)
	_, err = manager.Share(ctx, m, "", (*counter)(nil))
	c.named("nil", err)
	_, err = manager.Find[counter](ctx, m, "none")
	c.named("no object", err)
	_, err = manager.Find[plain](ctx, m, "counter")
	c.named("an object of another type", err)
	_, err = add.Call(ctx, &manager.Object[counter]{}, 1)
	c.named("a zero object", err)
	c.ok(o.Release(ctx))
	_, err = add.Call(ctx, o, 1)
	c.named("a released object", err)
	_, err = add.Append(ctx, o, 1)
	c.named("a released object's append", err)
	_, err = manager.Get[int](ctx, &manager.Manager{}, "n")
	c.named("a zero manager", err)
	_, err = (*manager.Manager)(nil).NewOperator(ctx)
	c.named("a nil manager", err)
}

// An error that leaves the package begins with its name, and has it once, however deep what it wraps; one of a task's begins with xme's.
//
// feature: X7
func TestErrorsNameThePackageOnce(t *testing.T) { everywhere(t, "errors") }

// So do those of Open, and of a manager that is closed.
//
// feature: X7
func TestErrorsOfAClosedManager(t *testing.T) {
	c := &check{}
	for _, o := range []manager.Options{{Secret: 1}, {Queue: -1}, {Restart: true}, {Lock: manager.LockOptions{Kind: 9}}, {Lock: manager.LockOptions{Wait: -1}}} {
		_, err := manager.Open(t.Context(), o)
		c.named("options", err)
	}
	for _, process := range []bool{false, true} {
		ctx := t.Context()
		m, err := manager.Open(ctx, manager.Options{Process: process})
		must(t, err)
		o, err := manager.ShareNew(ctx, m, "counter", newCounter, 0)
		must(t, err)
		l, err := m.NewLock(ctx, manager.LockOptions{Kind: manager.Mutex})
		must(t, err)
		list, err := manager.NewList(ctx, m, "", 1)
		must(t, err)
		must(t, m.Close())
		_, err = add.Call(ctx, o, 1)
		c.named("call", err)
		_, err = add.Append(ctx, o, 1)
		c.named("append", err)
		_, err = double.Call(ctx, m.Queue(), 1)
		c.named("submit", err)
		_, err = m.Queue().Exec(ctx)
		c.named("exec", err)
		_, err = m.StartGuard(ctx, manager.GuardOptions{})
		c.named("guard", err)
		_, err = m.Heartbeat(ctx, manager.HeartbeatOptions{})
		c.named("heartbeat", err)
		_, err = manager.Get[int](ctx, m, "n")
		c.named("get", err)
		c.named("set", manager.Set(ctx, m, "n", 1))
		c.named("acquire", m.Lock().Acquire(ctx))
		if !process { // its memory ends with the manager's process otherwise
			c.named("release", l.Release(ctx))
		}
		c.named("kind", l.SetKind(ctx, manager.Spin))
		_, err = list.Len(ctx)
		c.named("list", err)
		c.named("keep", m.Keep(ctx))
		c.named("status", m.Status(ctx, "well"))
		_, err = m.Snapshot(ctx)
		c.named("snapshot", err)
		must(t, l.Close())
	}
	if err := errors.Join(c.faults...); err != nil {
		t.Error(err)
	}
}
