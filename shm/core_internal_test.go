package shm

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme/internal/region"
)

// The last use of a handle may end while its task's end is being told: what is told of that use comes before the reference goes.
func TestUseEndsWithItsTask(t *testing.T) {
	c := &core{}
	if err := open(c, 100, region.Locks); err != nil {
		t.Fatal(err)
	}
	c.lent, c.counted = true, c.region.Lend()
	var order []string
	c.leaves = func() { order = append(order, "leaves") }
	c.stays = func() {
		c.unuse()
		order = append(order, "stays")
	}
	if err := c.enter(); err != nil {
		t.Fatal(err)
	}
	if e := (*ender)(c); e.End() {
		e.Leave()
	}
	if want := []string{"stays", "leaves"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// However uses, closes and the end of a task meet, the reference is given back once, after the last use.
func TestGivenBackOnce(t *testing.T) {
	const rounds, users = 2000, 3
	for range rounds {
		c := &core{}
		if err := open(c, 100, region.Plain); err != nil {
			t.Fatal(err)
		}
		r := c.region
		r.Retain() // the test's own
		var inside, given atomic.Int32
		c.leaves = func() {
			given.Add(1)
			if n := inside.Load(); n != 0 {
				t.Errorf("%d use what is given back", n)
			}
		}
		var all sync.WaitGroup
		for range users {
			all.Go(func() {
				for c.enter() == nil {
					inside.Add(1)
					runtime.Gosched()
					inside.Add(-1)
					c.unuse()
				}
			})
			all.Go(func() {
				for {
					held, err := c.hold()
					if err != nil {
						return
					}
					held.Release()
					runtime.Gosched()
				}
			})
		}
		all.Go(func() {
			if e := (*ender)(c); e.End() {
				e.Leave()
			}
		})
		all.Go(func() { _ = c.close() })
		all.Wait()
		if err := c.close(); err != nil || given.Load() != 1 || !c.gone() {
			t.Fatalf("given back %d times, %v", given.Load(), err)
		}
		if !r.RetainLive() {
			t.Fatal("given back more often than it was taken")
		}
		r.Release()
		r.Release()
		if r.RetainLive() {
			t.Fatal("not given back")
		}
	}
}
