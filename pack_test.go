package xme_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

// What a row of packed does, by its number.
const (
	packedError = iota + 1 // from here on, each once in packedEvery
	packedPanic
	packedGoexit
	packedNests
	packedExit // only where it may

	packedEvery = 701
)

// packedRow is a row of packed.
type packedRow struct {
	N    int
	Dies bool // those may end their process
}

var packed *xme.Func[packedRow, string]

func init() {
	packed = xme.Register("packed", func(ctx context.Context, r packedRow) (string, error) {
		switch r.N % packedEvery {
		case packedError:
			return "", fmt.Errorf("error of %d", r.N)
		case packedPanic:
			panic(r.N)
		case packedGoexit:
			runtime.Goexit()
		case packedNests:
			return packed.Call(ctx, xme.Current(ctx), packedRow{N: r.N * packedEvery})
		case packedExit:
			if r.Dies && xme.Seed(ctx)%4 == 0 { // not each, for a process takes a while to start
				os.Exit(packedExit)
			}
		}
		return packedText(r.N), nil
	})
}

func packedText(n int) string { return strings.Repeat("x", n%7) + fmt.Sprint(n) }

func packedRows(rows int, die bool) iter.Seq[packedRow] {
	return func(yield func(packedRow) bool) {
		for n := range rows {
			if !yield(packedRow{n, die}) {
				return
			}
		}
	}
}

// Rows that go through the driver by the piece end each by itself and in its place, whatever befalls those beside it, also many
// times as many as there is memory for at once.
//
// feature: S3, S7, S12
func TestPacks(t *testing.T) {
	t.Parallel()
	rows := 20_000
	if !long.Wanted() {
		rows = 5_000
	}
	for name, o := range map[string]xme.Options{
		"1 worker":    {Workers: 1},
		"3 workers":   {Workers: 3},
		"short queue": {Workers: 2, Queue: 10},
		"socket":      {Workers: 2, Link: xme.LinkSocket},
	} {
		for _, ordered := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", ordered ", ordered), func(t *testing.T) {
				t.Parallel()
				pool := xmetest.Open(t, o)
				lost := checkPacked(t, pool, rows, ordered, true)
				wait(t, func() bool { s := pool.Stats(); return s.Queued+s.Running == 0 }) // the ranger may be told first
				nested := (rows - packedNests + packedEvery - 1) / packedEvery
				if s := pool.Stats(); s.Deaths != uint64(lost) || s.Queued != 0 || s.Running != 0 || s.Done+s.Failed != uint64(rows+nested) {
					t.Errorf("%d rows lost, %d nested; %+v", lost, nested, s)
				}
			})
		}
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		checkPacked(t, xmetest.OpenInProcess(t, xme.Options{Workers: 2}), rows, true, false)
		checkPacked(t, openLanes(t), rows, false, false)
	})
	t.Run("several at once", func(t *testing.T) {
		t.Parallel()
		pool := xmetest.Open(t, xme.Options{Workers: 2})
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() { checkPacked(t, pool, rows/4, i%2 == 0, i == 0) })
		}
		all.Wait()
	})
}

// checkPacked runs rows and returns how many were lost with their worker.
func checkPacked(t *testing.T, on xme.Executor, rows int, ordered, die bool) (lost int) {
	t.Helper()
	seen := make([]bool, rows)
	check := func(row int, v string, err error) bool {
		if row < 0 || row >= rows || seen[row] {
			t.Errorf("row %d came, of %d, or came twice", row, rows)
			return false
		}
		seen[row] = true
		var e *xme.Error
		if errors.As(err, &e); err != nil && e.Row != row {
			t.Errorf("row %d has the error of row %d: %v", row, e.Row, err)
		}
		switch row % packedEvery {
		case packedError:
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(": error of %d ", row)) {
				t.Errorf("row %d: %q, %v", row, v, err)
			}
			return true
		case packedPanic, packedGoexit:
			if e == nil || e.Cause != xme.CausePanic {
				t.Errorf("row %d: %q, %v", row, v, err)
			}
			return true
		case packedNests:
			if err != nil || v != packedText(row*packedEvery) {
				t.Errorf("row %d: %q, %v", row, v, err)
			}
			return true
		case packedExit:
			if die && errors.Is(err, xme.ErrWorkerLost) && e.ExitCode == packedExit {
				lost++
				return true
			}
		}
		if err != nil || v != packedText(row) {
			t.Errorf("row %d: %q, %v", row, v, err)
		}
		return true
	}
	n := 0
	if ordered {
		for v, err := range packed.Map(t.Context(), on, packedRows(rows, die)) {
			if !check(n, v, err) {
				break
			}
			n++
		}
	} else {
		for r := range packed.Unordered(t.Context(), on, packedRows(rows, die)) {
			if !check(r.Index, r.Value, r.Err) {
				break
			}
			n++
		}
	}
	if n != rows {
		t.Errorf("%d of %d rows came", n, rows)
	}
	return lost
}

