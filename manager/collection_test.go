package manager_test

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// feature: M2
func TestLists(t *testing.T) { everywhere(t, "lists") }

func tryLists(ctx context.Context, m *manager.Manager, c *check) {
	l, err := manager.NewList(ctx, m, "names", "a", "b")
	c.ok(err)
	c.ok(l.Append(ctx, "c", "d"))
	c.ok(l.Insert(ctx, 1, "x", "y"))
	c.ok(l.Insert(ctx, 6, "end"))
	c.ok(l.Set(ctx, 0, "A"))
	all, err := l.Slice(ctx, 0, -1)
	c.ok(err)
	c.equal(all, []string{"A", "x", "y", "b", "c", "d", "end"})
	c.ok(l.Delete(ctx, 1, 2))
	last, err := l.Pop(ctx)
	c.ok(err)
	c.equal(last, "end")
	var seen []string
	for v, err := range l.All(ctx) {
		c.ok(err)
		if len(seen) == 0 {
			c.ok(l.Append(ctx, "later"))
		}
		seen = append(seen, v)
	}
	c.equal(seen, []string{"A", "b", "c", "d"})
	for v, err := range l.All(ctx) {
		c.ok(err)
		c.equal(v, "A")
		break
	}
	v, err := l.At(ctx, 4)
	c.ok(err)
	c.equal(v, "later")
	part, err := l.Slice(ctx, 1, 3)
	c.ok(err)
	c.equal(part, []string{"b", "c"})

	for _, i := range []int{-2, -1, 5, math.MaxInt} {
		_, err = l.At(ctx, i)
		c.is(err, manager.ErrNoKey)
		c.is(l.Set(ctx, i, ""), manager.ErrNoKey)
		c.is(l.Delete(ctx, i, 1), manager.ErrNoKey)
	}
	c.is(l.Insert(ctx, -1, ""), manager.ErrNoKey)
	c.is(l.Insert(ctx, 6, ""), manager.ErrNoKey)
	_, err = l.Slice(ctx, 2, 1)
	c.is(err, manager.ErrNoKey)
	c.is(l.Delete(ctx, 3, 5), manager.ErrNoKey)
	c.is(l.Delete(ctx, 3, -1), manager.ErrNoKey)

	found, err := manager.FindList[string](ctx, m, "names")
	c.ok(err)
	n, err := found.Len(ctx)
	c.ok(err)
	c.equal(n, 5)
	_, err = manager.FindList[int](ctx, m, "names")
	c.is(err, manager.ErrType, "List[string]", "List[int]")
	_, err = manager.FindMap[string, int](ctx, m, "names")
	c.is(err, manager.ErrType)
	_, err = manager.FindList[int](ctx, m, "no names")
	c.is(err, manager.ErrNotFound)
	_, err = manager.NewList[int](ctx, m, "names")
	c.is(err, manager.ErrExists, `"names"`)
	_, err = manager.NewList[func()](ctx, m, "")
	c.is(err, xme.ErrEncode)
	_, err = manager.NewList[int](ctx, m.As(manager.Operator{}), "")
	c.is(err, manager.ErrNotAuthorised)

	c.ok(found.Release(ctx))
	c.is(l.Release(ctx), manager.ErrReleased)
	c.is(l.Append(ctx, "z"), manager.ErrReleased)
	for _, err := range l.All(ctx) {
		c.is(err, manager.ErrReleased)
	}
	empty, err := manager.NewList[int](ctx, m, "names") // free again
	c.ok(err)
	_, err = empty.Pop(ctx)
	c.is(err, manager.ErrNoKey, "empty")
}

// feature: M2
func TestMaps(t *testing.T) { everywhere(t, "maps") }

