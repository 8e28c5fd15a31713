package xme

import (
	"strings"
	"testing"
	"time"
)

// Each line of advice is given for figures that call for it, with the figure.
//
// feature: S13
func TestAdvice(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	// healthy is 2 workers that worked for most of a second.
	healthy := Summary{
		Wall: 1000 * ms, Workers: 2, Done: 500, Starts: 3, Start: 9 * ms, Starting: 18 * ms, Waiting: 100 * ms, Working: 1882 * ms, Mean: 4 * ms,
		Slowest: []SlowRow{{Func: "main.f", Row: 7, Time: 9 * ms, Rank: 1}, {Func: "main.f", Row: 8, Time: 8 * ms, Rank: 2}},
	}
	for name, c := range map[string]struct {
		change func(*Summary)
		want   string
	}{
		"healthy":        {func(*Summary) {}, "none: the workers worked 94 % of the time"},
		"nothing ran":    {func(s *Summary) { *s = Summary{Wall: ms, Workers: 2} }, "no row has ended"},
		"the zero value": {func(s *Summary) { *s = Summary{} }, "no row has ended"},
		"a death":        {func(s *Summary) { s.Deaths = 1 }, "1 worker death: "},
		"deaths":         {func(s *Summary) { s.Deaths = 3 }, "3 worker deaths: "},
		"failures":       {func(s *Summary) { s.Done, s.Failed = 100, 400 }, "400 of 500 rows failed"},
		"few failures":   {func(s *Summary) { s.Done, s.Failed = 400, 100 }, "none: "},
		"start-up": {
			func(s *Summary) { s.Wall, s.Starting, s.Waiting, s.Working, s.Slowest = 20*ms, 18*ms, 2*ms, 20*ms, nil },
			"start-up took 45 % of the time, the rows 50 %",
		},
		"replacements": {
			func(s *Summary) { s.Restarts, s.Starting, s.Working = 500, 900*ms, 1000*ms },
			"45 % of the time went into 500 replacements: raise Options.Spares",
		},
		"one slow row": {
			func(s *Summary) { s.Slowest[0].Time, s.Waiting, s.Working = 600*ms, 600*ms, 1382*ms },
			"row 7 of main.f took 600ms of 1s, and the others waited for it: split it, or put it first",
		},
		"one slow row that nobody waited for": {func(s *Summary) { s.Slowest[0].Time = 600 * ms }, "none: "},
		"slow rows, but not one":              {func(s *Summary) { s.Slowest[0].Time, s.Slowest[1].Time, s.Waiting = 600*ms, 590*ms, 600*ms }, "none: "},
		"one worker, one slow row": {
			func(s *Summary) { s.Workers, s.Slowest[0].Time, s.Waiting, s.Working = 1, 600*ms, 100*ms, 890*ms }, "none: ",
		},
		"short rows":     {func(s *Summary) { s.Mean, s.Done, s.Slowest = 200*time.Nanosecond, 1e6, nil }, "a row takes 200ns, which is not worth handing it to a process: put many values into each, a slice, say (5000 make 1 ms)"},
		"few short rows": {func(s *Summary) { s.Mean, s.Done, s.Slowest = 200*time.Nanosecond, 10, nil }, "none: "},
		"idle": {
			func(s *Summary) { s.Workers, s.Waiting, s.Working = 8, 6800*ms, 1100*ms },
			"the workers waited for rows 86 % of the time: feed them faster (Map or Go, not Call after Call), or take fewer: 2 would do",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := healthy
			s.Slowest = append([]SlowRow(nil), s.Slowest...)
			c.change(&s)
			if got := s.advice(); !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			s.Advice = s.advice()
			if strings.Contains(s.String(), "NaN") {
				t.Error(s)
			}
		})
	}
}

// Times are printed with three figures.
//
// feature: S13
func TestFigure(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 98765432: "98.8ms", 12345678900: "12.3s", time.Hour + 1500*time.Millisecond: "1h0m2s",
	} {
		if got := figure(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}
