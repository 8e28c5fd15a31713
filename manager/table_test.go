package manager_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// point is a type that not every process shows.
type point struct {
	X, Y float64
	Name string
}

// feature: X2, F20
func TestValues(t *testing.T) { everywhere(t, "values") }

func tryValues(ctx context.Context, m *manager.Manager, c *check) {
	c.ok(manager.Set(ctx, m, "a", 1))
	c.ok(manager.Set(ctx, m.Table(), "b", "two"))
	c.ok(manager.Set(ctx, m, "c", point{1, 2, "p"}))
	n, err := manager.Get[int](ctx, m, "a")
	c.ok(err)
	c.equal(n, 1)
	p, err := manager.Get[point](ctx, m, "c")
	c.ok(err)
	c.equal(p, point{1, 2, "p"})
	_, err = manager.Get[int](ctx, m, "none")
	c.is(err, manager.ErrNoKey, `"none"`)
	_, err = manager.Get[int](ctx, m, "c")
	c.is(err, manager.ErrType, `"c"`, "manager_test.point", "not int")

	_, rev, err := manager.Load[int](ctx, m, "a")
	c.ok(err)
	newRev, err := manager.CompareAndSwap(ctx, m, "a", rev, 10)
	c.ok(err)
	_, now, err := manager.Load[int](ctx, m, "a")
	c.ok(err)
	c.equal(now, newRev)
	c.equal(newRev > rev, true)
	_, err = manager.CompareAndSwap(ctx, m, "a", rev, 11)
	c.is(err, manager.ErrConflict, `"a" is at revision `)
	_, err = manager.CompareAndSwap(ctx, m, "a", 0, 11)
	c.is(err, manager.ErrConflict, `"a" exists`)
	_, err = manager.CompareAndSwap(ctx, m, "d", 3, 11)
	c.is(err, manager.ErrConflict, "does not exist")
	_, err = manager.CompareAndSwap(ctx, m, "d", 0, 11)
	c.ok(err)

	// All or nothing.
	err = m.Update(ctx, manager.Put("e", 1), manager.Drop("none"), manager.Put("a", 2))
	c.is(err, manager.ErrNoKey)
	err = m.Update(ctx, manager.Put("e", 1), manager.If("a", rev))
	c.is(err, manager.ErrConflict)
	err = m.Update(ctx, manager.Put("e", 1), manager.Put("f", make(chan int)))
	c.is(err, xme.ErrEncode, `"f"`, "chan int")
	c.equal(m.Update(ctx, manager.Put("e", 1), manager.Put("e", 2)) != nil, true)
	c.equal(m.Update(ctx, manager.Change{}) != nil, true)
	_, err = manager.Get[int](ctx, m, "e")
	c.is(err, manager.ErrNoKey)
	c.ok(m.Update(ctx, manager.If("a", newRev), manager.Put("e", 1), manager.Put("f", 2), manager.Drop("d")))
	v, err := m.Values(ctx, "e", "f", "d", "f")
	c.ok(err)
	c.equal(len(v), 2)
	c.equal(v["e"].Rev(), v["f"].Rev())

	all, err := m.Values(ctx)
	c.ok(err)
	c.equal(slices.Sorted(maps.Keys(all)), []string{"__GUARD__", "__STATUS__", "__XMEM__", "a", "b", "c", "e", "f"})
	var items []string
	for k, v := range all.Items() {
		items = append(items, k+" "+v.Type()+" "+v.String())
	}
	c.equal(items[3:], []string{
		"a int 10", `b string "two"`, `c github.com/xenonmp/xme/manager_test.point {"X":1,"Y":2,"Name":"p"}`, "e int 1", "f int 2",
	})
	p, err = manager.As[point](all["c"])
	c.ok(err)
	c.equal(p.Name, "p")
	_, err = manager.As[int](all["c"])
	c.is(err, manager.ErrType)
	_, err = manager.As[int](all["nothing"])
	c.is(err, manager.ErrNoKey)
	_, err = m.Values(ctx, "none")
	c.is(err, manager.ErrNoKey)
	v, err = m.Values(ctx, "none", "nor this")
	c.ok(err)
	c.equal(len(v), 0)

	c.is(m.Table().Delete(ctx, "a", "none"), manager.ErrNoKey)
	c.equal(strings.Contains(m.Table().Delete(ctx).Error(), "Clear"), true)
	size, err := m.Table().Len(ctx)
	c.ok(err)
	c.equal(size, 5)
	c.ok(m.Table().Delete(ctx, "a", "b"))
	size, err = m.Table().Len(ctx)
	c.ok(err)
	c.equal(size, 3)
	c.ok(m.Table().Clear(ctx))
	c.ok(m.Table().Clear(ctx))
	size, err = m.Table().Len(ctx)
	c.ok(err)
	c.equal(size, 0)
}

