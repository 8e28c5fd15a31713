package shm_test

import (
	"testing"

	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/shm"
)

// everything is an argument with a handle of each kind.
type everything struct {
	Array *shm.Array[float64]
	View  shm.View[uint16]
	Queue *shm.Queue[string]
	Pipe  *shm.Pipe[int]
	Value *shm.Value[[3]int]
	Mutex *shm.Mutex
	Cond  *shm.Cond
	Sem   *shm.Semaphore
	Other *shm.Barrier
}

// FuzzHandles has a peer send anything in place of handles: an error, no panic, and nothing
// is held afterwards.
func FuzzHandles(f *testing.F) {
	codec, err := wire.CodecFor[everything]()
	if err != nil {
		f.Fatal(err)
	}
	a, err := shm.NewArray[float64](10)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = a.Close() })
	q, err := shm.NewQueue[string](3)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = q.Close() })
	v, err := shm.NewValue([3]int{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = v.Close() })
	m := newMutex(f)
	c, err := shm.NewCond(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	sem, barrier := newSemaphore(f, 3), newBarrier(f, 2)
	for _, in := range []everything{{}, {Mutex: m, Cond: c}, {Sem: sem, Other: barrier}, {Array: a, Queue: q, Value: v}, {Array: a.Part(3, 5).ReadOnly()}} {
		p := wire.NewParcel()
		b, err := wire.Append(codec, nil, &in, p)
		if err != nil {
			f.Fatal(err)
		}
		p.Free()
		f.Add(b, uint16(0), byte(0))
		f.Add(b, uint16(3), byte(1))
	}
	used, _ := shm.Usage()
	f.Fuzz(func(t *testing.T, b []byte, at uint16, with byte) {
		if len(b) > 0 {
			b[int(at)%len(b)] ^= with
		}
		p := wire.NewParcel()
		p.Task = true
		var got everything
		if wire.Decode(codec, b, &got, p) == nil {
			if got.Array != nil {
				_ = got.Array.Len()
				_ = got.Array.Slice()
			}
			if got.Queue != nil {
				_ = got.Queue.Len()
			}
			if got.Value != nil {
				_ = got.Value.Load()
			}
			_ = got.View.Slice()
			if got.Mutex != nil {
				_, _ = got.Mutex.TryLock()
			}
			if got.Cond != nil {
				_ = got.Cond.Signal()
				_ = got.Cond.L.Unlock()
			}
			if got.Sem != nil {
				_, _ = got.Sem.TryAcquire(1)
			}
			if got.Other != nil {
				_ = got.Other.Broken()
			}
		}
		p.EndHeld()
		p.CatchFaults(false)
		p.Free()
		if now, _ := shm.Usage(); now != used {
			t.Errorf("%d bytes in use, %d before", now, used)
		}
	})
}