// A table of several functions whose rows go by the piece has the results of each in their own Rows, whose places are their own,
// and errors that say the table's.
//
// feature: S3, S8
func TestPacksOfTable(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for _, rows := range []int{0, 1, 63, 64, 65, 1000, 20_000} {
		var tab xme.Table
		squares := square.Add(&tab, count(rows))
		none := square.Add(&tab, count(0))
		texts := packed.Add(&tab, packedRows(rows, false))
		more := square.Add(&tab, count(rows/2))
		ran := tab.Run(t.Context(), pool)
		failed := 0
		for i, r := range []*xme.Rows[int]{squares, more} {
			n := 0
			for v, err := range r.All() {
				if err != nil || v != n*n {
					t.Fatalf("%d rows: %d of list %d is %d, %v", rows, n, i, v, err)
				}
				n++
			}
			if want := []int{rows, rows / 2}[i]; n != want {
				t.Errorf("%d rows in list %d, want %d", n, i, want)
			}
		}
		n := 0
		for v, err := range texts.All() {
			var e *xme.Error
			switch errors.As(err, &e); {
			case err != nil && (e.Row != rows+n || n%packedEvery == 0 || n%packedEvery > packedGoexit):
				t.Fatalf("%d rows: text %d: %v", rows, n, err)
			case err != nil:
				failed++
			case n%packedEvery != packedNests && v != packedText(n):
				t.Fatalf("%d rows: text %d is %q", rows, n, v)
			}
			n++
		}
		if vs, err := none.Values(); len(vs) != 0 || err != nil {
			t.Errorf("no rows: %v, %v", vs, err)
		}
		if n != rows || (ran == nil) != (failed == 0) || ran != nil && !strings.HasPrefix(ran.Error(), fmt.Sprintf("%d of %d rows failed", failed, rows+rows+rows/2)) {
			t.Errorf("%d texts, want %d; %d failed; %v", n, rows, failed, ran)
		}
	}
}

// A table that is cut off while rows go by the piece ends all of them, in their own Rows.
//
// feature: S3
func TestPacksOfTableCutOff(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	var tab xme.Table
	var read atomic.Int64
	rows := square.Add(&tab, func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			if read.Add(1) == 10_000 {
				cancel(why)
			}
		}
	})
	if err := tab.Run(ctx, pool); !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	n, cut := 0, 0
	for v, err := range rows.All() {
		switch {
		case err == nil && v != n*n:
			t.Fatalf("row %d is %d", n, v)
		case err != nil && !errors.Is(err, why):
			t.Fatalf("row %d: %v", n, err)
		case err != nil:
			cut++
		}
		n++
	}
	if all := int(read.Load()); n < 10_000 || n > all+2 || cut == 0 { // the value that was refused, and the reason
		t.Errorf("%d rows, %d cut off, of %d read", n, cut, all)
	}
}

// A row has its own seed, the same whether it goes by the piece or by itself.
//
// feature: S7
func TestPacksSeeds(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	const rows = 300
	seeds := map[uint64]bool{}
	var list [2][]uint64
	for i, f := range []*xme.Func[int, uint64]{lonely, lonely.With(xme.Retries(1))} {
		for seed, err := range f.Map(t.Context(), pool, xme.Repeat(rows, lonelySeed)) {
			if err != nil {
				t.Fatal(err)
			}
			seeds[seed] = true
			list[i] = append(list[i], seed)
		}
	}
	if len(seeds) != rows || !slices.Equal(list[0], list[1]) {
		t.Errorf("%d rows have %d seeds; by the piece %x …, by themselves %x …", rows, len(seeds), list[0][:3], list[1][:3])
	}
}

