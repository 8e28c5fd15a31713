package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

const (
	watched = 10_000
	endKey  = "end"
)

type watchJob struct {
	Manager *manager.Manager
	Slow    bool
	Ready   *shm.Value[int32]
}

// seen is what a watcher saw: each key's last revision and value.
type seen struct {
	Events, Missed int
	Last           map[string]uint64
	Value          map[string]int
}

var watchAll = xme.Register("watchAll", func(ctx context.Context, j watchJob) (seen, error) {
	s := seen{Last: map[string]uint64{}, Value: map[string]int{}}
	var rev uint64
	for e, err := range manager.Watch(ctx, j.Manager) {
		if err != nil {
			return s, err
		}
		if e.Rev <= s.Last[e.Key] || e.Rev < rev {
			return s, fmt.Errorf("%s at revision %d after %d, and %d of another", e.Key, e.Rev, s.Last[e.Key], rev)
		}
		rev = e.Rev
		if s.Events++; s.Events == watched { // all that was there
			shm.Add(j.Ready, 1)
		}
		s.Missed += e.Missed
		if e.Key == endKey {
			return s, nil
		}
		v, err := manager.As[int](e.Value)
		if err != nil {
			return s, err
		}
		s.Last[e.Key], s.Value[e.Key] = e.Rev, v
		if j.Slow {
			for begin := time.Now(); time.Since(begin) < 100*time.Microsecond; {
			}
		}
	}
	return s, errors.New("the watch ended")
})

func watch(ctx context.Context, c config) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	keys := make([]string, watched)
	var first []manager.Change
	for i := range keys {
		keys[i] = fmt.Sprintf("key%05d", i)
		first = append(first, manager.Put(keys[i], 0))
	}
	if err := m.Update(ctx, first...); err != nil {
		return err
	}
	ready, err := shm.NewValue[int32](0)
	if err != nil {
		return err
	}
	defer ready.Close()
	var futures []*xme.Future[seen]
	_, err = withPool(ctx, c, false, func(pool *xme.Pool) error {
		for i := range c.workers {
			futures = append(futures, watchAll.Go(ctx, pool, watchJob{m, i%2 == 1, ready}))
		}
		for end := time.Now().Add(time.Minute); ready.Load() < int32(c.workers) && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		rng := rand.New(rand.NewPCG(c.seed, 3))
		changes, value := 0, 0
		for end := time.Now().Add(c.time); time.Now().Before(end); {
			batch := make([]manager.Change, 0, 8)
			at := rng.IntN(watched)
			for i := range 1 + rng.IntN(8) {
				value++
				batch = append(batch, manager.Put(keys[(at+i)%watched], value))
			}
			if err := m.Update(ctx, batch...); err != nil {
				return err
			}
			changes += len(batch)
		}
		if err := manager.Set(ctx, m, endKey, 0); err != nil {
			return err
		}
		events, missed := 0, 0
		for i, f := range futures {
			s, err := f.Wait(ctx)
			if err != nil {
				return fmt.Errorf("watcher %d: %w", i, err)
			}
			events += s.Events
			missed += s.Missed
			if err := compare(ctx, m, keys, s); err != nil {
				return fmt.Errorf("watcher %d: %w", i, err)
			}
			if got := s.Events - 1 - watched + s.Missed; got != changes {
				return fmt.Errorf("watcher %d saw %d changes and missed %d, of %d", i, s.Events-1-watched, s.Missed, changes)
			}
		}
		fmt.Printf("  %d keys, %d changes, %d watchers: %d events seen, %d missed\n", watched, changes, c.workers, events, missed)
		return nil
	})
	return err
}

// compare checks that a watcher ended at each key's last revision.
func compare(ctx context.Context, m *manager.Manager, keys []string, s seen) error {
	all, err := m.Values(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		v, err := manager.As[int](all[k])
		if err != nil {
			return err
		}
		if s.Last[k] != all[k].Rev() || s.Value[k] != v {
			return fmt.Errorf("%s ended at revision %d with %d, it has %d with %d", k, s.Last[k], s.Value[k], all[k].Rev(), v)
		}
	}
	return nil
}

type pairJob struct {
	Lock  *manager.Lock
	Pairs *shm.Array[uint64]
	Write bool
	N     int
}

var pairs = xme.Register("pairs", func(ctx context.Context, j pairJob) (int, error) {
	for i := range j.N {
		take, give := j.Lock.AcquireRead, j.Lock.ReleaseRead
		if j.Write {
			take, give = j.Lock.Acquire, j.Lock.Release
		}
		if err := take(ctx); err != nil {
			return i, err
		}
		p := j.Pairs.Slice()
		for k := 0; k < len(p); k += 2 {
			if j.Write {
				atomic.StoreUint64(&p[k], uint64(i))
				atomic.StoreUint64(&p[k+1], ^uint64(i))
			} else if a, b := atomic.LoadUint64(&p[k]), atomic.LoadUint64(&p[k+1]); a != ^b || a != atomic.LoadUint64(&p[0]) {
				return i, fmt.Errorf("pair %d is torn: %x and %x", k/2, a, b)
			}
		}
		if err := give(ctx); err != nil {
			return i, err
		}
	}
	return j.N, nil
})

func readwrite(ctx context.Context, c config) error {
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := m.NewLock(ctx, manager.LockOptions{})
	if err != nil {
		return err
	}
	defer l.Close()
	writer, err := m.NewOperator(ctx)
	if err != nil {
		return err
	}
	other, err := m.NewOperator(ctx)
	if err != nil {
		return err
	}
	if err := l.Register(ctx, writer); err != nil {
		return err
	}
	mem, err := shm.NewArray[uint64](128)
	if err != nil {
		return err
	}
	defer mem.Close()
	for i := 1; i < mem.Len(); i += 2 {
		mem.Slice()[i] = ^uint64(0)
	}
	n := c.n / 10
	jobs := []pairJob{{l.As(writer), mem, true, n}}
	for range c.workers - 1 {
		jobs = append(jobs, pairJob{l.As(other), mem, false, n})
	}
	_, err = withPool(ctx, c, false, func(pool *xme.Pool) error {
		if _, err := rows(ctx, pool, pairs, jobs); err != nil {
			return err
		}
		if _, err := pairs.Call(ctx, pool, pairJob{l.As(other), mem, true, 1}); !errors.Is(err, manager.ErrNotAuthorised) {
			return fmt.Errorf("a second writer got %w", err)
		}
		return nil
	})
	fmt.Printf("  1 writer and %d readers, %d times each\n", c.workers-1, n)
	return err
}
