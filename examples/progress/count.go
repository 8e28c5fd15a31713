package main

import (
	"context"

	"github.com/xenonmp/xme"
)

// span is the numbers from From up to To, without it.
type span struct{ From, To int }

// count counts the primes in a span with a sieve of its own (the segmented sieve of Eratosthenes).
var count = xme.Register("count", func(ctx context.Context, s span) (int, error) {
	composite := make([]bool, s.To-s.From)
	for p := 2; p*p < s.To; p++ {
		for n := max(p*p, (s.From+p-1)/p*p); n < s.To; n += p {
			composite[n-s.From] = true
		}
	}
	primes := 0
	for i, c := range composite {
		if !c && s.From+i > 1 {
			primes++
		}
	}
	if s.From == 0 {
		xme.Logger(ctx).Info("the first span", "primes", primes)
	}
	return primes, nil
})
