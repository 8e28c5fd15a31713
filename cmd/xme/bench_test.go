package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xenonmp/xme"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(tc.in); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var thousand []float64
	for i := range 1000 {
		thousand = append(thousand, float64(1000-i))
	}
	for _, tc := range []struct {
		in          []float64
		share, want float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0.999, 7},
		{thousand, 0.999, 999},
		{thousand, 1, 1000},
		{thousand, 0, 1},
	} {
		if got := percentile(tc.in, tc.share); got != tc.want {
			t.Errorf("%v of %d values is %v, want %v", tc.share, len(tc.in), got, tc.want)
		}
	}
}

// The first of each is not counted, and they take turns.
func TestAlternate(t *testing.T) {
	t.Parallel()
	var order []string
	next := func(who string, values ...float64) func() (float64, error) {
		return func() (float64, error) {
			order = append(order, who)
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	s, err := alternate(t.Context(), 3, next("floor", 100, 3, 1, 2), next("ours", 100, 6, 5, 4))
	if err != nil || s != (sample{Floor: 2, Ours: 5}) {
		t.Errorf("%+v, %v", s, err)
	}
	if got := strings.Join(order, " "); got != strings.TrimSuffix(strings.Repeat("floor ours ", 4), " ") {
		t.Errorf("order %s", got)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	upper := row{must: 2, reach: 1.3}
	lower := row{must: 0.95, reach: 0.99, atLeast: true}
	for _, tc := range []struct {
		row    row
		figure float64
		quick  bool
		want   string
	}{
		{upper, 1.3, false, reached},
		{upper, 1.31, false, met},
		{upper, 2, false, met},
		{upper, 2.1, false, missed},
		{upper, 2.1, true, unsized},
		{lower, 1, false, reached},
		{lower, 0.98, false, met},
		{lower, 0.9, false, missed},
	} {
		if got := tc.row.verdict(tc.figure, tc.quick); got != tc.want {
			t.Errorf("%v against must %v, reach %v, at least %t: %q, want %q", tc.figure, tc.row.must, tc.row.reach, tc.row.atLeast, got, tc.want)
		}
	}
}

func TestUnitText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		unit  unit
		value float64
		want  string
	}{
		{inSeconds, 450e-9, "450 ns"},
		{inSeconds, 72.5e-6, "72.5 µs"},
		{inSeconds, 7.94e-3, "7.9 ms"},
		{inSeconds, 1.234, "1.23 s"},
		{inBytes, 16e6, "16.0 MB"},
		{asRatio, 1.2345, "1.23 x"},
		{rowsPerSecond, 3.456e6, "3.46 M/s"},
		{bytesPerSecond, 9.5e9, "9.50 GB/s"},
	} {
		if got := tc.unit.text(tc.value); got != tc.want {
			t.Errorf("%v %s: %q, want %q", tc.value, tc.unit, got, tc.want)
		}
	}
}

func TestCPUModel(t *testing.T) {
	t.Parallel()
	if got := cpuModel("processor\t: 0\nmodel name\t: Fast One @ 3 GHz\nmodel name\t: other\n"); got != "Fast One @ 3 GHz" {
		t.Errorf("got %q", got)
	}
	if got := cpuModel("Hardware : board\n"); got != "" {
		t.Errorf("got %q of a text without a model", got)
	}
}

// bench quotes medians, and the range of the runs' figures; the warm-up run counts for none.
func TestBenchQuotesMedians(t *testing.T) {
	t.Parallel()
	runs := []sample{{Floor: 1, Ours: 100}, {Floor: 2, Ours: 2}, {Floor: 1, Ours: 3}, {Floor: 4, Ours: 8}}
	r := row{name: "r", figure: timesFloor, figureUnit: asRatio, must: 2, reach: 1}
	next := 0
	r.measure = func(_ context.Context, quick bool) (sample, error) {
		if quick != (next == 0) {
			t.Errorf("run %d: quick is %t", next, quick)
		}
		next++
		return runs[next-1], nil
	}
	res, err := bench(t.Context(), &r, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	want := result{
		Name: "r", Floor: 2, Ours: 3, FigureUnit: asRatio, Figure: 2, Min: 1, Max: 3, Must: 2, Reach: 1, Verdict: met, Runs: runs[1:],
	}
	if d := cmp.Diff(want, res); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestBenchErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := row{name: "r", figure: timesFloor, measure: func(context.Context, bool) (sample, error) { return sample{}, broken }}
	if _, err := bench(t.Context(), &r, 3, false); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	r.measure = func(context.Context, bool) (sample, error) {
		return sample{}, fmt.Errorf("no probe: %w", errAbsent)
	}
	res, err := bench(t.Context(), &r, 3, false)
	if err != nil || res.Verdict != absent || res.Why == "" {
		t.Errorf("a row that this system cannot measure: %+v, %v", res, err)
	}
	r.measure = func(context.Context, bool) (sample, error) {
		return sample{}, &xme.Error{Cause: xme.CauseUnsupported, Message: "the engine is broken"}
	}
	if res, err := bench(t.Context(), &r, 3, false); !errors.Is(err, errors.ErrUnsupported) || res.Verdict != "" {
		t.Errorf("an error of the engine's: %+v, %v", res, err)
	}
}

// What a row found once it does not lack, whether that was the run to warm up or one that counts.
func TestBenchRowsDoNotVanish(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{false, true} {
		ran := false
		r := row{name: "r", figure: timesFloor, measure: func(context.Context, bool) (sample, error) {
			if ran {
				return sample{}, errAbsent
			}
			ran = true
			return sample{Floor: 1, Ours: 1}, nil
		}}
		if res, err := bench(t.Context(), &r, 2, quick); !errors.Is(err, errAbsent) || res.Verdict != "" {
			t.Errorf("quick %t: %+v, %v", quick, res, err)
		}
	}
}

// That a process is gone does not mean that its memory cannot be read on this system.
func TestPrivateMemory(t *testing.T) {
	t.Parallel()
	n, err := privateMemory(os.Getpid())
	if errors.Is(err, errAbsent) {
		t.Skip(err)
	}
	if err != nil || n <= 0 {
		t.Errorf("own: %d, %v", n, err)
	}
	const none = 1 << 30 // more than there can be
	if n, err := privateMemory(none); err == nil || errors.Is(err, errAbsent) {
		t.Errorf("of no process: %d, %v", n, err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	rep := report{
		Machine: machine{CPU: "Fast One", CPUs: 2, OS: "linux", Kernel: "6.1", Arch: "amd64", Go: "go1.26", Load: "0.10"},
		Date:    "2026-11-23T10:00:00Z", Version: "v0.1.0",
		Rows: []result{
			{
				Name: "startup", What: "workers up", FloorIs: "bare processes", Unit: inSeconds, Floor: 8e-3, Ours: 10e-3,
				FigureUnit: asRatio, Figure: 1.25, Min: 1.2, Max: 1.5, Must: 2, Reach: 1.3, Verdict: reached,
			},
			{
				Name: "pi", What: "darts", FloorIs: "goroutines", Unit: inSeconds, Floor: 0.5, Ours: 0.625,
				FigureUnit: asRatio, Figure: 0.8, Min: 0.7, Max: 0.9, Must: 0.95, Reach: 0.99, AtLeast: true, Verdict: missed,
			},
			{Name: "memory", What: "rows", FloorIs: "start", Verdict: absent, Why: "not read here"},
		},
	}
	var out strings.Builder
	if err := rep.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `Fast One, 2 CPUs, linux 6.1, go1.26, load 0.10, 2026-11-23T10:00:00Z, xme v0.1.0

row      floor     ours      figure  min..max        must      reach     verdict
startup  8.0 ms    10.0 ms   1.25 x  1.20 x..1.50 x  ≤ 2.00 x  ≤ 1.30 x  reached
pi       500.0 ms  625.0 ms  0.80 x  0.70 x..0.90 x  ≥ 0.95 x  ≥ 0.99 x  MISSED
memory                                                                   not on this system: not read here

startup: workers up
    floor: bare processes
pi: darts
    floor: goroutines
memory: rows
    floor: start
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if err := rep.check(); err == nil || err.Error() != "row pi: 0.80 x, must be ≥ 0.95 x" {
		t.Errorf("check: %v", err)
	}
	rep.Rows = rep.Rows[:1]
	if err := rep.check(); err != nil {
		t.Errorf("check of a report without a miss: %v", err)
	}
}
