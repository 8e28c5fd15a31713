package main

import (
	"context"
	"runtime"
)

// link is a list's; len is right for every list that has an end.
type link struct{ next *link }

func (l *link) len() int {
	if l == nil {
		return 0
	}
	return 1 + l.next.len()
}

// raise has nothing to recover it where it runs.
func (l *link) raise() { l.next = l }

// race writes to a map from two goroutines until the runtime notices.
func race(ctx context.Context) {
	runtime.GOMAXPROCS(2) // at once, whatever the pool allows
	m := map[int]int{}
	for range 2 {
		go write(m)
	}
	<-ctx.Done()
}

func write(m map[int]int) {
	for {
		m[1]++
	}
}

func hoard() {
	for all := [][]byte{}; ; {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		all = append(all, b)
	}
}
