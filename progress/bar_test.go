package progress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/progress"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// Where there is no terminal, a line is written every so often and at a run's end, without control characters; what is
// written to the bar goes through, whole lines at once.
//
// feature: S3
func TestLines(t *testing.T) {
	var out bytes.Buffer
	bar := progress.New(&out, progress.Options{Name: "rows of a", Every: 2 * time.Second})
	write := func(s string) {
		if n, err := bar.Write([]byte(s)); n != len(s) || err != nil {
			t.Error(n, err)
		}
	}
	at := func(run int, elapsed time.Duration, set func(p *xme.Progress)) {
		p := xme.Progress{Run: run, Total: -1, Elapsed: elapsed, Left: -1}
		set(&p)
		bar.Hook(p)
	}
	at(1, 100*time.Millisecond, func(p *xme.Progress) { p.Done = 1 })
	write("log")
	at(1, 2*time.Second, func(p *xme.Progress) { p.Done, p.Rate = 150_000, 75_000 })
	write(" line\nano")
	at(2, 3*time.Second, func(p *xme.Progress) { p.Done = 7 }) // another run beside it
	at(1, 3*time.Second, func(p *xme.Progress) { p.Done = 160_000 })
	at(1, 4*time.Second, func(p *xme.Progress) {
		p.Done, p.Failed, p.Total, p.Rate, p.Left = 300_000, 2, 400_000, 99.5, 90*time.Second
	})
	at(1, 5*time.Second, func(p *xme.Progress) { p.Done, p.Failed, p.Retried, p.Total, p.Over = 399_000, 1000, 3, 400_000, true })
	at(3, 1500*time.Millisecond, func(p *xme.Progress) { p.Total, p.Over = 0, true })
	for range 2 {
		if err := bar.Close(); err != nil {
			t.Error(err)
		}
	}
	at(4, 9*time.Second, func(p *xme.Progress) { p.Over = true }) // nothing any more
	write("after\n")
	const want = `rows of a: 150000, 75k/s
log line
rows of a: 300002/400000, 2 failed, 100/s, 1m30s left
rows of a: 400000/400000, 1000 failed, 3 retried, 5s
rows of a: 0/0, 1.5s
ano
after
`
	if out.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", &out, want)
	}
}

// Rates have three digits.
func TestRates(t *testing.T) {
	for rate, want := range map[float64]string{3: "3/s", 9.94: "9.9/s", 9.96: "10/s", 9999: "9999/s", 10_040: "10k/s", 999_400: "999k/s", 999_600: "1M/s", 12_345_678: "12.3M/s"} {
		var out bytes.Buffer
		progress.New(&out, progress.Options{}).Hook(xme.Progress{Run: 1, Total: -1, Rate: rate, Left: -1, Elapsed: time.Hour})
		if want := "rows: 0, " + want + "\n"; out.String() != want {
			t.Errorf("%v: %q, want %q", rate, &out, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

// An error of the writer is Write's.
func TestWriteError(t *testing.T) {
	if _, err := progress.New(broken{}, progress.Options{}).Write([]byte("x\n")); err == nil {
		t.Error("no error")
	}
}

var square = xme.Register("square", func(_ context.Context, n int) (int, error) { return n * n, nil })

func ExampleBar() {
	bar := progress.New(os.Stdout, progress.Options{Name: "squares", Every: time.Hour})
	defer bar.Close()
	ctx := xme.WithProgress(context.Background(), 3, func(p xme.Progress) {
		p.Elapsed = 0 // as this output is the same each time
		bar.Hook(p)
	})
	sum := 0
	for n, err := range square.Map(ctx, xme.Inline(), slices.Values([]int{1, 2, 3})) {
		if err != nil {
			fmt.Println(err)
		}
		sum += n
	}
	fmt.Println(sum)
	// Output:
	// squares: 3/3, 0s
	// 14
}