func tryMaps(ctx context.Context, m *manager.Manager, c *check) {
	type key struct {
		A int32
		B uint32
		C string
	}
	d, err := manager.NewMap[key, []int](ctx, m, "d")
	c.ok(err)
	one, two := key{1, 1, "one"}, key{2, 2, "two"}
	c.ok(d.Set(ctx, one, []int{1}))
	c.ok(d.Update(ctx, map[key][]int{one: {1, 1}, two: {2}}))
	v, ok, err := d.Get(ctx, one)
	c.ok(err)
	c.equal([]any{v, ok}, []any{[]int{1, 1}, true})
	old, had, err := d.Swap(ctx, two, []int{22})
	c.ok(err)
	c.equal([]any{old, had}, []any{[]int{2}, true})
	_, had, err = d.Swap(ctx, key{3, 3, ""}, nil)
	c.ok(err)
	c.equal(had, false)
	v, ok, err = d.Get(ctx, key{3, 3, ""})
	c.ok(err)
	c.equal([]any{v, ok}, []any{[]int(nil), true})
	had, err = d.Delete(ctx, key{3, 3, ""})
	c.ok(err)
	c.equal(had, true)
	had, err = d.Delete(ctx, key{3, 3, ""})
	c.ok(err)
	c.equal(had, false)
	_, ok, err = d.Get(ctx, key{3, 3, ""})
	c.ok(err)
	c.equal(ok, false)
	all, err := d.All(ctx)
	c.ok(err)
	c.equal(maps.Collect(all), map[key][]int{one: {1, 1}, two: {22}})
	keys, err := d.Keys(ctx)
	c.ok(err)
	slices.SortFunc(keys, func(a, b key) int { return int(a.A - b.A) })
	c.equal(keys, []key{one, two})
	n, err := d.Len(ctx)
	c.ok(err)
	c.equal(n, 2)

	f, err := manager.NewMap[string, float32](ctx, m, "")
	c.ok(err)
	sum, err := manager.AddTo(ctx, f, "x", 1.5)
	c.ok(err)
	c.equal(sum, float32(1.5))
	sum, err = manager.AddTo(ctx, f, "x", -0.25)
	c.ok(err)
	c.equal(sum, float32(1.25))
	small, err := manager.NewMap[int, int8](ctx, m, "")
	c.ok(err)
	c.ok(small.Set(ctx, 1, 127))
	wrapped, err := manager.AddTo(ctx, small, 1, 2)
	c.ok(err)
	c.equal(wrapped, int8(-127))

	again, err := manager.FindMap[key, []int](ctx, m, "d")
	c.ok(err)
	_, err = manager.FindMap[key, int](ctx, m, "d")
	c.is(err, manager.ErrType)
	_, err = manager.FindList[int](ctx, m, "d")
	c.is(err, manager.ErrType)
	_, err = manager.NewMap[key, int](ctx, m, "d")
	c.is(err, manager.ErrExists)
	_, err = manager.NewMap[struct {
		A int8
		B int64
	}, int](ctx, m, "")
	c.is(err, xme.ErrEncode, "gaps")
	_, err = manager.NewMap[struct{ P *int }, int](ctx, m, "")
	c.is(err, xme.ErrEncode, "field P")
	c.ok(again.Release(ctx))
	c.is(d.Set(ctx, one, nil), manager.ErrReleased)
	_, err = d.All(ctx)
	c.is(err, manager.ErrReleased)
}

// holder is an argument and result with handles.
type holder struct {
	List *manager.List[*shm.Array[int]]
	Map  *manager.Map[string, int]
}

var addAll = xme.Register("addAll", func(ctx context.Context, in holder) (holder, error) {
	for a, err := range in.List.All(ctx) {
		if err != nil {
			return in, err
		}
		a.Slice()[0]++
		if err := a.Close(); err != nil {
			return in, err
		}
	}
	_, err := manager.AddTo(ctx, in.Map, "calls", 1)
	return in, err
})

// feature: M2
func TestCollectionsInTasks(t *testing.T) {
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			ctx, m, x, c := t.Context(), open(t), on(t), &check{}
			a, err := shm.NewArray[int](1)
			c.ok(err)
			list, err := manager.NewList(ctx, m, "", a, a)
			c.ok(err)
			counts, err := manager.NewMap[string, int](ctx, m, "")
			c.ok(err)
			var g sync.WaitGroup
			for range 8 {
				g.Go(func() {
					out, err := addAll.Call(ctx, x, holder{list, counts})
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := manager.AddTo(ctx, out.Map, "back", 1); err != nil {
						t.Error(err)
					}
				})
			}
			g.Wait()
			all, err := counts.All(ctx)
			c.ok(err)
			c.equal(maps.Collect(all), map[string]int{"calls": 8, "back": 8})
			c.ok(a.Close())
			for _, err := range c.faults {
				t.Error(err)
			}
		})
	}
}

// feature: M2
func TestAddToCounts(t *testing.T) {
	ctx, m := t.Context(), open(t)
	counts, err := manager.NewMap[string, int](ctx, m, "")
	if err != nil {
		t.Fatal(err)
	}
	const adders, each = 8, 2000
	var g sync.WaitGroup
	for range adders {
		g.Go(func() {
			for range each {
				if _, err := manager.AddTo(ctx, counts, "n", 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	g.Wait()
	if n, _, err := counts.Get(ctx, "n"); n != adders*each || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
}
