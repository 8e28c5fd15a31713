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

// What is watched: each key's value is how often it had been changed before, deletions counted too.
const (
	watchedKeys = 10_000
	endKey      = "the end"
)

// What a watcher notes of a key.
const (
	noteRev    = iota // the last one seen
	noteSeen          // how many
	noteMissed        // how many it was told to have missed
	notesOf
)

func watchedKey(i int) string { return fmt.Sprintf("key %05d", i) }

// watchJob has a worker watch all keys until it sees the last.
type watchJob struct {
	M     *manager.Manager
	Notes *shm.Array[uint64] // of each key
	Ready *shm.Value[int64]  // how many have seen all keys, of those that are not late
	Busy  time.Duration      // with each event
	Late  time.Duration      // it begins so much later
}

// watched is what a worker saw.
type watched struct{ Events, Missed int }

var watchRow = xme.Register("watch", func(ctx context.Context, j watchJob) (w watched, err error) {
	<-time.After(j.Late)
	last := make([]int, watchedKeys) // the value seen last; -1: none yet
	for i := range last {
		last[i] = -1
	}
	notes, fresh, order := j.Notes.Slice(), watchedKeys, uint64(0)
	for e, err := range manager.Watch(ctx, j.M) {
		if err != nil {
			return w, err
		}
		if e.Rev < order {
			return w, fmt.Errorf("%s: revision %d after %d", e.Key, e.Rev, order)
		}
		order = e.Rev
		if e.Key == endKey {
			return w, nil
		}
		var k int
		if _, err := fmt.Sscanf(e.Key, "key %d", &k); err != nil {
			return w, fmt.Errorf("%q: %w", e.Key, err)
		}
		v := last[k] // of a deletion: what it would be
		if e.Deleted && v >= 0 {
			v += e.Missed + 1
		} else if !e.Deleted {
			if v, err = manager.As[int](e.Value); err != nil {
				return w, err
			}
		}
		n := notes[notesOf*k:][:notesOf]
		if e.Rev <= n[noteRev] || e.Deleted == (e.Rev == e.Value.Rev()) {
			return w, fmt.Errorf("%s: revision %d (deleted: %t, its value's %d) after %d", e.Key, e.Rev, e.Deleted, e.Value.Rev(), n[noteRev])
		}
		if last[k] >= 0 && v-last[k]-1 != e.Missed {
			return w, fmt.Errorf("%s: change %d after %d, with %d missed", e.Key, v, last[k], e.Missed)
		}
		if last[k] < 0 && !e.Deleted {
			if fresh--; fresh == 0 && j.Late == 0 {
				shm.Add(j.Ready, 1)
			}
		} else if last[k] >= 0 {
			n[noteSeen]++
		}
		last[k], n[noteRev] = v, e.Rev
		n[noteMissed] += uint64(e.Missed)
		w.Events++
		w.Missed += e.Missed
		if fresh == 0 {
			for begin := time.Now(); j.Busy > 0 && time.Since(begin) < j.Busy; {
			}
		}
	}
	return w, errors.New("the watch ended without an error")
})

