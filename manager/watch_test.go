package manager_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// feature: X2
func TestWatch(t *testing.T) { everywhere(t, "watch") }

func tryWatch(ctx context.Context, m *manager.Manager, c *check) {
	c.ok(m.Update(ctx, manager.Put("b", 1), manager.Put("a", 1)))
	c.ok(manager.Set(ctx, m, "gone", 1))
	c.ok(m.Table().Delete(ctx, "gone"))
	c.ok(manager.Set(ctx, m, "a", 2))
	c.ok(manager.Set(ctx, m, "skipped", 2))
	next, stop := iter.Pull2(manager.Watch(ctx, m, "a", "b*", "gone"))
	defer stop()
	// want says what comes next.
	want := func(key string, value, missed int) {
		e, err, _ := next()
		c.ok(err)
		have := 0
		if !e.Deleted {
			have, err = manager.As[int](e.Value)
			c.ok(err)
			c.equal(e.Value.Rev(), e.Rev)
		}
		if e.Key != key || have != value || e.Missed != missed {
			c.fault("got %q %d missed %d, want %q %d missed %d", e.Key, have, e.Missed, key, value, missed)
		}
	}
	want("b", 1, 0)
	want("a", 2, 0)
	for i := range 5 {
		c.ok(manager.Set(ctx, m, "a", 10+i))
	}
	c.ok(manager.Set(ctx, m, "skipped", 3))
	c.ok(manager.Set(ctx, m, "bb", 20))
	want("a", 14, 4)
	want("bb", 20, 0)
	c.ok(manager.Set(ctx, m, "a", 15))
	c.ok(m.Table().Delete(ctx, "bb", "a"))
	want("bb", 0, 0)
	want("a", 0, 1)
	c.ok(manager.Set(ctx, m, "a", 16))
	want("a", 16, 0)
	c.ok(manager.Set(ctx, m, "b2", 1))
	c.ok(m.Table().Clear(ctx))
	c.ok(manager.Set(ctx, m, "b3", 1))
	c.ok(manager.Set(ctx, m, "gone", 7))
	deleted := map[string]int{}
	for range 3 {
		e, err, _ := next()
		c.ok(err)
		c.equal(e.Deleted, true)
		c.equal(e.Value.Type(), "")
		deleted[e.Key] = e.Missed
	}
	c.equal(deleted, map[string]int{"a": 0, "b": 0, "b2": 1})
	want("b3", 1, 0)
	want("gone", 7, 0)

	// Reserved keys are watched if they are meant.
	c.ok(m.Status(ctx, "text"))
	c.ok(manager.Set(ctx, m, "z", 1))
	for e, err := range manager.Watch(ctx, m) {
		c.ok(err)
		c.equal(strings.HasPrefix(e.Key, "__"), false)
		if e.Key == "z" {
			break
		}
	}
	for e, err := range manager.Watch(ctx, m, manager.StatusKey) {
		c.ok(err)
		c.equal(e.Value.String(), `{"ADMIN":"text"}`)
		break
	}

	// It ends with its context, and says so once.
	ending, cancel := context.WithCancel(ctx)
	events, errs := 0, 0
	for _, err := range manager.Watch(ending, m, "z") {
		if err != nil {
			c.is(err, context.Canceled)
			errs++
			continue
		}
		events++
		cancel()
	}
	c.equal([]int{events, errs}, []int{1, 1})
	cancel()
}

// feature: X2
func TestWatchEndsWithTheManager(t *testing.T) {
	m := open(t)
	if err := manager.Set(t.Context(), m, "a", 1); err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, err := range manager.Watch(t.Context(), m) {
		if err == nil {
			go func() { _ = m.Close() }()
			continue
		}
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], manager.ErrClosed) {
		t.Errorf("got %v", errs)
	}
}

// watched is what a watcher saw of a key.
type watched struct {
	Changes int // that were yielded or missed
	Value   int
	Deleted bool
}

type watching struct {
	M      *manager.Manager
	Number int
	// Behind has the watcher wait, before it goes on, until the key "half" is there.
	Behind bool
}

// watcher watches from the key "begin" until the key "end", having said that it has begun.
var watcher = xme.Register("watcher", func(ctx context.Context, in watching) (map[string]watched, error) {
	seen, revs, last := map[string]watched{}, map[string]uint64{}, uint64(0)
	for e, err := range manager.Watch(ctx, in.M, "begin", "end", "key *") {
		if err != nil {
			return nil, err
		}
		if e.Rev <= revs[e.Key] || e.Rev < last {
			return nil, fmt.Errorf("%q: revision %d after %d, and %d of any", e.Key, e.Rev, revs[e.Key], last)
		}
		revs[e.Key], last = e.Rev, e.Rev
		switch e.Key {
		case "begin":
			if err := manager.Set(ctx, in.M, fmt.Sprint("ready ", in.Number), 1); err != nil {
				return nil, err
			}
			if in.Behind {
				for _, err := range manager.Watch(ctx, in.M, "half") {
					if err != nil {
						return nil, err
					}
					break
				}
			}
			continue
		case "end":
			return seen, nil
		}
		w := watched{Changes: seen[e.Key].Changes + 1 + e.Missed, Deleted: e.Deleted}
		if !e.Deleted {
			if w.Value, err = manager.As[int](e.Value); err != nil {
				return nil, err
			}
		}
		seen[e.Key] = w
	}
	return nil, errors.New("the watch ended by itself")
})

