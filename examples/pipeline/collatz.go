package main

import (
	"context"
	"errors"
	"io"

	"github.com/xenonmp/xme"
)

// steps returns how many steps it takes from v to 1: an even number is halved, of an odd one the triple and one is taken.
func steps(v int64) (n int64) {
	for ; v > 1; n++ {
		if v%2 == 0 {
			v /= 2
		} else {
			v = 3*v + 1
		}
	}
	return n
}

// longestBelow plays all games in one loop.
func longestBelow(n int64) (longest game) {
	for v := int64(1); v <= n; v++ {
		if k := steps(v); k > longest.Steps {
			longest = game{v, k}
		}
	}
	return longest
}

// atEnd is nil for the end of a queue.
func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// endsAll has a stage that fails end the others, which may be waiting for it at a queue.
func endsAll[T any](f *xme.Future[T], cancel context.CancelCauseFunc) *xme.Future[T] {
	go func() {
		if _, err := f.Wait(context.Background()); err != nil {
			cancel(err)
		}
	}()
	return f
}