// watches has workers watch all keys, wherever the manager lives.
func watches(ctx context.Context, s *soak, d time.Duration) error {
	return withPool(ctx, func(pool *xme.Pool) error {
		for _, f := range forms {
			if err := withManager(ctx, f.o, func(m *manager.Manager) error { return s.watchKeys(ctx, pool, m, f.name, d) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// watchKeys has workers watch while keys are changed and deleted. Two of them are late, and two are slow.
func (s *soak) watchKeys(ctx context.Context, pool *xme.Pool, m *manager.Manager, where string, d time.Duration) error {
	began := time.Now()
	p := &pen{m: m, revisions: make([]int, watchedKeys), there: make([]bool, watchedKeys)}
	if err := p.all(ctx); err != nil {
		return err
	}
	ready, err := shm.NewValue[int64](0)
	if err != nil {
		return err
	}
	defer ready.Close()
	return withArray(workers*watchedKeys*notesOf, func(a *shm.Array[uint64]) error {
		const late = 2
		var over atomic.Bool
		done := make(chan []watched)
		go func() {
			defer over.Store(true)
			done <- onEach(ctx, s, watchRow, pool, func(row int) watchJob {
				lo := row * watchedKeys * notesOf
				j := watchJob{M: m, Notes: a.Part(lo, lo+watchedKeys*notesOf), Ready: ready}
				if row >= workers-late {
					j.Late = d / 3
				}
				if row%4 == 1 {
					j.Busy = 100 * time.Microsecond
				}
				return j
			})
		}()
		for begin := time.Now(); ready.Load() < workers-late; {
			if time.Since(begin) > patience || over.Load() {
				return errors.New("the watchers did not see all keys")
			}
			<-time.After(time.Millisecond)
		}
		err := p.write(ctx, rand.New(rand.NewPCG(s.seed, 3)), max(d/2, d-time.Since(began)))
		if err == nil {
			err = p.all(ctx)
		}
		if err = errors.Join(err, manager.Set(ctx, m, endKey, 0)); err != nil {
			return err
		}
		begin := time.Now()
		seen := <-done
		took := time.Since(begin)
		if err := s.lookWatched(ctx, m, where, p, a.Slice(), workers-late); err != nil {
			return err
		}
		w := watched{}
		for _, n := range seen {
			w.Events += n.Events
			w.Missed += n.Missed
		}
		s.say("%s: %d updates of %d keys, %d of them deletions; %d watchers saw %d events and missed %d; the last was through %v after the end",
			where, p.updates, p.changes, p.drops, workers, w.Events, w.Missed, took.Round(time.Millisecond))
		return nil
	})
}

// lookWatched compares what watchers saw with what was written. The first ones have been there from the beginning.
func (s *soak) lookWatched(ctx context.Context, m *manager.Manager, where string, p *pen, notes []uint64, first int) error {
	vs, err := m.Values(ctx)
	if err != nil {
		return err
	}
	for k, n := range p.revisions {
		v := vs[watchedKey(k)]
		if got, err := manager.As[int](v); err != nil || got != n-1 {
			s.wrong("%s: %s: the table has change %d of %d (%v)", where, watchedKey(k), got, n-1, err)
		}
		for w := range workers {
			note := notes[(w*watchedKeys+k)*notesOf:][:notesOf]
			if note[noteRev] != v.Rev() {
				s.wrong("%s: worker %d saw revision %d of %s last, which has %d", where, w+1, note[noteRev], watchedKey(k), v.Rev())
			}
			if got := note[noteSeen] + note[noteMissed]; w < first && got != uint64(n-1) {
				s.wrong("%s: worker %d saw %d changes of %s and missed %d, of %d", where, w+1, note[noteSeen], watchedKey(k), note[noteMissed], n-1)
			}
		}
	}
	return nil
}

// pen writes keys and counts what it writes.
type pen struct {
	m                *manager.Manager
	revisions        []int // of each key
	there            []bool
	updates, changes int
	drops            int
}

// put is the next change of a key.
func (p *pen) put(k int) manager.Change {
	p.revisions[k]++
	p.changes++
	p.there[k] = true
	return manager.Put(watchedKey(k), p.revisions[k]-1)
}

// drop deletes a key.
func (p *pen) drop(k int) manager.Change {
	p.revisions[k]++
	p.changes++
	p.drops++
	p.there[k] = false
	return manager.Drop(watchedKey(k))
}

// all changes every key.
func (p *pen) all(ctx context.Context) error {
	for lo := 0; lo < watchedKeys; lo += 1000 {
		var cs []manager.Change
		for k := lo; k < lo+1000; k++ {
			cs = append(cs, p.put(k))
		}
		p.updates++
		if err := p.m.Update(ctx, cs...); err != nil {
			return err
		}
	}
	return nil
}

// write changes keys at random for a while, one or several at once.
func (p *pen) write(ctx context.Context, rng *rand.Rand, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		n := 1
		if rng.IntN(4) == 0 {
			n = 2 + rng.IntN(60)
		}
		var cs []manager.Change
		at := rng.IntN(watchedKeys)
		for i := range n { // no key twice
			k := (at + i*151) % watchedKeys
			if p.there[k] && rng.IntN(8) == 0 {
				cs = append(cs, p.drop(k))
			} else {
				cs = append(cs, p.put(k))
			}
		}
		p.updates++
		if err := p.m.Update(ctx, cs...); err != nil {
			return err
		}
	}
	return nil
}