// Contexts that end before the loop, or within it, end it.
//
// feature: S7
func TestPacksCancelled(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	rounds := 60
	if raced {
		rounds = 20
	}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		if round%2 == 0 {
			cancel()
		}
		n, cut := 0, 0
		for v, err := range square.Map(ctx, pool, count(1<<40)) {
			switch {
			case err == nil && v != n*n, err != nil && !errors.Is(err, context.Canceled):
				t.Fatalf("round %d, row %d: %d, %v", round, n, v, err)
			case err != nil:
				cut++
			}
			if n++; n == 50*round {
				cancel()
			}
		}
		if cut == 0 {
			t.Fatalf("round %d: %d rows, none cut off", round, n)
		}
		cancel()
	}
}

// A worker that is replaced after so many rows gets no more of those that go by the piece.
//
// feature: S12
func TestPacksRecycle(t *testing.T) {
	t.Parallel()
	const recycle = 40
	pool := xmetest.Open(t, xme.Options{Workers: 2, Recycle: recycle})
	rows := map[int]int{}
	for pid, err := range getpid.Map(t.Context(), pool, count(400)) {
		if err != nil {
			t.Fatal(err)
		}
		rows[pid]++
	}
	for pid, n := range rows {
		if n > recycle {
			t.Errorf("process %d ran %d rows", pid, n)
		}
	}
	if len(rows) < 400/recycle {
		t.Errorf("%d processes", len(rows))
	}
}

// Who leaves a loop in the midst of rows that go by the piece ends them, and the pool goes on.
//
// feature: S7
func TestPacksLeft(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for round := range 30 {
		n := 0
		for v, err := range square.Map(t.Context(), pool, count(1<<40)) {
			if err != nil || v != n*n {
				t.Fatalf("round %d, row %d: %d, %v", round, n, v, err)
			}
			if n++; n == round*round*10+1 {
				break
			}
		}
		if v, err := square.Call(t.Context(), pool, round); err != nil || v != round*round {
			t.Fatalf("round %d: %d, %v", round, v, err)
		}
	}
	if err := pool.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if s := pool.Stats(); s.Queued != 0 || s.Running != 0 || s.Deaths != 0 {
		t.Errorf("%+v", s)
	}
}

// Rows that wait by the piece end with the reason when no worker can be started any more, and when the pool is closed; when a rank
// retires they run on others.
//
// feature: S12
func TestPacksWithoutWorkers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o      xme.Options
		strike func(*xme.Pool)
		why    error
	}{
		"not started": {xme.Options{Workers: 1, Spares: -1, Setup: dies.Setup("once " + filepath.Join(t.TempDir(), "made"))}, func(p *xme.Pool) { xmetest.Kill(t, p, 1) }, xme.ErrWorkerLost},
		"closed":      {xme.Options{Workers: 2}, func(p *xme.Pool) { _ = p.Close() }, xme.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, quiet(tc.o))
			n, failed := 0, 0
			for v, err := range square.Map(t.Context(), pool, count(20_000)) {
				switch {
				case err == nil && v != n*n:
					t.Fatalf("row %d is %d", n, v)
				case err != nil && !errors.Is(err, tc.why):
					t.Fatalf("row %d: %v", n, err)
				case err != nil:
					failed++
				}
				if n++; n == 3000 {
					tc.strike(pool)
				}
			}
			if n > 20_001 || failed == 0 {
				t.Errorf("%d rows, of which %d failed", n, failed)
			}
		})
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	n := 0
	for v, err := range square.Map(t.Context(), pool, count(20_000)) {
		if n == 3000 {
			go func() { _ = pool.Retire(context.WithoutCancel(t.Context()), 2) }()
		}
		if err != nil || v != n*n {
			t.Fatalf("row %d is %d, %v", n, v, err)
		}
		n++
	}
	if n != 20_000 {
		t.Errorf("%d rows", n)
	}
}

// dozes takes a millisecond.
var dozes = xme.Register("dozes", func(_ context.Context, n int) (int, error) {
	<-time.After(time.Millisecond)
	return n, nil
})

// Of rows that take a while no more are under way than there are of those that do not go by the piece: others wait behind them.
//
// feature: S7
func TestPacksAhead(t *testing.T) {
	t.Parallel()
	const workers, ahead = 2, 512
	pool := xmetest.Open(t, xme.Options{Workers: workers})
	n, most := 0, 0
	for _, err := range dozes.Map(t.Context(), pool, count(1<<40)) {
		if err != nil {
			t.Fatal(err)
		}
		s := pool.Stats()
		most = max(most, s.Queued+s.Running)
		if n++; n == 1500 {
			break
		}
	}
	if most > ahead*(2+workers) || most < ahead {
		t.Errorf("%d rows were under way at once", most)
	}
}
