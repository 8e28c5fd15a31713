package main

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// bank is what all processes share.
type bank struct {
	Lock     *shm.Mutex
	Accounts *shm.Array[int64]
	Journal  *shm.Array[int64] // what is under way, for whoever gets the lock after a death
	Counts   *shm.Array[int64] // transfers, and those that were finished by another
}

// What stands where in the journal.
const (
	entry = iota // 1: what follows is to be done; 0: nothing is
	from
	to
	fromAfter // what the account is to hold then
	toAfter
	madeAfter
	entrySize
)

const (
	made = iota
	finished
	countsSize
)

const perRow = 10_000

var transfer = xme.Register("transfer", func(ctx context.Context, b bank) (int, error) {
	for i := range perRow {
		if err := b.Lock.Do(ctx, b.move); err != nil {
			return i, err
		}
	}
	return perRow, nil
})

// move moves money from one account to another. It has the lock.
func (b *bank) move(died *shm.OwnerDiedError) error {
	accounts, journal := b.Accounts.Slice(), b.Journal.Slice()
	if died != nil && journal[entry] != 0 {
		b.finish()
		b.Counts.Slice()[finished]++
	}
	journal[from] = rand.Int64N(int64(len(accounts)))
	journal[to] = (journal[from] + 1 + rand.Int64N(int64(len(accounts)-1))) % int64(len(accounts))
	some := rand.Int64N(accounts[journal[from]] + 1)
	journal[fromAfter] = accounts[journal[from]] - some
	journal[toAfter] = accounts[journal[to]] + some
	journal[madeAfter] = b.Counts.Slice()[made] + 1
	atomic.StoreInt64(&journal[entry], 1) // from here on it will be done, if not by this process
	b.finish()
	return nil
}

// finish does what the journal says. To do so twice is no different from once.
func (b *bank) finish() {
	accounts, journal := b.Accounts.Slice(), b.Journal.Slice()
	accounts[journal[from]] = journal[fromAfter]
	accounts[journal[to]] = journal[toAfter]
	b.Counts.Slice()[made] = journal[madeAfter]
	atomic.StoreInt64(&journal[entry], 0)
}