// feature: X2
func TestTypes(t *testing.T) { everywhere(t, "types") }

// same says that a value comes back as it was set, and how it is shown.
func same[T any](ctx context.Context, m *manager.Manager, c *check, v T, shown string) {
	c.ok(manager.Set(ctx, m, "k", v))
	got, err := manager.Get[T](ctx, m, "k")
	c.ok(err)
	c.equal(got, v)
	all, err := m.Values(ctx, "k")
	c.ok(err)
	if s := all["k"].String(); !strings.Contains(s, shown) {
		c.fault("%T is shown as %s", v, s)
	}
}

func tryTypes(ctx context.Context, m *manager.Manager, c *check) {
	same(ctx, m, c, true, "true")
	same(ctx, m, c, int8(-3), "-3")
	same(ctx, m, c, math.Inf(1), "<float64, 8 bytes>")
	same(ctx, m, c, []byte("abc"), `"YWJj"`)
	same(ctx, m, c, []float64{1, 2.5}, "[1,2.5]")
	same(ctx, m, c, map[string]string{"a": "b"}, `{"a":"b"}`)
	same(ctx, m, c, time.Second, "1000000000")
	same[any](ctx, m, c, "text", `"text"`)
	same(ctx, m, c, []*point{nil, {1, 2, ""}}, `[null,{"X":1,"Y":2,"Name":""}]`)
	same(ctx, m, c, struct{ A map[point]int }{map[point]int{{1, 2, "k"}: 3}}, "<struct { A map[github.com/xenonmp/xme/manager_test.point]int; }, ")
	same(ctx, m, c, strings.Repeat("x", 1<<20), "xxx")
	same(ctx, m, c, []point{{Name: strings.Repeat("x", 100_000)}}, "<[]github.com/xenonmp/xme/manager_test.point, ")

	f, err := os.Open(os.DevNull)
	c.ok(err)
	defer func() { c.ok(f.Close()) }()
	c.is(manager.Set(ctx, m, "file", f), xme.ErrEncode, "open file")
	c.is(manager.Set(ctx, m, "view", shm.View[int]{}), xme.ErrEncode, "borrowed")
	c.is(manager.Set(ctx, m, "func", struct{ F func() }{}), xme.ErrEncode, "F (func())")
}

func TestReserved(t *testing.T) { everywhere(t, "reserved") }

func tryReserved(ctx context.Context, m *manager.Manager, c *check) {
	names, err := manager.Get[[]string](ctx, m, manager.BuiltinsKey)
	c.ok(err)
	c.equal(len(names), 10)
	c.equal(names[0], "Table::update")
	g, err := manager.Get[manager.GuardState](ctx, m, manager.GuardKey)
	c.ok(err)
	c.equal(g, manager.GuardState{})
	c.ok(manager.Set(ctx, m, manager.GuardKey, manager.GuardState{}))
	c.is(manager.Set(ctx, m, manager.GuardKey, manager.GuardState{Status: true}), manager.ErrReserved)
	c.is(manager.Set(ctx, m, manager.GuardKey, false), manager.ErrReserved)
	for _, k := range []string{manager.StatusKey, manager.GuardKey, manager.BuiltinsKey} {
		c.is(manager.Set(ctx, m, k, map[string]string{}), manager.ErrReserved, k)
		c.is(m.Table().Delete(ctx, k), manager.ErrReserved)
		c.is(m.Update(ctx, manager.If(k, 0), manager.Put("x", 1)), manager.ErrReserved)
	}
	c.ok(manager.Set(ctx, m, "__OTHER__", 1))
	c.ok(m.Table().Clear(ctx))
	all, err := m.Values(ctx)
	c.ok(err)
	c.equal(len(all), 3)
	c.ok(manager.Set(ctx, m.Messages(), manager.StatusKey, 1)) // nothing is reserved there
}

