package xme

import (
	"fmt"
	"strings"
	"time"
)

// Summary says what a pool did with its time. Its JSON keys are in lower case and will
// not change; times are in nanoseconds.
type Summary struct {
	Wall     time.Duration `json:"wall_ns"` // from Open until now, or until Close
	Workers  int           `json:"workers"` // ranks
	Done     uint64        `json:"done"`    // calls, as in Stats; so are the next two
	Failed   uint64        `json:"failed"`
	Retried  uint64        `json:"retried"`
	Starts   uint64        `json:"starts"` // processes
	Restarts uint64        `json:"restarts"`
	Deaths   uint64        `json:"deaths"`
	Start    time.Duration `json:"start_ns"` // mean time from a process's start until it was ready, setup included

	// How the ranks spent their time, which is Workers times Wall: without a process that
	// was ready, ready but without a row, running rows. Rows of services, and rows that
	// ran in processes beside the ranks, are not included.
	Starting time.Duration `json:"starting_ns"`
	Waiting  time.Duration `json:"waiting_ns"`
	Working  time.Duration `json:"working_ns"`

	Mean    time.Duration `json:"mean_ns"` // time that a row ran; 0: none has ended
	Slowest []SlowRow     `json:"slowest"` // the rows that ran longest, at most five, slowest first
	Advice  string        `json:"advice"`  // one line on what the figures mean
}

// SlowRow is one run of a row. Rows of less than 4 µs, services, and rows still running
// are not considered.
type SlowRow struct {
	Func   string        `json:"function"` // the full name
	Row    int           `json:"row"`      // its index; -1: a single call, or one made by a task
	Time   time.Duration `json:"time_ns"`  // as in FuncStats
	Rank   int           `json:"rank"`
	Failed bool          `json:"failed"` // with an error of its own, or because its worker died
}

// Summary returns what the pool has done with its time so far or, after Close, in all.
// The result's String method returns a small block of text; see [Options].Summary.
func (p *Pool) Summary() Summary {
	a, stats := p.opened().Account(), p.p.Stats()
	s := Summary{
		Wall: a.Wall, Workers: p.opts.Workers, Done: stats.Done, Failed: stats.Failed, Retried: stats.Retried,
		Starts: stats.Starts, Restarts: stats.Restarts, Deaths: stats.Deaths, Start: a.Start,
		Starting: a.Starting, Working: a.Working, Slowest: []SlowRow{},
	}
	waiting := float64(s.Workers)*float64(s.Wall) - float64(s.Starting) - float64(s.Working) // which may be centuries
	s.Waiting = time.Duration(min(max(waiting, 0), 1<<62))
	var busy time.Duration
	var runs uint64
	for _, f := range stats.Functions {
		busy += f.Busy
		runs += f.Done + f.FailedRuns
	}
	if runs > 0 {
		s.Mean = busy / time.Duration(runs)
	}
	for _, r := range a.Slowest {
		s.Slowest = append(s.Slowest, SlowRow{Func: table.at(r.Func).nameOf(), Row: r.Row, Time: r.Time, Rank: r.Rank, Failed: r.Failed})
	}
	s.Advice = s.advice()
	return s
}

// String formats s as a block of about ten lines.
func (s Summary) String() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s  %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "xme: %s with %s\n", figure(s.Wall), plural(s.Workers, "worker"))
	each := ""
	if s.Mean > 0 {
		each = fmt.Sprintf("; %s each", figure(s.Mean))
	}
	line("rows", "%d done, %d failed, %d retried%s", s.Done, s.Failed, s.Retried, each)
	line("processes", "%d started in %s each, %s", s.Starts, figure(s.Start), plural(s.Deaths, "death"))
	line("workers", "%.0f %% starting, %.0f %% waiting, %.0f %% working", 100*s.share(s.Starting), 100*s.share(s.Waiting), 100*s.share(s.Working))
	for i, r := range s.Slowest {
		what, failed := "slowest", ""
		if i > 0 {
			what = ""
		}
		if r.Failed {
			failed = ", failed"
		}
		line(what, "%s: %s on rank %d%s", r.name(), figure(r.Time), r.Rank, failed)
	}
	line("advice", "%s", s.Advice)
	return b.String()
}

// share is what part of the ranks' time d is.
func (s Summary) share(d time.Duration) float64 {
	return float64(d) / float64(max(s.Starting+s.Waiting+s.Working, 1))
}

func (r SlowRow) name() string {
	if r.Row < 0 {
		return "a call of " + r.Func
	}
	return fmt.Sprintf("row %d of %s", r.Row, r.Func)
}

// figure prints a time with three figures, from a minute on to the second.
func figure(d time.Duration) string {
	unit := time.Duration(1)
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

func plural[N int | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printSummary prints the summary once, behind all that the workers printed.
func (p *Pool) printSummary() {
	if !p.opts.Summary {
		return
	}
	p.summary.Do(func() {
		p.out.block([]byte(p.Summary().String()))
	})
}
