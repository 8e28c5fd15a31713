package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// pairs is how many there are: of each the second word is the first one's complement, and all are alike.
const pairs = 500

// pairJob has a worker write the pairs, or read them, until it is over, or N times.
type pairJob struct {
	Lock   *manager.Lock
	Pairs  *shm.Array[uint64]
	Told   *shm.Array[uint64] // how often readers, and writers, were told of a death
	Write  bool
	Deadly bool // now and then it kills its own process half-way
	N      int  // 0: any number of times
	Row    int
	Seed   uint64
	End    int64
}

var pairRow = xme.Register("pairs", func(ctx context.Context, j pairJob) (n int, err error) {
	ctx, cancel := context.WithDeadline(ctx, time.Unix(0, j.End).Add(patience))
	defer cancel()
	if over(j.End) {
		return 0, nil
	}
	rng := rand.New(rand.NewPCG(j.Seed, uint64(j.Row)))
	for n < j.N || j.N == 0 && !over(j.End) {
		if j.Write {
			err = j.write(ctx, rng)
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

// told notes a death that a lock was got with; it is an error where nobody dies.
func (j *pairJob) told(err error, who int) (bool, error) {
	if j.N == 0 || !errors.Is(err, shm.ErrOwnerDied) {
		return false, err
	}
	atomic.AddUint64(&j.Told.Slice()[who], 1)
	return true, nil
}

func (j *pairJob) write(ctx context.Context, rng *rand.Rand) error {
	if _, err := j.told(j.Lock.Acquire(ctx), 1); err != nil { // it writes all of it anyway
		return err
	}
	dies := -1
	if j.Deadly && rng.IntN(500) == 0 {
		dies = 2 * rng.IntN(pairs)
	}
	p := j.Pairs.Slice()
	a := p[0] + 1
	for i := 0; i < len(p); i += 2 {
		p[i] = a
		if i == dies {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
		p[i+1] = ^a
	}
	err := j.Lock.Release(ctx)
	<-time.After(50 * time.Microsecond) // readers shall have their turn
	return err
}

func (j *pairJob) read(ctx context.Context) error {
	told, err := j.told(j.Lock.AcquireRead(ctx), 0)
	if err != nil {
		return err
	}
	p := j.Pairs.Slice()
	a := p[0]
	for i := 0; i < len(p) && !told; i += 2 {
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
				s.writeAndRead(ctx, pool, lock, writer, stranger, a, d/2)
				return s.pairsKilled(ctx, pool, lock, writer, stranger, a, d/2)
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

// pairsKilled has rows write and read while workers are killed: who is not told of a death finds nothing torn.
func (s *soak) pairsKilled(ctx context.Context, pool *xme.Pool, lock *manager.Lock, writer, stranger manager.Operator, a *shm.Array[uint64], d time.Duration) error {
	return withArray(2, func(told *shm.Array[uint64]) error {
		const each = 200
		e := disturbed(ctx, s, pairRow, pool, d, each, func(row int, end int64) pairJob {
			j := pairJob{Lock: lock.As(stranger), Pairs: a, Told: told, N: each, Row: row, Seed: s.seed, End: end}
			if row%4 == 0 {
				j.Lock, j.Write, j.Deadly = lock.As(writer), true, true
			}
			return j
		})
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		as := lock.As(writer)
		if err := as.Acquire(short); err != nil && !errors.Is(err, shm.ErrOwnerDied) {
			return err
		}
		t := told.Slice()
		s.say("%d kills and those of writers by their own hand: %d rows, %d of them lost; %d times a writer was told of a death, %d times a reader; nothing else was torn",
			e.kills, e.rows-e.late, e.lost, t[1], t[0])
		return as.Release(short)
	})
}
