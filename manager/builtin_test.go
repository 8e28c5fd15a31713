package manager_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// tryBuiltins queues each of the manager's own functions by its name.
func tryBuiltins(ctx context.Context, m *manager.Manager, c *check) {
	q := m.Queue()
	names, err := manager.Get[[]string](ctx, m, manager.BuiltinsKey)
	c.ok(err)
	done := map[string]bool{}
	run := func(b manager.Builtin) (manager.Values, error) {
		f, err := q.Append(ctx, b)
		if err != nil {
			return nil, err
		}
		done[b.Name] = true
		_, err = q.Exec(ctx)
		c.ok(err)
		return f.Wait(ctx)
	}
	ok := func(b manager.Builtin) manager.Values {
		v, err := run(b)
		if err != nil {
			c.fault("%s: %v", b.Name, err)
		}
		return v
	}
	array, err := shm.NewArray[int64](3)
	c.ok(err)
	defer func() { c.ok(array.Close()) }()
	ok(manager.Builtin{Name: "Table::update", Changes: []manager.Change{manager.Put("a", 1), manager.Put("b", array)}})
	ok(manager.Builtin{Name: "Table::set", Changes: []manager.Change{manager.Put("c", "three")}})
	c.equal(len(ok(manager.Builtin{Name: "Table::items"})), 6) // with the reserved ones
	v := ok(manager.Builtin{Name: "Table::get", Keys: []string{"a", "b", "missing"}})
	c.equal(len(v), 2)
	a, err := manager.As[int](v["a"])
	c.ok(err)
	c.equal(a, 1)
	array.Slice()[1] = 7
	back, err := manager.As[*shm.Array[int64]](v["b"])
	c.ok(err)
	c.equal(back.Slice()[1], int64(7))
	c.ok(back.Close())
	ok(manager.Builtin{Name: "Table::delete", Keys: []string{"a"}})
	_, err = manager.Get[int](ctx, m, "a")
	c.is(err, manager.ErrNoKey)
	ok(manager.Builtin{Name: "Monitor::update", Changes: []manager.Change{manager.Put("hello", "you")}})
	c.equal(ok(manager.Builtin{Name: "Monitor::get", Keys: []string{"hello"}})["hello"].String(), `"you"`)
	ok(manager.Builtin{Name: "Monitor::copy_msg"})
	c.equal(len(ok(manager.Builtin{Name: "Monitor::get"})), 1) // "c": what holds memory is left out
	ok(manager.Builtin{Name: "Monitor::delete"})
	c.equal(len(ok(manager.Builtin{Name: "Monitor::get"})), 0)
	ok(manager.Builtin{Name: "Lock::update", Kind: manager.Mutex})
	kind, err := m.Lock().Kind()
	c.ok(err)
	c.equal(kind, manager.Mutex)
	for _, n := range names {
		if !done[n] {
			c.fault("%s was not tried", n)
		}
	}

	_, err = run(manager.Builtin{Name: "Table::delete", Keys: []string{"a"}})
	c.is(err, manager.ErrNoKey, "Table::delete")
	_, err = run(manager.Builtin{Name: "Table::set", Changes: []manager.Change{manager.Put(manager.StatusKey, 1)}})
	c.is(err, manager.ErrReserved)
	_, err = q.Append(ctx, manager.Builtin{Name: "Table::drop"})
	c.is(err, manager.ErrNotFound, "Table::drop", "Table::items")
	for _, b := range []manager.Builtin{
		{Name: "Table::update"},
		{Name: "Table::set", Changes: []manager.Change{manager.Drop("a")}},
		{Name: "Table::items", Keys: []string{"a"}},
		{Name: "Table::delete"},
		{Name: "Lock::update", Kind: 99},
		{Name: "Monitor::update", Changes: []manager.Change{manager.Put("f", func() {})}},
	} {
		if _, err := q.Append(ctx, b); err == nil {
			c.fault("%+v was accepted", b)
		}
	}

	// Another operator's calls act as that one.
	op, err := m.NewOperator(ctx)
	c.ok(err)
	c.ok(m.Lock().SetKind(ctx, manager.ReadWrite))
	f, err := q.As(op).Append(ctx, manager.Builtin{Name: "Table::set", Changes: []manager.Change{manager.Put("x", 1)}})
	c.ok(err)
	_, err = q.Exec(ctx)
	c.ok(err)
	_, err = f.Wait(ctx)
	c.is(err, manager.ErrNotAuthorised)
	r, err := q.As(op).Result(ctx)
	c.ok(err)
	c.is(r.Err, manager.ErrNotAuthorised)
}

