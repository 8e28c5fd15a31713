package manager_test

import (
	"context"
	"errors"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// taker is an object whose method takes locks, and leaves them.
type taker struct{ kept *shm.Mutex }

type takes struct {
	Lock  *manager.Lock
	Mutex *shm.Mutex
	How   string
}

// Take takes both locks. How says what becomes of them.
func (x *taker) Take(ctx context.Context, in takes) (int, error) {
	if in.How == "gives back" {
		return 0, errors.Join(x.kept.Unlock(), x.kept.Close())
	}
	if err := in.Lock.Acquire(ctx); err != nil {
		return 0, err
	}
	mutex := in.Mutex
	if in.How == "keeps" {
		var err error
		if mutex, err = mutex.Retain(); err != nil {
			return 0, err
		}
		x.kept = mutex
	}
	if err := mutex.Lock(ctx); err != nil {
		return 0, err
	}
	if in.How == "panics" {
		panic(in.How)
	}
	return 0, nil
}

var (
	takeLocks = manager.Method("take", (*taker).Take)
	newTaker  = manager.Constructor("newTaker", func(context.Context, int) (*taker, error) { return &taker{}, nil })
	haveTaken = xme.Register("haveTaken", func(ctx context.Context, in haveTakenIn) (int, error) {
		if !in.Queued {
			return takeLocks.Call(ctx, in.O, in.takes)
		}
		f, err := takeLocks.Append(ctx, in.O, in.takes)
		if err != nil {
			return 0, err
		}
		return f.Wait(ctx)
	})
)

type haveTakenIn struct {
	O      *manager.Object[taker]
	Queued bool
	takes
}

// A method of an object elsewhere does not give back locks that came with its call: the next one has them, and is told, while what it has of a handle that it
// has retained is its own.
//
// feature: K6, X1
func TestLockOfAMethodThatForgets(t *testing.T) {
	for _, where := range []struct {
		name    string
		process bool
		open    func(t *testing.T) xme.Executor
	}{
		{"its process", true, func(*testing.T) xme.Executor { return xme.Inline() }},
		{"here", false, func(*testing.T) xme.Executor { return xme.Inline() }},
		{"here, called elsewhere", false, func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) }},
	} {
		t.Run(where.name, func(t *testing.T) {
			x := where.open(t)
			m := openWith(t, manager.Options{Process: where.process})
			o, err := manager.ShareNew(soon(t), m, "", newTaker, 0)
			must(t, err)
			_, err = m.StartGuard(soon(t), manager.GuardOptions{Verbose: -1})
			must(t, err)
			mutex, err := shm.NewMutex()
			must(t, err)
			defer mutex.Close()
			in := haveTakenIn{O: o}
			in.Lock, in.Mutex = newLock(t, m, manager.LockOptions{Kind: manager.Mutex}), mutex
			left := func(err error) {
				t.Helper()
				if died, ok := errors.AsType[*shm.OwnerDiedError](err); !ok || !died.Ended || died.Owner.Func == "" {
					t.Errorf("%s, queued: %v: the next one got %v", in.How, in.Queued, err)
				}
			}
			for _, in.Queued = range []bool{false, true} {
				for _, in.How = range []string{"returns", "panics"} {
					if _, err := haveTaken.Call(soon(t), x, in); in.How == "panics" != errors.Is(err, xme.ErrPanic) {
						t.Fatal(err)
					}
					left(in.Lock.Acquire(soon(t)))
					must(t, in.Lock.Release(soon(t)))
					left(mutex.Lock(soon(t)))
					must(t, mutex.Unlock())
				}
				in.How = "keeps"
				_, err := haveTaken.Call(soon(t), x, in)
				must(t, err)
				left(in.Lock.Acquire(soon(t)))
				must(t, in.Lock.Release(soon(t)))
				if h, ok := mutex.Holder(); !ok || h.Func != "" {
					t.Errorf("it is held by %v, %v", h, ok)
				}
				in.How = "gives back"
				_, err = haveTaken.Call(soon(t), x, in)
				must(t, err)
				must(t, mutex.Lock(soon(t)))
				must(t, mutex.Unlock())
			}
		})
	}
}
