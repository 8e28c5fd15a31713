package xme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// The five slowest rows are kept, in order, and the workers' time adds up, while the pool
// runs and after its Close, which prints it if it is asked to.
//
// feature: S13
func TestSummary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var printed bytes.Buffer
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2, Stderr: &printed, Summary: true})
		rows := make([]errand, 9)
		for i := range rows {
			rows[i] = errand{Takes: time.Duration(1+i*5%9) * time.Second} // 1 6 2 7 3 8 4 9 5
		}
		rows[3].Fails = -1
		for range runsErrand.Unordered(t.Context(), pool, slices.Values(rows)) {
		}
		s := pool.Summary()
		var got []string
		for _, r := range s.Slowest {
			got = append(got, fmt.Sprint(r.Row, r.Time, r.Failed))
		}
		if want := []string{"7 9s false", "5 8s false", "3 7s true", "1 6s false", "8 5s false"}; !slices.Equal(got, want) {
			t.Errorf("slowest %q, want %q", got, want)
		}
		if s.Working != 45*time.Second || s.Working+s.Waiting+s.Starting != 2*s.Wall || s.Mean != 5*time.Second {
			t.Errorf("%+v", s)
		}

		running := runsErrand.Go(t.Context(), pool, errand{Takes: time.Hour})
		<-time.After(10 * time.Minute) // of the bubble's time
		if grown := pool.Summary().Working - s.Working; grown < 10*time.Minute-2*time.Second || grown > 10*time.Minute {
			t.Errorf("a row that runs for 10 m counts %v", grown)
		}
		_, _ = running.Wait(t.Context())

		if printed.Len() > 0 {
			t.Errorf("printed before Close:\n%s", printed.String())
		}
		for range 2 {
			if err := pool.Close(); err != nil {
				t.Fatal(err)
			}
		}
		block := pool.Summary().String()
		if printed.String() != block {
			t.Errorf("printed:\n%s\nwant:\n%s", printed.String(), block)
		}
		<-time.After(time.Hour)
		if later := pool.Summary().String(); later != block {
			t.Errorf("an hour after Close:\n%s\nwant:\n%s", later, block)
		}
		for _, want := range []string{
			"xme: 1h0m2", "s with 2 workers\n", "\n  rows       9 done, 1 failed, 0 retried; 6m", "\n  processes  3 started in 0s each, 0 deaths\n",
			"\n  workers    0 % starting, ", "\n  slowest    a call of github.com/xenonmp/xme_test.runsErrand: 1h0m0s on rank ",
			"\n             row 7 of github.com/xenonmp/xme_test.runsErrand: 9s on rank ", ": 7s on rank ", ", failed\n",
			"\n  advice     a call of github.com/xenonmp/xme_test.runsErrand took 1h0m0s of 1h0m2", "and the others waited for it",
		} {
			if !strings.Contains(block, want) {
				t.Errorf("want %q in\n%s", want, block)
			}
		}
	})
}

// Services, which run beside the ranks and as long as they are let, are in neither the
// ranks' time nor among the slowest rows; their function's counts have them.
//
// feature: S13
func TestSummaryLeavesServicesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		service := untilEnd.With(xme.Service()).Go(ctx, pool, 0)
		if _, err := runsErrand.Call(t.Context(), pool, errand{Takes: time.Second}); err != nil {
			t.Error(err)
		}
		_, _ = service.Wait(t.Context())
		s := pool.Summary()
		if s.Working != time.Second || len(s.Slowest) != 1 || s.Slowest[0].Time != time.Second {
			t.Errorf("%+v", s)
		}
		if f := statsOf(t, pool, "untilEnd"); f.Busy != 10*time.Second || f.Runs != 1 {
			t.Errorf("%+v", f)
		}
	})
}

// A summary of processes says what their start took, also those of spares and of ranks
// that died; a writer that blocks does not keep Close.
//
// feature: S13, S12
func TestSummaryOfProcesses(t *testing.T) {
	t.Parallel()
	var printed bytes.Buffer
	pool := xmetest.Open(t, xme.Options{Workers: 2, Stdout: &printed, Stderr: &printed, Summary: true})
	waitForRanks(t, pool, 2)
	_, err := exit.Call(t.Context(), pool, 3)
	if !errors.Is(err, xme.ErrWorkerLost) {
		t.Fatal(err)
	}
	wait(t, func() bool { return pool.Stats().Deaths == 1 })
	waitForRanks(t, pool, 2)
	s := pool.Summary()
	if s.Start <= 0 || s.Starting <= 0 || s.Starts < 3 || s.Restarts != 1 || s.Deaths != 1 || !strings.HasPrefix(s.Advice, "1 worker death: ") {
		t.Errorf("%+v", s)
	}
	if _, err := speak.Call(t.Context(), pool, 1); err != nil {
		t.Fatal(err)
	}
	_ = pool.Close()
	at := strings.Index(printed.String(), "xme: ")
	if at < 1 || printed.String()[at:] != pool.Summary().String() {
		t.Errorf("the summary is to stand behind what workers printed:\n%s", printed.String())
	}

	block := make(chan struct{})
	defer close(block)
	stuck := xmetest.OpenInProcess(t, xme.Options{Workers: 1, Stderr: blockedWriter(block), Summary: true})
	_ = stuck.Close()
}

// blockedWriter takes nothing until it is closed.
type blockedWriter chan struct{}

func (b blockedWriter) Write(p []byte) (int, error) {
	<-b
	return len(p), nil
}
