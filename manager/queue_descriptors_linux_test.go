package manager_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// filler is an object whose method is called again and again with the same memory.
type filler struct{ N int }

func (f *filler) Fill(_ context.Context, a *shm.Array[int]) (int, error) {
	f.N++
	return f.N, a.Use(func(s []int) error { s[0]++; return nil })
}

var (
	fillAgain = manager.Method("fillAgain", (*filler).Fill)

	appendsArray = xme.Register("appendsArray", func(ctx context.Context, in appendsArrayIn) (int, error) {
		for range in.N {
			if _, err := fillAgain.Append(ctx, in.O, in.Array); err != nil {
				return 0, err
			}
		}
		return in.N, nil
	})
)

type appendsArrayIn struct {
	O     *manager.Object[filler]
	Array *shm.Array[int]
	N     int
}

// Calls that are queued, and name the same memory, hold its descriptor once.
//
// feature: G1
func TestQueuedCallsShareADescriptor(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	m := openWith(t, manager.Options{})
	o, err := manager.Share(soon(t), m, "", &filler{})
	must(t, err)
	a, err := shm.NewArray[int](1)
	must(t, err)
	defer a.Close()
	const n = 500
	_, err = appendsArray.Call(soon(t), pool, appendsArrayIn{o, a, 1})
	must(t, err)
	before := descriptors(t)
	_, err = appendsArray.Call(soon(t), pool, appendsArrayIn{o, a, n - 1})
	must(t, err)
	if after := descriptors(t); after > before+n/10 {
		t.Errorf("%d descriptors, %d with %d calls queued", before, after, n)
	}
	g, err := m.StartGuard(soon(t), manager.GuardOptions{Verbose: -1})
	must(t, err)
	_, err = g.Stop(soon(t))
	must(t, err)
	must(t, a.Use(func(s []int) error {
		if s[0] != n {
			t.Errorf("%d calls ran, want %d", s[0], n)
		}
		return nil
	}))
}
