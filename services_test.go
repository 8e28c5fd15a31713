package xme_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// notes says that it has run, and does not wait.
var notes = xme.Register("notes", func(_ context.Context, g gate) (int, error) {
	_, err := g.Said.Write([]byte{1})
	return 7, err
})

// runsServices runs a table of services beside a single short row, in a task.
var runsServices = xme.Register("runsServices", func(ctx context.Context, g gate) (int, error) {
	return 0, runServices(ctx, xme.Current(ctx), g)
})

func runServices(ctx context.Context, on xme.Executor, g gate) error {
	var tab xme.Table
	short := notes.With(xme.Service()).Add(&tab, xme.Repeat(2, g))
	long := serves.With(xme.Service()).Add(&tab, xme.Repeat(1, g))
	square.Add(&tab, xme.Repeat(1, 3))
	if err := tab.Run(ctx, on); err != nil {
		return err
	}
	for _, rows := range []*xme.Rows[int]{short, long} {
		if got, err := rows.Values(); err != nil {
			return fmt.Errorf("%v, %w", got, err)
		}
	}
	return nil
}

// Services for which processes must be started while a single short row runs begin all the same, however soon that row has ended.
// feature: S10
func TestServicesBeginThoughRowsAreShort(t *testing.T) {
	t.Parallel()
	nested := func(ctx context.Context, on xme.Executor, g gate) error {
		_, err := runsServices.Call(ctx, on, g)
		return err
	}
	inline := func(*testing.T) xme.Executor { return xme.Inline() }
	pool := func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1, Spares: -1}) }
	inProcess := func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 1, Spares: -1}) }
	for name, x := range map[string]struct {
		open func(*testing.T) xme.Executor
		run  func(context.Context, xme.Executor, gate) error
	}{
		"pool":               {pool, runServices},
		"in process":         {inProcess, runServices},
		"inline":             {inline, runServices},
		"nested":             {pool, nested},
		"nested, in process": {inProcess, nested},
		"nested, inline":     {inline, nested},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := x.open(t)
			begun, g, _ := gates(t)
			for range 3 {
				if err := x.run(t.Context(), on, g); err != nil {
					t.Fatal(err)
				}
				readBegun(t, begun, 3)
			}
		})
	}
}

// Services end also if the other rows turn out to be none.
// feature: S10
func TestServicesBesideNoRows(t *testing.T) {
	t.Parallel()
	for name, open := range executors(1) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, g, _ := gates(t)
			var tab xme.Table
			services := serves.With(xme.Service()).Add(&tab, xme.Repeat(1, g))
			rows := square.Add(&tab, slices.Values([]int(nil)))
			if err := tab.Run(ctx, open(t)); err != nil {
				t.Fatal(err)
			}
			if got, err := services.Values(); err != nil || !slices.Equal(got, []int{100}) {
				t.Errorf("services: %v, %v", got, err)
			}
			if got, err := rows.Values(); err != nil || len(got) != 0 {
				t.Errorf("rows: %v, %v", got, err)
			}
		})
	}
}

// The arguments of a service on Inline are the caller's again once Go has returned.
// feature: S10, S11
func TestInlineServiceIsEncodedFirst(t *testing.T) {
	t.Parallel()
	buf := []byte{0}
	var fs []*xme.Future[[]byte]
	on := xme.Inline()
	for i := range 50 {
		buf[0] = byte(i)
		fs = append(fs, bytes_.With(xme.Service()).Go(t.Context(), on, buf))
	}
	buf[0] = 255
	for i, f := range fs {
		if got, err := f.Wait(t.Context()); err != nil || len(got) != 1 || got[0] != byte(i) {
			t.Errorf("service %d got %v, %v", i, got, err)
		}
	}
}

// failsKnown returns a known error.
var failsKnown = xme.Register("failsKnown", func(context.Context, int) (int, error) { return 0, errRoute })

// A service on Inline is tried again as often as it may.
// feature: S10, S11
func TestInlineServiceIsRetried(t *testing.T) {
	t.Parallel()
	on := xme.Inline()
	for range 100 { // of which half failed as cancelled
		_, err := failsKnown.With(xme.Service(), xme.Retries(2)).Call(t.Context(), on, 0)
		var e *xme.Error
		if !errors.As(err, &e) || !errors.Is(err, errRoute) || e.Attempt != 3 {
			t.Fatal(err)
		}
	}
}

// fleeting is an argument that cannot be encoded more often than it is told: the goroutine ends then.
type fleeting struct{ left *atomic.Int32 }

func (f fleeting) MarshalBinary() ([]byte, error) {
	if f.left.Add(-1) < 0 {
		runtime.Goexit()
	}
	return []byte{1}, nil
}

func (*fleeting) UnmarshalBinary([]byte) error { return nil }

var takesFleeting = xme.Register("takesFleeting", func(context.Context, fleeting) (int, error) { return 0, fmt.Errorf("on purpose") })

// A service whose argument ends the goroutine that encodes it ends as such a row does; so does another attempt.
// feature: S10, S11
func TestArgumentEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		opts []xme.CallOption
		left int32 // how often it can be encoded
	}{
		"row":             {nil, 0},
		"service":         {[]xme.CallOption{xme.Service()}, 0},
		"retry":           {[]xme.CallOption{xme.Retries(1)}, 1},
		"retried service": {[]xme.CallOption{xme.Retries(1), xme.Service()}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			arg := fleeting{new(atomic.Int32)}
			arg.left.Store(x.left)
			var tab xme.Table
			rows := takesFleeting.With(x.opts...).Add(&tab, xme.Repeat(1, arg))
			ran := make(chan any, 1)
			go func() {
				defer func() { ran <- recover() }()
				_ = tab.Run(ctx, xme.Inline())
			}()
			select {
			case r := <-ran:
				_, err := rows.Values()
				why := fmt.Sprint(r) // the panic of an input, or how the row ended
				if x.left > 0 {
					why = fmt.Sprint(err)
				}
				if err == nil || !strings.Contains(why, "runtime.Goexit") {
					t.Errorf("recovered %v; rows: %v", r, err)
				}
			case <-ctx.Done():
				t.Fatal("the row does not end")
			}
		})
	}
}
