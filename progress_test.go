package xme_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// errand is a row that takes its time and fails that many times, -1: always.
type errand struct {
	Takes time.Duration
	Fails int
	Key   int64 // of all attempts at one that fails some times: newKey's
}

// errandTries counts those at an errand, in this process, by its key.
var errandTries struct {
	sync.Mutex
	last int64
	at   map[int64]int
}

func newKey() int64 {
	errandTries.Lock()
	defer errandTries.Unlock()
	errandTries.last++
	return errandTries.last
}

// attempt counts one more.
func attempt(key int64) int {
	errandTries.Lock()
	defer errandTries.Unlock()
	if errandTries.at == nil {
		errandTries.at = map[int64]int{}
	}
	errandTries.at[key]++
	return errandTries.at[key]
}

var runsErrand = xme.Register("runsErrand", func(ctx context.Context, e errand) (int, error) {
	select {
	case <-time.After(e.Takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if e.Fails < 0 || e.Fails > 0 && attempt(e.Key) <= e.Fails {
		return 0, errors.New("this attempt fails")
	}
	return 1, nil
})

// drain ranges over results that are not the test's matter.
func drain[T any](rows iter.Seq2[T, error]) {
	for _, err := range rows {
		_ = err
	}
}

// observed keeps what a hook is told.
type observed struct {
	mu     sync.Mutex
	inside bool
	list   []xme.Progress
}

func (o *observed) hook(p xme.Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inside {
		panic("called twice at a time")
	}
	o.inside = true
	o.list = append(o.list, p)
	o.inside = false
}

// last returns what a run was told when it was over, having checked that this came once
// and last.
func (o *observed) last(t *testing.T, run int) xme.Progress {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var of []xme.Progress
	for _, p := range o.list {
		if p.Run == run {
			of = append(of, p)
		}
	}
	if n := slices.IndexFunc(of, func(p xme.Progress) bool { return p.Over }); len(of) == 0 || n != len(of)-1 {
		t.Fatalf("run %d: %d calls, the first with Over is call %d; want the last", run, len(of), n)
	}
	return of[len(of)-1]
}

// wantProgress compares the counts of two.
func wantProgress(t *testing.T, got, want xme.Progress) {
	t.Helper()
	got.Elapsed, got.Rate, got.Left = 0, 0, 0
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// progressOn are executors whose clocks are a bubble's.
var progressOn = map[string]func(*testing.T) xme.Executor{
	"pool":   func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 2}) },
	"inline": func(*testing.T) xme.Executor { return xme.Inline() },
	"other":  func(*testing.T) xme.Executor { return apart{} },
}

// apart runs each call on a goroutine of its own.
type apart struct{}

func (apart) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		go func() { c.Finish(c.Run(c.Context())) }()
	}
	return len(calls), nil
}

// runs are the ways to run rows under a context; each stops early if it is told to.
var runs = map[string]func(ctx context.Context, on xme.Executor, in iter.Seq[errand], most int) error{
	"Map": func(ctx context.Context, on xme.Executor, in iter.Seq[errand], most int) error {
		for _, err := range runsErrand.With(xme.Retries(1)).Map(ctx, on, in) {
			_ = err // some fail
			if most--; most == 0 {
				break
			}
		}
		return nil
	},
	"Unordered": func(ctx context.Context, on xme.Executor, in iter.Seq[errand], most int) error {
		for range runsErrand.With(xme.Retries(1)).Unordered(ctx, on, in) {
			if most--; most == 0 {
				break
			}
		}
		return nil
	},
	"Table": func(ctx context.Context, on xme.Executor, in iter.Seq[errand], _ int) error {
		var tab xme.Table
		runsErrand.With(xme.Retries(1)).Add(&tab, in)
		serves.With(xme.Service()).Add(&tab, slices.Values([]gate{}))
		untilEnd.With(xme.Service()).Add(&tab, xme.Repeat(2, 0))
		return tab.Run(ctx, on)
	},
}

var untilEnd = xme.Register("untilEnd", func(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	return 0, nil
})