// feature: X5
func TestStatus(t *testing.T) { everywhere(t, "status") }

func tryStatus(ctx context.Context, m *manager.Manager, c *check) {
	op, err := m.NewOperator(ctx)
	c.ok(err)
	c.ok(m.Status(ctx, "working"))
	c.ok(m.As(op).Status(ctx, ""))
	s, err := manager.Get[map[string]string](ctx, m, manager.StatusKey)
	c.ok(err)
	c.equal(s["ADMIN"], "working")
	beat, ok := strings.CutPrefix(s["operator 2"], "alive ")
	c.equal(ok, true)
	_, err = time.Parse(time.RFC3339, beat)
	c.ok(err)
	c.is(m.As(manager.Operator{}).Status(ctx, "nobody's"), manager.ErrNotAuthorised)
	c.is(manager.Set(ctx, m.As(manager.Operator{}), "a", 1), manager.ErrNotAuthorised)
	_, err = manager.Get[int](ctx, m, "a")
	c.is(err, manager.ErrNoKey)
}

// A status passes by what holds up everything else: a call that the guard runs, those behind it, and the lock of the tables.
//
// feature: X5
func TestStatusPassesTheQueue(t *testing.T) {
	inBoth(t, func(t *testing.T, o manager.Options) {
		ctx := inTime(t)
		m := openWith(t, o)
		c, err := manager.ShareNew(ctx, m, "", newCounter, 0)
		must(t, err)
		g, err := m.StartGuard(ctx, manager.GuardOptions{Idle: -1, Verbose: -1})
		must(t, err)
		running := block.Go(ctx, m.Queue(), struct{}{})
		var goOn chan struct{}
		select {
		case goOn = <-blocks:
		case <-ctx.Done():
			t.Fatal("the queued call has not begun")
		}
		behind, err := add.Append(ctx, c, 1)
		must(t, err)
		other := m.Lock().As(m.Operator())
		must(t, other.Acquire(ctx))
		for _, text := range []string{"busy", ""} {
			must(t, m.Status(ctx, text))
			all, err := manager.Get[map[string]string](ctx, m, manager.StatusKey)
			if s := all["ADMIN"]; err != nil || text != "" && s != text || text == "" && !strings.HasPrefix(s, "alive ") {
				t.Errorf("said %q: %q, %v", text, s, err)
			}
		}
		if n, err := m.Queue().Len(ctx); n != 1 || err != nil {
			t.Errorf("%d calls are queued, %v", n, err)
		}
		must(t, other.Release(ctx))
		close(goOn)
		_, err = running.Wait(ctx)
		must(t, err)
		if n, err := behind.Wait(ctx); n != 1 || err != nil {
			t.Errorf("the call behind it: %d, %v", n, err)
		}
		_, err = g.Stop(ctx)
		must(t, err)
	})
}

