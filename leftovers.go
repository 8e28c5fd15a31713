package xme

import (
	"log/slog"
	"runtime"
)

// leftovers notices goroutines that rows leave behind: a warm worker keeps them until it ends.
type leftovers struct {
	rows uint64
	base int // goroutines before the second row
	said bool
}

// manyLeft is how many are worth a line: libraries keep some.
const manyLeft = 100

// begin is called before each row, one at a time. It counts before rows whose number is a
// power of two, and tells of what it finds once: on a goroutine of its own, for the link's
// lock is held, and a handler may be the user's.
func (l *leftovers) begin(rank int) {
	if l.rows++; l.rows&(l.rows-1) != 0 || l.rows == 1 || l.said {
		return
	}
	n := runtime.NumGoroutine()
	if l.rows == 2 {
		l.base = n
	}
	if left := n - l.base; left >= manyLeft {
		l.said = true
		go slog.Warn("rows that have ended leave goroutines behind in this worker, which live until it ends: end them, or see xme.Options.Recycle and xme.Fresh",
			"goroutines", left, "rows", l.rows-1, "rank", rank)
	}
}
