package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// pairs is how many there are: of each the second word is the first one's complement, and all are alike.
const pairs = 500

// pairJob has a worker write the pairs, or read them, until it is over.
type pairJob struct {
	Lock  *manager.Lock
	Pairs *shm.Array[uint64]
	Write bool
	End   int64
}

var pairRow = xme.Register("pairs", func(ctx context.Context, j pairJob) (n int, err error) {
	ctx, cancel := context.WithDeadline(ctx, time.Unix(0, j.End).Add(patience))
	defer cancel()
	for time.Now().UnixNano() < j.End {
		if j.Write {
			err = j.write(ctx)
		} else {
			err = j.read(ctx)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
})

func (j *pairJob) write(ctx context.Context) error {
	if err := j.Lock.Acquire(ctx); err != nil {
		return err
	}
	p := j.Pairs.Slice()
	a := p[0] + 1
	for i := 0; i < len(p); i += 2 {
		p[i], p[i+1] = a, ^a
	}
	err := j.Lock.Release(ctx)
	<-time.After(50 * time.Microsecond) // readers shall have their turn
	return err
}

func (j *pairJob) read(ctx context.Context) error {
	if err := j.Lock.AcquireRead(ctx); err != nil {
		return err
	}
	p := j.Pairs.Slice()
	a := p[0]
	for i := 0; i < len(p); i += 2 {
		if p[i] != a || p[i+1] != ^a {
			return fmt.Errorf("torn: the first is %#x, pair %d is %#x and %#x", a, i/2, p[i], p[i+1])
		}
	}
	return j.Lock.ReleaseRead(ctx)
}

// readWrite has one worker write and the others read, and somebody who may not write try to.
func readWrite(ctx context.Context, s *soak, d time.Duration) error {
	return withPool(ctx, func(pool *xme.Pool) error {
		return withManager(ctx, manager.Options{Process: true}, func(m *manager.Manager) error {
			writer, err := m.NewOperator(ctx)
			if err != nil {
				return err
			}
			stranger, err := m.NewOperator(ctx)
			if err != nil {
				return err
			}
			// A waiter looks so rarely whether it may: who is refused late has waited.
			lock, err := m.NewLock(ctx, manager.LockOptions{Name: "pairs", Mute: time.Minute})
			if err != nil {
				return err
			}
			if err := lock.Register(ctx, writer); err != nil {
				return err
			}
			return errors.Join(withArray(2*pairs, func(a *shm.Array[uint64]) error {
				for i := 1; i < a.Len(); i += 2 {
					a.Slice()[i] = ^uint64(0)
				}
				s.writeAndRead(ctx, pool, lock, writer, stranger, a, d)
				return nil
			}), lock.Close())
		})
	})
}

func (s *soak) writeAndRead(ctx context.Context, pool *xme.Pool, lock *manager.Lock, writer, stranger manager.Operator, a *shm.Array[uint64], d time.Duration) {
	end := time.Now().Add(d)
	stop := make(chan struct{})
	refused, longest := 0, time.Duration(0)
	over := make(chan struct{})
	go func() {
		defer close(over)
		as := lock.As(stranger)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			begin := time.Now()
			err := as.Acquire(ctx)
			longest = max(longest, time.Since(begin))
			if !errors.Is(err, manager.ErrNotAuthorised) {
				s.wrong("who is not registered wanted to write: %v", err)
				return
			}
			refused++
		}
	}()
	counts := onEach(ctx, s, pairRow, pool, func(row int) pairJob {
		j := pairJob{Lock: lock.As(stranger), Pairs: a, End: end.UnixNano()}
		if row == 0 {
			j.Lock, j.Write = lock.As(writer), true
		}
		return j
	})
	close(stop)
	<-over
	if longest > 5*time.Second {
		s.wrong("who is not registered was refused after %v", longest)
	}
	reads := 0
	for i, n := range counts {
		if n == 0 {
			s.wrong("worker %d never had its turn", i+1)
		}
		reads += n
	}
	reads -= counts[0]
	if got := a.Slice()[0]; got != uint64(counts[0]) {
		s.wrong("written %d times of %d", got, counts[0])
	}
	s.say("%d written, %d read, nothing torn; %d times refused, within %v", counts[0], reads, refused, longest.Round(time.Microsecond))
}