// block says that it has begun, and returns when it is told to go on: by the guard in the driver.
var (
	blocks = make(chan chan struct{})
	block  = xme.Register("block", func(ctx context.Context, _ struct{}) (bool, error) {
		goOn := make(chan struct{})
		select {
		case blocks <- goOn:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return true, ctx.Err()
	})
)

// feature: X2
func TestHandles(t *testing.T) { everywhere(t, "handles") }

// live is a value with handles.
type live struct {
	Array *shm.Array[int]
	Lock  *shm.Mutex
	M     *manager.Manager
	List  *manager.List[string]
	Map   *manager.Map[string, int]
}

func tryHandles(ctx context.Context, m *manager.Manager, c *check) {
	a, err := shm.NewArray[int](10)
	c.ok(err)
	lock, err := shm.NewMutex()
	c.ok(err)
	list, err := manager.NewList(ctx, m, "", "one")
	c.ok(err)
	counts, err := manager.NewMap[string, int](ctx, m, "")
	c.ok(err)
	c.ok(manager.Set(ctx, m, "live", live{a, lock, m, list, counts}))
	v, err := m.Values(ctx, "live")
	c.ok(err)
	c.equal(strings.HasPrefix(v["live"].String(), "<github.com/xenonmp/xme/manager_test.live, "), true)
	a.Slice()[3] = 33
	c.ok(a.Close())
	c.ok(lock.Close())
	got, err := manager.Get[live](ctx, m, "live")
	c.ok(err)
	c.ok(m.Table().Delete(ctx, "live")) // what it named lives on
	c.equal(got.Array.Slice()[3], 33)
	c.ok(got.Lock.Lock(ctx))
	c.ok(got.Lock.Unlock())
	c.ok(got.List.Append(ctx, "two"))
	n, err := list.Len(ctx)
	c.ok(err)
	c.equal(n, 2)
	_, err = manager.AddTo(ctx, got.Map, "x", 2)
	c.ok(err)
	x, ok, err := counts.Get(ctx, "x")
	c.ok(err)
	c.equal([]any{x, ok}, []any{2, true})
	c.ok(manager.Set(ctx, got.M, "by", "it"))
	_, err = manager.Get[string](ctx, m, "by")
	c.ok(err)
	c.ok(got.Array.Close())
	c.ok(got.Lock.Close())
	c.ok(got.M.Close())
	again, err := manager.As[live](v["live"])
	c.ok(err)
	c.equal(again.Array.Slice()[3], 33)
	c.ok(again.Array.Close())
	c.ok(again.Lock.Close())
	c.ok(again.M.Close())
}

// feature: X6
func TestMessages(t *testing.T) { everywhere(t, "messages") }

func tryMessages(ctx context.Context, m *manager.Manager, c *check) {
	list, err := manager.NewList[int](ctx, m, "")
	c.ok(err)
	c.ok(m.Update(ctx, manager.Put("a", 1), manager.Put("list", list)))
	c.ok(m.Messages().Update(ctx, manager.Put("old", 1), manager.Put("a", "text")))
	c.ok(m.CopyMsg(ctx))
	all, err := m.Messages().Values(ctx)
	c.ok(err)
	c.equal(slices.Sorted(maps.Keys(all)), []string{"a"})
	n, err := manager.Get[int](ctx, m.Messages(), "a")
	c.ok(err)
	c.equal(n, 1)
	c.ok(manager.Set(ctx, m, "a", 2))
	n, err = manager.Get[int](ctx, m.Messages(), "a")
	c.ok(err)
	c.equal(n, 1)
	size, err := m.Messages().Len(ctx)
	c.ok(err)
	c.equal(size, 1)
	c.ok(m.Messages().Delete(ctx, "a"))
	c.ok(m.Table().Clear(ctx))
	c.ok(m.CopyMsg(ctx))
	_, err = m.Messages().Values(ctx, "a")
	c.is(err, manager.ErrNoKey)
}

// feature: X8
func TestSnapshot(t *testing.T) { everywhere(t, "snapshot") }

func trySnapshot(ctx context.Context, m *manager.Manager, c *check) {
	_, err := m.NewOperator(ctx)
	c.ok(err)
	l, err := manager.NewList(ctx, m, "queue", 1, 2)
	c.ok(err)
	_, err = manager.NewMap[string, bool](ctx, m, "")
	c.ok(err)
	c.ok(m.Update(ctx, manager.Put("p", point{1, 2, "p"}), manager.Put("list", l), manager.Put("op", m.Operator())))
	c.ok(manager.Set(ctx, m.Messages(), "hello", []string{"world"}))
	c.ok(m.Status(ctx, "fine"))
	text, err := m.Snapshot(ctx)
	c.ok(err)
	size := "" // of a handle, with a manager's id and an operator's secret: none of which is shown
	_, size, _ = strings.Cut(string(text), `"bytes":`)
	size, _, _ = strings.Cut(size, "}")
	c.equal(string(text), `{"operators":[1,2],"guard":false,"queued":0,"status":{"ADMIN":"fine"},"values":{"list":{"type":"*github.com/xenonmp/xme/manager.List[int]","bytes":`+
		size+`},"op":1,"p":{"X":1,"Y":2,"Name":"p"}},"messages":{"hello":["world"]},"lists":[{"number":1,"name":"queue","type":"github.com/xenonmp/xme/manager.List[int]",`+
		`"len":2}],"maps":[{"number":2,"type":"github.com/xenonmp/xme/manager.Map[string,bool]","len":0}]}`)
	s := m.String()
	for _, part := range []string{"operators: 2", "status ADMIN: fine", `value "p": {"X":1,`, `message "hello": ["world"]`, `list 1 "queue": 2 elements`} {
		if !strings.Contains(s, part) {
			c.fault("%q is not in %s", part, s)
		}
	}
	c.equal(strings.Contains((&manager.Manager{}).String(), "closed"), true)
}

// feature: X1
func TestClosed(t *testing.T) {
	ctx, m := t.Context(), open(t)
	l, err := manager.NewList(ctx, m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	_, getErr := manager.Get[int](ctx, m, "a")
	_, valuesErr := (&manager.Table{}).Values(ctx)
	_, lenErr := (&manager.Table{}).Len(ctx)
	for what, err := range map[string]error{
		"Set": manager.Set(ctx, m, "a", 1), "Get": getErr, "Append": l.Append(ctx, 1), "a zero manager's Set": manager.Set(ctx, &manager.Manager{}, "a", 1),
		"Values of a zero table": valuesErr, "Len of a zero table": lenErr, "a nil table's Set": manager.Set(ctx, (*manager.Table)(nil), "a", 1),
		"a zero list's Append": (&manager.List[int]{}).Append(ctx, 1), "a nil manager's Status": (*manager.Manager)(nil).Status(ctx, ""),
		"CopyMsg": m.CopyMsg(ctx), "Clear": m.Messages().Clear(ctx),
	} {
		if !errors.Is(err, manager.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// feature: X2
func TestUpdateIsWhole(t *testing.T) {
	ctx, m := t.Context(), open(t)
	var writers, readers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 300 {
				if err := m.Update(ctx, manager.Put("left", w*1000+i), manager.Put("right", w*1000+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				v, err := m.Values(ctx, "left", "right")
				if err != nil {
					t.Error(err)
				}
				if len(v) == 2 {
					l, _ := manager.As[int](v["left"])
					r, _ := manager.As[int](v["right"])
					if l != r || v["left"].Rev() != v["right"].Rev() {
						t.Errorf("left is %d, right %d", l, r)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

var count = xme.Register("count", func(ctx context.Context, m *manager.Manager) (int, error) {
	for done := 0; done < 50; {
		n, rev, err := manager.Load[int](ctx, m, "n")
		if err != nil && !errors.Is(err, manager.ErrNoKey) {
			return done, err
		}
		switch _, err = manager.CompareAndSwap(ctx, m, "n", rev, n+1); {
		case err == nil:
			done++
		case !errors.Is(err, manager.ErrConflict):
			return done, err
		}
	}
	return 50, nil
})

// feature: X2
func TestCompareAndSwapCounts(t *testing.T) {
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			ctx, m, x := t.Context(), open(t), on(t)
			var g sync.WaitGroup
			for range 8 {
				g.Go(func() {
					if _, err := count.Call(ctx, x, m); err != nil {
						t.Error(err)
					}
				})
			}
			g.Wait()
			if n, err := manager.Get[int](ctx, m, "n"); n != 400 || err != nil {
				t.Errorf("counted %d, %v", n, err)
			}
		})
	}
}
