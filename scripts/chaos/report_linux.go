package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/xenonmp/xme"
)

// report counts what happened. All methods may be called concurrently.
type report struct {
	open    sync.Map // the pools that are open: *xme.Pool
	out     io.Writer
	verbose bool

	rows                       [kinds][outcomes]atomic.Int64
	pools, refused, tables     atomic.Int64 // refused: opens that failed as they may
	kills, stops, bombs        atomic.Int64
	starts, deaths, takenBack  atomic.Int64
	leftovers, ended, disturbs atomic.Int64

	mu         sync.Mutex
	complaints int
	staffed    int             // drivers that had workers when they were killed
	gone       []time.Duration // per killed driver: when its last process was gone
	closes     []time.Duration // what closing a pool took
}

// maxComplaints bounds what is printed; all are counted.
const maxComplaints = 40

// complain records a violation in the round with that seed.
func (r *report) complain(seed uint64, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.complaints++; r.complaints <= maxComplaints {
		fmt.Fprintf(r.out, "VIOLATION in round -seed %d: %s\n", seed, fmt.Sprintf(format, args...))
	}
}

func (r *report) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complaints > 0
}

// say prints a line if it is wanted.
func (r *report) say(format string, args ...any) {
	if r.verbose {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintf(r.out, format+"\n", args...)
	}
}

// beat tells the watchdog that something has ended.
func (r *report) beat() { r.ended.Add(1) }

// ends counts what has ended: also rows of tables that are not read before the table is through, which takes minutes where each
// row costs a process.
func (r *report) ends() uint64 {
	n := uint64(r.ended.Load())
	r.open.Range(func(pool, _ any) bool {
		s := pool.(*xme.Pool).Stats()
		n += s.Done + s.Failed
		return true
	})
	return n
}

// watchdog ends the program with all stacks if nothing ends for limit.
func (r *report) watchdog(limit time.Duration, done <-chan struct{}) {
	last, since := r.ends(), time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if n := r.ends(); n != last {
			last, since = n, time.Now()
			continue
		}
		if time.Since(since) > limit {
			buf := make([]byte, 16<<20)
			fmt.Fprintf(r.out, "VIOLATION: nothing has ended for %v; all goroutines:\n%s\n", limit, buf[:runtime.Stack(buf, true)])
			r.print(0)
			os.Exit(2)
		}
	}
}

// add takes a pool's counts.
func (r *report) add(s xme.Stats, closing time.Duration) {
	r.starts.Add(int64(s.Starts))
	r.deaths.Add(int64(s.Deaths))
	r.takenBack.Add(int64(s.TakenBack))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closes = append(r.closes, closing)
}

// driver counts a driver that was killed.
func (r *report) driver(took time.Duration, staffed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, took)
	if staffed {
		r.staffed++
	}
}

// wasStaffed reports whether a driver that was killed had workers.
func (r *report) wasStaffed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.staffed > 0
}

// print prints the counts.
func (r *report) print(took time.Duration) {
	w := tabwriter.NewWriter(r.out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "rows\t")
	for _, name := range outcomeNames {
		fmt.Fprintf(w, "%s\t", name)
	}
	fmt.Fprintln(w)
	var total int64
	for k := range kinds {
		fmt.Fprintf(w, "%s\t", specs[k].name)
		for o := range outcomes {
			n := r.rows[k][o].Load()
			total += n
			fmt.Fprintf(w, "%d\t", n)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%d rows in %d tables on %d pools, %d opens refused, %d tables cut short, in %v\n", total, r.tables.Load(), r.pools.Load(), r.refused.Load(), r.disturbs.Load(), took.Round(time.Second))
	fmt.Fprintf(r.out, "%d workers started, %d died, %d rows taken back; the monkey killed %d and stopped %d, rows killed %d just after\n",
		r.starts.Load(), r.deaths.Load(), r.takenBack.Load(), r.kills.Load(), r.stops.Load(), r.bombs.Load())
	fmt.Fprintf(r.out, "closing a pool took %v\n", spread(r.closes))
	fmt.Fprintf(r.out, "drivers killed: the last of their processes was gone after %v; %d had workers\n", spread(r.gone), r.staffed)
	fmt.Fprintf(r.out, "left behind: %d; violations: %d\n", r.leftovers.Load(), r.complaints)
}

// onInterrupt prints the counts and ends the program at a Ctrl-C, until done: the last round may be long where workers are killed as fast as they start.
func (r *report) onInterrupt(begin time.Time, done <-chan struct{}) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	defer signal.Stop(c)
	select {
	case <-done:
		return
	case <-c:
	}
	fmt.Fprintln(r.out, "interrupted; what is under way is not checked to its end")
	r.print(time.Since(begin))
	os.Exit(1)
}

// spread describes durations: how many, the median, the largest.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "- (none)"
	}
	d = slices.Sorted(slices.Values(d))
	return fmt.Sprintf("%v (median of %d), %v at most", d[len(d)/2].Round(10*time.Microsecond), len(d), d[len(d)-1].Round(10*time.Microsecond))
}
