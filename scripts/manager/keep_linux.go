package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/manager"
)

// keepOn begins a turn, in the table and in the ledger, and has it kept, again and again.
func (s *soak) keepOn(ctx context.Context, b *bearer) (keeps int) {
	rng := rand.New(rand.NewPCG(s.seed, 5))
	for time.Now().UnixNano() < b.End {
		<-time.After(time.Duration(rng.Int64N(int64(s.every / 2))))
		short, cancel := context.WithTimeout(ctx, atOnce)
		err := b.keepOnce(short)
		cancel()
		switch {
		case err == nil:
			keeps++
		case !errors.Is(err, manager.ErrLost):
			s.wrong("who keeps: %v", err)
			return keeps
		}
	}
	return keeps
}

// keepOnce has a turn kept. What it reads before it keeps is kept, if the process does not die in between: that shows in the turn, which is then the
// one before.
func (b *bearer) keepOnce(ctx context.Context) error {
	turn := atomic.AddInt64(b.word(begunTurn), 1)
	if err := b.M.Update(ctx, manager.Put("left", turn), manager.Put("right", turn)); err != nil {
		return err
	}
	l, err := ledgerTurn.Call(ctx, b.Ledger, turn)
	if err != nil {
		return err
	}
	sum, _, err := b.Map.Get(ctx, "sum")
	if err != nil {
		return err
	}
	if err := b.M.Keep(ctx); err != nil {
		return err
	}
	// It may have died and come back unseen before it kept; not if the turn is still there in both.
	table, err := manager.Get[int64](ctx, b.M, "left")
	if err != nil {
		return err
	}
	after, err := ledgerAdd.Call(ctx, b.Ledger, 0)
	if err != nil {
		return err
	}
	if table != turn || after.Generation != turn {
		return manager.ErrLost
	}
	atomic.StoreInt64(b.word(keptSum), l.N)
	atomic.StoreInt64(b.word(keptMap), sum)
	atomic.StoreInt64(b.word(keptTurn), turn)
	return nil
}

// watchOn watches the table until the end, anew whenever the process dies.
func (s *soak) watchOn(ctx context.Context, b *bearer) (events int) {
	ctx, cancel := context.WithDeadline(ctx, time.Unix(0, b.End))
	defer cancel()
	for ctx.Err() == nil {
		kept := atomic.LoadInt64(b.word(keptTurn))
		for e, err := range manager.Watch(ctx, b.M, "left", "right") {
			if err != nil {
				if !errors.Is(err, manager.ErrLost) && ctx.Err() == nil {
					s.wrong("who watches: %v", err)
					return events
				}
				break
			}
			events++
			got, err := manager.As[int64](e.Value)
			if err == nil && !strings.HasPrefix(e.Key, "left") && e.Key != "right" {
				err = errors.New("another key: " + e.Key)
			}
			if err = errors.Join(err, b.between("what is watched", got, kept, begunTurn)); err != nil {
				s.wrong("who watches: %s, deleted: %t: %v", e.Key, e.Deleted, err)
			}
		}
	}
	return events
}
