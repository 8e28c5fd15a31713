package main

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// seat is what one philosopher has.
type seat struct {
	First, Second *shm.Mutex
	Seated        *shm.Barrier  // for all, with their first forks in hand
	Patience      time.Duration // 0: it has no end
}

// dine takes both forks. If it waited for the second in vain, it says why, puts the first down, and tries again.
var dine = xme.Register("dine", func(ctx context.Context, s seat) (why string, err error) {
	if err := s.First.Lock(ctx); err != nil {
		return "", err
	}
	if s.Seated != nil {
		if _, err := s.Seated.Wait(ctx); err != nil {
			return "", errors.Join(err, s.First.Unlock())
		}
	}
	patient, cancel := ctx, func() {}
	if s.Patience > 0 {
		patient, cancel = context.WithTimeout(ctx, s.Patience)
	}
	err = s.Second.Lock(patient)
	cancel()
	if errors.Is(err, shm.ErrDeadlock) {
		why = err.Error()
		if err = s.First.Unlock(); err == nil { // another has it next
			err = s.Second.Lock(ctx)
		}
		if err == nil {
			err = s.First.Lock(ctx)
		}
	}
	if err != nil {
		return why, err
	}
	return why, errors.Join(s.First.Unlock(), s.Second.Unlock()) // it has eaten
})