// feature: X2
func TestWatchers(t *testing.T) {
	const watchers, keys, changes = 8, 500, 4000
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			ctx, m := t.Context(), open(t)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(manager.Set(ctx, m, "begin", 1))
			var results []*xme.Future[map[string]watched]
			x := on(t)
			for i := range watchers {
				results = append(results, watcher.With(xme.Service()).Go(ctx, x, watching{m, i, i%2 == 1}))
			}
			ready := 0
			for _, err := range manager.Watch(ctx, m, "ready *") {
				must(err)
				if ready++; ready == watchers {
					break
				}
			}
			// Each key is changed by one writer, so that its last change is known.
			want, mu := map[string]watched{}, sync.Mutex{}
			var g sync.WaitGroup
			for w := range 2 {
				g.Go(func() {
					r := rand.New(rand.NewPCG(1, uint64(w)))
					for i := range changes / 2 {
						key := fmt.Sprintf("key %d", r.IntN(keys/2)*2+w)
						mu.Lock()
						k := want[key]
						mu.Unlock()
						change := manager.Put(key, i)
						if k.Changes > 0 && !k.Deleted && r.IntN(4) == 0 {
							change, k.Deleted, k.Value = manager.Drop(key), true, 0
						} else {
							k.Deleted, k.Value = false, i
						}
						k.Changes++
						if err := m.Update(ctx, change); err != nil {
							t.Error(err)
						}
						mu.Lock()
						want[key] = k
						mu.Unlock()
						if w == 0 && i == changes/4 {
							if err := manager.Set(ctx, m, "half", 1); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			g.Wait()
			must(manager.Set(ctx, m, "end", 1))
			for i, f := range results {
				got, err := f.Wait(ctx)
				if err != nil || !maps.Equal(got, want) {
					t.Errorf("watcher %d: %v, %d keys, want %d", i, err, len(got), len(want))
				}
			}
		})
	}
}

// feature: X2
func TestWatchOfAllThatIsThere(t *testing.T) {
	ctx, m, c := t.Context(), open(t), &check{}
	const keys = 10_000
	for i := range keys {
		c.ok(manager.Set(ctx, m, fmt.Sprint(i), i))
	}
	big := make([]manager.Change, 600) // more than one answer has
	for i := range big {
		big[i] = manager.Put(fmt.Sprint("big ", i), strings.Repeat("x", 4000))
	}
	c.ok(m.Update(ctx, big...))
	c.ok(manager.Set(ctx, m, "end", strings.Repeat("x", 3<<20)))
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			seen, last := map[string]bool{}, uint64(0)
			for e, err := range manager.Watch(ctx, m) {
				if err != nil || seen[e.Key] || e.Rev < last || e.Missed != 0 {
					t.Errorf("%q at %d after %d: %v", e.Key, e.Rev, last, err)
				}
				seen[e.Key], last = true, e.Rev
				if e.Key == "end" {
					break
				}
			}
			if len(seen) != keys+len(big)+1 {
				t.Errorf("saw %d keys", len(seen))
			}
		})
	}
	g.Wait()
	for _, err := range c.faults {
		t.Error(err)
	}
}

// feature: X2
func TestWatchBehindForgottenDeletions(t *testing.T) {
	ctx, m, c := t.Context(), open(t), &check{}
	const keys, others = 300, 70_000
	var want []string
	for i := range keys {
		want = append(want, fmt.Sprint("key ", i))
		c.ok(manager.Set(ctx, m, want[i], i))
	}
	c.ok(manager.Set(ctx, m, "kept", 1))
	slices.Sort(want)
	var gone []string
	revs := map[string]uint64{}
watching:
	for e, err := range manager.Watch(ctx, m, "key *", "kept", "end") {
		c.ok(err)
		if e.Rev <= revs[e.Key] {
			t.Errorf("%q: revision %d after %d", e.Key, e.Rev, revs[e.Key])
		}
		revs[e.Key] = e.Rev
		switch {
		case e.Deleted:
			gone = append(gone, e.Key)
		case e.Key == "end":
			break watching
		case e.Key == "kept":
			c.ok(m.Table().Delete(ctx, want...))
			changes := make([]manager.Change, others)
			for i := range changes {
				changes[i] = manager.Put(fmt.Sprint("other ", i), 1)
			}
			c.ok(m.Update(ctx, changes...))
			for i := range changes {
				changes[i] = manager.Drop(fmt.Sprint("other ", i))
			}
			c.ok(m.Update(ctx, changes...))
			c.ok(manager.Set(ctx, m, want[7], 1)) // there again: it is not deleted
			c.ok(manager.Set(ctx, m, "end", 1))
		}
	}
	slices.Sort(gone)
	if w := slices.Delete(slices.Clone(want), 7, 8); !slices.Equal(gone, w) {
		t.Errorf("%d keys are deleted, want %d", len(gone), len(w))
	}
	for _, err := range c.faults {
		t.Error(err)
	}
}