// feature: X3, X4
func TestBuiltins(t *testing.T) { everywhere(t, "builtins") }

// results tries that an operator's results queue up.
func tryResults(ctx context.Context, m *manager.Manager, c *check) {
	o, err := manager.ShareNew(ctx, m, "o", newCounter, 0)
	c.ok(err)
	op, err := m.NewOperator(ctx)
	c.ok(err)
	theirs, err := manager.Find[counter](ctx, m.As(op), "o")
	c.ok(err)
	q := m.Queue()
	const kept, more = 255, 7
	for range kept + more {
		_, err := add.Append(ctx, o, 1)
		c.ok(err)
	}
	_, err = add.Append(ctx, theirs, 1000)
	c.ok(err)
	b, err := q.Buffers(ctx)
	c.ok(err)
	c.equal(len(b.Queued), kept+more+1)
	c.equal(b.Queued[kept+more].Operator, op.Number())
	for ran := true; ran; {
		ran, err = q.Exec(ctx)
		c.ok(err)
	}
	b, err = q.Buffers(ctx)
	c.ok(err)
	c.equal(len(b.Queued), 0)
	c.equal(len(b.Results[1]), kept)
	c.equal(len(b.Results[op.Number()]), 1)
	for i := range kept {
		r, err := q.Result(ctx)
		c.ok(err)
		v, err := manager.As[int](r.Value)
		c.ok(err)
		if v != i+more+1 || (i == 0) != (r.Dropped == more) {
			c.fault("result %d: %d, %d dropped", i, v, r.Dropped)
			return
		}
	}
	n, err := q.As(op).Clean(ctx)
	c.ok(err)
	c.equal(n, 1)
	f, err := add.Append(ctx, theirs, 1)
	c.ok(err)
	n, err = q.As(op).Discard(ctx)
	c.ok(err)
	c.equal(n, 1)
	_, err = f.Wait(ctx)
	c.is(err, manager.ErrDropped)
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := q.Result(ctx); !errors.Is(err, context.DeadlineExceeded) {
		c.fault("a result of nothing: %v", err)
	}
}

// feature: F17, X4
func TestResults(t *testing.T) { everywhere(t, "results") }

// records hands on what is logged.
type records chan slog.Record

func (r records) Enabled(context.Context, slog.Level) bool { return true }
func (r records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r records) WithGroup(string) slog.Handler            { return r }
func (r records) Handle(_ context.Context, rec slog.Record) error {
	select {
	case r <- rec.Clone():
	default:
	}
	return nil
}

// A guard says how it is, by its process's log.
// feature: G2
func TestGuardSaysHowItIs(t *testing.T) {
	got := make(records, 1)
	pool := xmetest.Open(t, xme.Options{Workers: 1, LogHandler: got})
	m := open(t)
	f := manager.Guard.Go(t.Context(), pool, manager.GuardCall{Manager: m, Options: manager.GuardOptions{Verbose: time.Millisecond}})
	rec := <-got
	var keys []string
	rec.Attrs(func(a slog.Attr) bool {
		keys = append(keys, a.Key)
		return true
	})
	if rec.Message != "guard" || !slices.Contains(keys, "since_last") || !slices.Contains(keys, "limit") || !slices.Contains(keys, "queued") {
		t.Errorf("%q with %v", rec.Message, keys)
	}
	must(t, m.Queue().Stop(t.Context()))
	if r, err := f.Wait(t.Context()); err != nil || r.Ended != "stopped" {
		t.Errorf("%+v, %v", r, err)
	}
}
