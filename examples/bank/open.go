package main

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme/shm"
)

// open makes a bank with the same money in all accounts.
func open() (b bank, err error) {
	if b.Lock, err = shm.NewMutex(); err != nil {
		return b, err
	}
	b.Lock.SetName("accounts")
	for _, a := range []struct {
		array **shm.Array[int64]
		size  int
	}{{&b.Accounts, accounts}, {&b.Journal, entrySize}, {&b.Counts, countsSize}} {
		if *a.array, err = shm.NewArray[int64](a.size); err != nil {
			b.close()
			return b, err
		}
	}
	for i := range b.Accounts.Slice() {
		b.Accounts.Slice()[i] = each
	}
	return b, nil
}

func (b *bank) close() {
	_ = b.Lock.Close()
	for _, a := range []*shm.Array[int64]{b.Accounts, b.Journal, b.Counts} {
		if a != nil {
			_ = a.Close()
		}
	}
}

// audit counts the money.
func (b *bank) audit(ctx context.Context) error {
	return b.Lock.Do(ctx, func(died *shm.OwnerDiedError) error {
		if died != nil && b.Journal.Slice()[entry] != 0 {
			b.finish()
		}
		sum, counts := int64(0), b.Counts.Slice()
		for _, a := range b.Accounts.Slice() {
			sum += a
		}
		fmt.Printf("%d transfers, %d of them finished by another; %d in %d accounts\n", counts[made], counts[finished], sum, accounts)
		if sum != accounts*each {
			return fmt.Errorf("it was %d", accounts*each)
		}
		return nil
	})
}
