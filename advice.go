package xme

import (
	"fmt"
	"math"
	"time"
)

const (
	// shortRow is what a row takes at least that is worth handing over: several times
	// what that costs driver and worker (docs/decisions/0009).
	shortRow = 2 * time.Microsecond
	// shortRows is from how many rows on that matters.
	shortRows = 1000
)

// advice says in one line what the figures ask for: the first of these that holds.
func (s Summary) advice() string {
	rows := s.Done + s.Failed
	switch {
	case rows == 0:
		return "no row has ended."
	case s.Deaths > 0:
		return plural(s.Deaths, "worker death") + ": the errors of the rows that ran (%+v) say why; Retries(n) runs such rows again."
	case 2*s.Failed >= rows:
		return fmt.Sprintf("%d of %d rows failed: look at their errors before you look at times.", s.Failed, rows)
	case s.share(s.Starting) >= 0.25 && s.Restarts > uint64(s.Workers):
		return fmt.Sprintf("%.0f %% of the time went into %d replacements: raise Options.Spares, or do with less of Fresh and Recycle.",
			100*s.share(s.Starting), s.Restarts)
	case s.share(s.Starting) >= 0.25:
		return fmt.Sprintf("start-up took %.0f %% of the time, the rows %.0f %%: keep the pool open for more work, or run this little without one.",
			100*s.share(s.Starting), 100*s.share(s.Working))
	case s.oneRowLast():
		r := s.Slowest[0]
		return fmt.Sprintf("%s took %s of %s, and the others waited for it: split it, or put it first.", r.name(), figure(r.Time), figure(s.Wall))
	case s.Mean < shortRow && rows >= shortRows:
		return fmt.Sprintf("a row takes %s, which is not worth handing it to a process: put many values into each, a slice, say (%d make 1 ms).",
			figure(s.Mean), time.Millisecond/max(s.Mean, 1))
	case s.share(s.Waiting) >= 0.5:
		return fmt.Sprintf("the workers waited for rows %.0f %% of the time: feed them faster (Map or Go, not Call after Call), or take fewer: %d would do.",
			100*s.share(s.Waiting), s.enough())
	}
	return fmt.Sprintf("none: the workers worked %.0f %% of the time.", 100*s.share(s.Working))
}

// oneRowLast reports whether one row took a good part of the time while most of the
// other workers waited.
func (s Summary) oneRowLast() bool {
	if s.Workers < 2 || len(s.Slowest) < 2 && s.Done+s.Failed < 2 {
		return false
	}
	long, next := s.Slowest, time.Duration(0)
	if len(long) == 0 {
		return false
	}
	if len(long) > 1 {
		next = long[1].Time
	}
	slow := long[0].Time
	others := time.Duration(s.Workers-1) * slow
	return slow >= s.Wall*3/10 && slow >= 2*next && s.Waiting >= others/2
}

// enough is how many workers the work would have kept busy.
func (s Summary) enough() int {
	return max(1, int(math.Ceil(float64(s.Working)/float64(max(s.Wall-s.Starting/time.Duration(max(s.Workers, 1)), 1)))))
}
