package xme_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// statsOf returns the counts of the function with that bare name.
func statsOf(t *testing.T, pool *xme.Pool, name string) xme.FuncStats {
	t.Helper()
	list := pool.Stats().Functions
	if !slices.IsSortedFunc(list, func(a, b xme.FuncStats) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("not in order: %v", list)
	}
	for _, f := range list {
		if strings.HasSuffix(f.Name, "."+name) {
			return f
		}
	}
	t.Fatalf("no %s in %v", name, list)
	return xme.FuncStats{}
}

// What rows of each function came to and took is counted: attempts, failures, those that
// never ran, those of other functions.
//
// feature: S12, S13
func TestStatsOfFunctions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
		if s := pool.Stats(); len(s.Functions) != 0 {
			t.Errorf("before any call: %+v", s)
		}
		again := runsErrand.With(xme.Retries(1))
		drain(again.Map(t.Context(), pool, slices.Values([]errand{
			{Takes: time.Second},
			{Takes: 3 * time.Second, Fails: 1, Key: newKey()}, // twice
			{Takes: time.Second, Fails: -1},                   // twice
		})))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = runsErrand.Call(ended, pool, errand{}) // not accepted
		_, _ = square.Call(t.Context(), pool, 3)
		f := statsOf(t, pool, "runsErrand")
		f.Name = ""
		if want := (xme.FuncStats{Done: 2, Failed: 1, Retried: 2, Runs: 5, Busy: 9 * time.Second, Longest: 3 * time.Second}); f != want {
			t.Errorf("got  %+v\nwant %+v", f, want)
		}
		if f.Mean() != 1800*time.Millisecond || (xme.FuncStats{}).Mean() != 0 {
			t.Errorf("mean %v", f.Mean())
		}
		if f := statsOf(t, pool, "square"); f.Done != 1 || f.Runs != 1 {
			t.Errorf("square: %+v", f)
		}
		if s := pool.Stats(); s.Done != 3 || s.Failed != 1 || s.Retried != 2 {
			t.Errorf("in all: %+v", s)
		}
	})
}

// cancelledUnbegun: a row that ended before it began is no run.
//
// feature: S12
func TestStatsOfRowsThatNeverRan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
		runs := runsErrand.Go(t.Context(), pool, errand{Takes: time.Second})
		waits := runsErrand.Go(t.Context(), pool, errand{Takes: time.Second})
		synctest.Wait()
		waits.Cancel()
		_, _ = runs.Wait(t.Context())
		_, _ = waits.Wait(t.Context())
		if f := statsOf(t, pool, "runsErrand"); f.Done != 1 || f.Failed != 1 || f.Runs != 1 || f.Busy != time.Second {
			t.Errorf("%+v", f)
		}
	})
}

// sometimes takes next to nothing, but for rows that wait, or take their worker along.
var sometimes = xme.Register("sometimes", func(_ context.Context, e errand) (int, error) {
	if e.Takes > 0 {
		<-time.After(e.Takes)
	}
	if e.Fails != 0 {
		os.Exit(e.Fails)
	}
	return 0, nil
})

// A long row is found among short ones, which are measured together, wherever rows
// travel, and however many workers there are; so is one that takes its worker along, or
// is killed.
//
// feature: S12, S13
func TestLongRowsAreFound(t *testing.T) {
	t.Parallel()
	const long, row = 300 * time.Millisecond, 1500
	rows := make([]errand, 3000)
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkSocket} {
		for _, workers := range []int{1, 2} {
			for how, e := range map[string]errand{"returns": {Takes: long}, "dies": {Takes: long, Fails: 3}, "is killed": {Takes: time.Hour}} {
				t.Run(fmt.Sprint(how, link, workers), func(t *testing.T) {
					t.Parallel()
					pool := xmetest.Open(t, xme.Options{Workers: workers, Link: link, Grace: -1})
					rows := slices.Clone(rows)
					rows[row] = e
					ctx, cancel := context.WithCancel(t.Context())
					read, failed := 0, 0
					for _, err := range sometimes.Map(ctx, pool, slices.Values(rows)) {
						if err != nil {
							failed++
						}
						if read++; read == row && how == "is killed" { // about when it begins
							time.AfterFunc(long+100*time.Millisecond, cancel)
						}
					}
					cancel()
					s := pool.Summary()
					if len(s.Slowest) == 0 {
						t.Fatal("no slow row was found")
					}
					slow := s.Slowest[0]
					if slow.Row != row || slow.Time < long/2 || slow.Failed != (how != "returns") || slow.Rank < 1 || slow.Rank > workers ||
						!strings.HasSuffix(slow.Func, ".sometimes") {
						t.Errorf("%+v; want row %d, and %v", slow, row, long)
					}
					f := statsOf(t, pool, "sometimes")
					if f.Longest != slow.Time || f.Busy < slow.Time || f.Failed != uint64(failed) {
						t.Errorf("%+v, %d failed", f, failed)
					}
				})
			}
		}
	}
}

// Replacements are counted, whatever they are for.
//
// feature: S12
func TestStatsCountRestarts(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	xmetest.Kill(t, pool, 1)
	wait(t, func() bool { return pool.Stats().Deaths == 1 })
	for range 2 { // the second finds a process that has run a row
		if _, err := square.With(xme.Fresh()).Call(t.Context(), pool, 1); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, func() bool { return pool.Stats().Restarts == 3 })
}

// The keys of Stats and Summary as JSON stay as they are, and the variable for expvar
// holds what Stats returns.
//
// feature: S13
func TestStatsAsJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1, Spares: -1})
		v := pool.Var()
		if s := v.String(); !strings.HasSuffix(s, `"functions":[]}`) {
			t.Errorf("before any call: %s", s)
		}
		_, _ = runsErrand.Call(t.Context(), pool, errand{Takes: time.Second})
		synctest.Wait() // its room is free a moment after it has ended
		const want = `{"processes":1,"spares":0,"queued":0,"running":0,"done":1,"failed":0,"retried":0,"starts":1,"restarts":0,"deaths":0,"taken_back":0,"memory":"",` +
			`"functions":[{"name":"github.com/xenonmp/xme_test.runsErrand","done":1,"failed":0,"retried":0,"runs":1,"busy_ns":1000000000,"longest_ns":1000000000}]}`
		if got := v.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		var back xme.Stats
		if err := json.Unmarshal([]byte(v.String()), &back); err != nil || fmt.Sprint(back) != fmt.Sprint(pool.Stats()) {
			t.Errorf("%v: %+v", err, back)
		}
		const summary = `{"wall_ns":1000000000,"workers":1,"done":1,"failed":0,"retried":0,"starts":1,"restarts":0,"deaths":0,"start_ns":0,` +
			`"starting_ns":0,"waiting_ns":0,"working_ns":1000000000,"mean_ns":1000000000,` +
			`"slowest":[{"function":"github.com/xenonmp/xme_test.runsErrand","row":-1,"time_ns":1000000000,"rank":1,"failed":false}],"advice":"none: the workers worked 100 % of the time."}`
		if b, err := json.Marshal(pool.Summary()); err != nil || string(b) != summary {
			t.Errorf("%v\ngot  %s\nwant %s", err, b, summary)
		}
	})
}