// A hook is told how far a run is, on any executor, ten times a second at most and once
// at its end: rows, attempts, what is known of the rest. Services are no rows.
//
// feature: S12, S13
func TestProgress(t *testing.T) {
	t.Parallel()
	for name, open := range progressOn {
		for way, run := range runs {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					on := open(t)
					var o observed
					read := make(chan struct{})
					in := func(yield func(errand) bool) {
						for i := range 21 {
							e := errand{Takes: time.Second, Key: newKey()}
							switch i {
							case 3:
								e.Fails = 1
							case 5:
								e.Fails = -1
							case 20:
								<-read // the end of the input is not known before that
							}
							if !yield(e) {
								return
							}
						}
					}
					begun := time.Now()
					late := time.AfterFunc(40*time.Second, func() { close(read) })
					defer late.Stop()
					_ = run(xme.WithProgress(t.Context(), 0, o.hook), on, in, 0)
					took := time.Since(begun)

					last := o.last(t, 1)
					wantProgress(t, last, xme.Progress{Run: 1, Total: 21, Done: 20, Failed: 1, Retried: 2, Over: true})
					if last.Elapsed != took || last.Left != 0 {
						t.Errorf("over after %v with %v left; want %v and 0", last.Elapsed, last.Left, took)
					}
					if n, most := len(o.list), int(took/(100*time.Millisecond))+1; n > most || n < most/2 {
						t.Errorf("%d calls in %v", n, took)
					}
					before := xme.Progress{}
					for _, p := range o.list[:len(o.list)-1] {
						if p.Elapsed < 40*time.Second && (p.Total != -1 || p.Left != -1) {
							t.Fatalf("a total that cannot be known: %+v", p)
						}
						if p.Done < before.Done || p.Failed < before.Failed || p.Retried < before.Retried || p.Elapsed <= before.Elapsed {
							t.Fatalf("%+v after %+v", p, before)
						}
						before = p
					}
					if p := o.list[len(o.list)/4]; p.Done == 0 {
						t.Errorf("no row had ended at %+v", p)
					}
				})
			})
		}
	}
}

// With a total the time that is left is told, from a rate that follows what happens; a
// total that is too small is as good as none.
//
// feature: S13
func TestProgressLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := xme.Inline()
		var o observed
		long := func(n int, d time.Duration) []errand { return slices.Repeat([]errand{{Takes: d}}, n) }
		rows := append(long(100, 100*time.Millisecond), long(100, time.Second)...)
		drain(runsErrand.Map(xme.WithProgress(t.Context(), len(rows), o.hook), on, slices.Values(rows)))
		wantProgress(t, o.last(t, 1), xme.Progress{Run: 1, Total: 200, Done: 200, Over: true})
		at := func(d time.Duration) xme.Progress {
			return o.list[slices.IndexFunc(o.list, func(p xme.Progress) bool { return p.Elapsed >= d })]
		}
		for when, want := range map[time.Duration]struct{ rate, left float64 }{
			8 * time.Second:   {10, 12},
			100 * time.Second: {1, 10},
		} {
			p := at(when)
			if p.Rate < 0.8*want.rate || p.Rate > 1.2*want.rate || p.Left.Seconds() < 0.7*want.left || p.Left.Seconds() > 1.3*want.left {
				t.Errorf("after %v: %+v; want about %v rows/s and %v s left", when, p, want.rate, want.left)
			}
		}

		o = observed{}
		drain(runsErrand.Map(xme.WithProgress(t.Context(), 2, o.hook), on, slices.Values(long(5, time.Second))))
		if p := at(2500 * time.Millisecond); p.Total != 2 || p.Left != 0 {
			t.Errorf("as long as the total may be right: %+v", p)
		}
		if p := at(3500 * time.Millisecond); p.Done != 3 || p.Total != -1 || p.Left != -1 {
			t.Errorf("once the total is wrong: %+v", p)
		}
		wantProgress(t, o.last(t, 1), xme.Progress{Run: 1, Total: 5, Done: 5, Over: true})
	})
}
