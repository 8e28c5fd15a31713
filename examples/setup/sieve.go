package main

import (
	"context"
	"iter"
	"os"
	"slices"

	"github.com/xenonmp/xme"
)

// primes tells of each number whether it is prime, and loads how often it was made: in this process.
var (
	primes []bool
	loads  int
)

type nothing struct{}

// sight is what a task sees of what main has set.
type sight struct{ Limit, Numbers int }

var look = xme.Register("look", func(context.Context, nothing) (sight, error) {
	return sight{*limit, len(primes)}, nil
})

// load is for Options.Setup: it runs once in every worker before its first row, in those that replace others too.
var load = xme.Register("load", func(_ context.Context, limit int) (nothing, error) {
	primes = sieve(limit)
	loads++
	return nothing{}, nil
})

// span asks for the primes from From to To-1; Sieve may bring along what is known of the numbers.
type span struct {
	From, To int
	Sieve    []bool
}

var count = xme.Register("count", func(_ context.Context, s span) (int, error) {
	return countIn(s.Sieve[s.From:s.To]), nil
})

// found is how many primes a span has, who says so, and how often he has made his sieve.
type found struct{ Primes, PID, Loads int }

var countHere = xme.Register("countHere", func(_ context.Context, s span) (found, error) {
	return found{countIn(primes[s.From:s.To]), os.Getpid(), loads}, nil
})

// spans cuts the numbers below limit into rows.
func spans(limit, rows int) iter.Seq[span] {
	size := (limit + rows - 1) / rows
	return func(yield func(span) bool) {
		for from := 0; from < limit && yield(span{From: from, To: min(limit, from+size)}); from += size {
		}
	}
}

// sieve finds the primes below n (Eratosthenes).
func sieve(n int) []bool {
	is := slices.Repeat([]bool{true}, n)
	is[0], is[1] = false, false
	for i := 2; i*i < n; i++ {
		for j := i * i; is[i] && j < n; j += i {
			is[j] = false
		}
	}
	return is
}

func countIn(is []bool) (n int) {
	for _, p := range is {
		if p {
			n++
		}
	}
	return n
}
