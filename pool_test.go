package xme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/long"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// patience bounds waiting against hanging only.
const patience = time.Minute

// gate is an argument of rows that say when they begin and wait until they may end.
type gate struct {
	Row  int
	Said *os.File // the row's number is written here
	Wait *os.File // a byte is read from here
}

var (
	square = xme.Register("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	upper  = xme.Register("upper", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })
	getpid = xme.Register("getpid", func(context.Context, int) (int, error) { return os.Getpid(), nil })
	exit   = xme.Register("exit", func(_ context.Context, code int) (int, error) { os.Exit(code); return 0, nil })
	bytes_ = xme.Register("bytes", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	length = xme.Register("length", func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	makeN  = xme.Register("make", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	pass   = xme.Register("pass", func(_ context.Context, g gate) (int, error) {
		if _, err := g.Said.Write([]byte{byte(g.Row)}); err != nil {
			return 0, err
		}
		_, err := g.Wait.Read(make([]byte, 1))
		return g.Row, err
	})
	remember = xme.Register("remember", func(_ context.Context, n int) (int, error) {
		old := memory
		if n != 0 {
			memory = n
		}
		return old, nil
	})
	environ = xme.Register("environ", func(_ context.Context, key string) (string, error) {
		dir, err := os.Getwd()
		return os.Getenv(key) + " " + dir, err
	})
)

// memory is a global of a worker.
var memory int

// gates opens the two pipes of a gate.
func gates(t *testing.T) (begun *os.File, g gate, release *os.File) {
	t.Helper()
	begun, said, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{begun, said, wait, release} {
			_ = f.Close()
		}
	})
	return begun, gate{Said: said, Wait: wait}, release
}

// readBegun reads the numbers of n rows that have begun.
func readBegun(t *testing.T, begun *os.File, n int) []int {
	t.Helper()
	_ = begun.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, n)
	if _, err := io.ReadFull(begun, b); err != nil {
		t.Fatalf("waiting for %d rows to begin: %v", n, err)
	}
	var rows []int
	for _, x := range b {
		rows = append(rows, int(x))
	}
	return rows
}

// Five workers, ten rows: rows 0 to 4 begin, 5 to 9 wait; one more begins when one
// ends. Rows that travel alone begin strictly in order; short ones may be a row per
// worker ahead of it.
// feature: S3, S6, U1
func TestRowsWaitInOrder(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*xme.Func[gate, int]{"together": pass, "alone": pass.With(xme.On(1, 2, 3, 4, 5))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, xme.Options{Workers: 5})
			waitForRanks(t, pool, 5)
			begun, g, release := gates(t)
			var tab xme.Table
			rows := f.Add(&tab, xme.Split(func(i int) gate { return gate{i, g.Said, g.Wait} }, make(xme.Array[int], 10)))
			ran := make(chan error, 1)
			go func() { ran <- tab.Run(t.Context(), pool) }()
			began := readBegun(t, begun, 5)
			slices.Sort(began)
			if !slices.Equal(began, []int{0, 1, 2, 3, 4}) {
				t.Errorf("rows %v began first, want 0 to 4", began)
			}
			wait(t, func() bool { return pool.Stats().Queued == 5 })
			if n := pool.Stats().Running; n != 5 {
				t.Errorf("%d rows run at once, want 5", n)
			}
			for range 5 {
				_, _ = release.Write([]byte{0})
				began = append(began, readBegun(t, begun, 1)...)
			}
			want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
			if name == "together" {
				slices.Sort(began)
			}
			if !slices.Equal(began, want) {
				t.Errorf("rows began in the order %v", began)
			}
			_, _ = release.Write(make([]byte, 5))
			if err := <-ran; err != nil {
				t.Fatal(err)
			}
			got, err := rows.Values()
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("results %v, %v; want them in table order", got, err)
			}
		})
	}
}

// wait polls until it is so; it fails the test after patience.
func wait(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain", patience)
		}
	}
}

// waitForRanks waits until all workers are up: Open returns with the first.
func waitForRanks(t *testing.T, pool *xme.Pool, n int) {
	t.Helper()
	wait(t, func() bool { return len(pool.Ranks()) == n })
}

// A slow row holds up nobody: all others end while it runs.
// feature: S3
func TestSlowRowHoldsUpNobody(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	begun, g, release := gates(t)
	for i := range 50 { // so that short rows travel in company
		if _, err := pass0.Call(t.Context(), pool, mixed{N: i}); err != nil {
			t.Fatal(err)
		}
	}
	var tab xme.Table
	rows := pass0.Add(&tab, func(yield func(mixed) bool) {
		for i := range 2000 {
			m := mixed{N: i}
			if i == 100 {
				m.Gate = &gate{i, g.Said, g.Wait}
			}
			if !yield(m) {
				return
			}
		}
	})
	ran := make(chan error, 1)
	go func() { ran <- tab.Run(t.Context(), pool) }()
	readBegun(t, begun, 1)
	wait(t, func() bool { return pool.Stats().Done == 50+1999 }) // all but one
	_, _ = release.Write([]byte{0})
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	got, err := rows.Values()
	if err != nil || len(got) != 2000 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("row %d gave %d", i, n)
		}
	}
}

type mixed struct {
	N    int
	Gate *gate
}

var pass0 = xme.Register("mixed", func(_ context.Context, m mixed) (int, error) {
	if m.Gate != nil {
		_, _ = m.Gate.Said.Write([]byte{1})
		_, _ = m.Gate.Wait.Read(make([]byte, 1))
	}
	return m.N, nil
})

// A worker that dies fails the row it ran and no other, and is replaced under its
// rank.
// feature: S12
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.Options{"socket": {Workers: 2}, "pipes": {Workers: 2, Link: xme.LinkPipe}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := xmetest.Open(t, o)
			rows := 0
			for n, err := range exitOn.Map(t.Context(), pool, count(200)) {
				var e *xme.Error
				switch {
				case rows%50 == 7:
					if !errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) {
						t.Fatalf("row %d: %v, want ErrWorkerLost", rows, err)
					}
					if e.Row != rows || e.ExitCode != 5 || e.Rank < 1 || e.Rank > 2 || e.PID == 0 {
						t.Errorf("row %d: %+v", rows, *e)
					}
				case err != nil || n != rows:
					t.Fatalf("row %d: %d, %v", rows, n, err)
				}
				rows++
			}
			if rows != 200 {
				t.Errorf("%d rows", rows)
			}
			waitForRanks(t, pool, 2)
			if d := pool.Stats().Deaths; d != 4 {
				t.Errorf("%d deaths counted, want 4", d)
			}
		})
	}
}

var exitOn = xme.Register("exitOn", func(_ context.Context, n int) (int, error) {
	if n%50 == 7 {
		os.Exit(5)
	}
	return n, nil
})

func count(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// A killed worker's row says so; rows that were sent but had not begun run on.
// feature: S12
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	begun, g, _ := gates(t)
	slow := pass.Go(t.Context(), pool, g)
	next := square.Go(t.Context(), pool, 9)
	readBegun(t, begun, 1)
	xmetest.Kill(t, pool, 1)
	_, err := slow.Wait(t.Context())
	var e *xme.Error
	if !errors.As(err, &e) || !errors.Is(err, xme.ErrWorkerLost) || runtime.GOOS != "windows" && e.Signal != "SIGKILL" {
		t.Errorf("the row that ran: %v", err)
	}
	if n, err := next.Wait(t.Context()); n != 81 || err != nil {
		t.Errorf("the row behind it: %d, %v", n, err)
	}
}

// Pools are built once: the same processes serve call after call, and keep their
// globals.
// feature: F12, S7
func TestWorkersStay(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1})
	pid, err := getpid.Call(t.Context(), pool, 0)
	if err != nil || pid == os.Getpid() {
		t.Fatalf("pid %d, %v", pid, err)
	}
	if _, err := remember.Call(t.Context(), pool, 5); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := getpid.Call(t.Context(), pool, 0); again != pid || err != nil {
			t.Fatalf("pid %d, %v; want %d", again, err, pid)
		}
	}
	if n, err := remember.Call(t.Context(), pool, 0); n != 5 || err != nil {
		t.Errorf("the worker's global is %d, %v; want 5", n, err)
	}
	if memory != 0 {
		t.Error("the driver's global changed")
	}
	if w := pool.Workers(); len(w) != 1 || w[0].PID != pid || w[0].Rank != 1 {
		t.Errorf("Workers: %+v", w)
	}
	if s := pool.Stats(); s.Starts != 1 || s.Done < 23 {
		t.Errorf("Stats: %+v", s)
	}
}

// An argument that cannot be encoded ends its own call and leaves no worker taken.
// feature: F6
func TestArgumentThatCannotCross(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	for i := range 50 {
		_, err := plain.Call(t.Context(), pool, map[string]any{"deep": []any{1, func() {}}})
		if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), "func()") {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if out, err := plain.Call(t.Context(), pool, map[string]any{"n": 1}); err != nil || out["n"] != 1 {
		t.Errorf("afterwards: %v, %v", out, err)
	}
}

var plain = xme.Register("plain", func(_ context.Context, m map[string]any) (map[string]any, error) { return m, nil })

// feature: S9
func TestOverTheLimit(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, MaxMessage: 1000})
	_, err := length.Call(t.Context(), pool, make([]byte, 1001))
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), "Options.MaxMessage (1000)") {
		t.Errorf("argument over the limit: %v", err)
	}
	if s := pool.Workers()[0]; s.Done != 0 {
		t.Errorf("the worker saw it: %+v", s)
	}
	_, err = makeN.Call(t.Context(), pool, 1001)
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), "result of") {
		t.Errorf("result over the limit: %v", err)
	}
	if n, err := length.Call(t.Context(), pool, make([]byte, 900)); n != 900 || err != nil {
		t.Errorf("within the limit: %d, %v", n, err)
	}
}

// feature: S7
func TestLargeValues(t *testing.T) {
	t.Parallel()
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkPipe} {
		sizes := []int{1 << 20, 48 << 20}
		if long.Wanted() {
			sizes[1] = 256 << 20
		}
		if raced {
			sizes = sizes[:1]
		}
		for _, size := range sizes {
			pool := xmetest.Open(t, xme.Options{Workers: 1, Link: link})
			big := make([]byte, size)
			for i := range big {
				big[i] = byte(i>>10 ^ i)
			}
			back, err := bytes_.Call(t.Context(), pool, big)
			if err != nil || !bytes.Equal(back, big) {
				t.Errorf("%d bytes came back changed, error %v", size, err)
			}
			_ = pool.Close()
		}
	}
}

// feature: S7
func TestManyFutures(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	futures := 100_000
	if raced {
		futures = 20_000
	}
	fs := make([]*xme.Future[int], futures)
	for i := range fs {
		fs[i] = square.Go(t.Context(), pool, i)
	}
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for i, f := range fs { // one goroutine each: all wait at once
		wg.Go(func() {
			if n, err := f.Wait(t.Context()); n != i*i || err != nil {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d of %d futures are wrong", n, len(fs))
	}
}

// A million rows in order; the driver's memory stays where it was.
// feature: S7
func TestMillionRows(t *testing.T) {
	rows := 1_000_000
	if raced {
		rows = 100_000
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.Sys, uint64(0)
	i := 0
	for n, err := range square.Map(t.Context(), pool, count(rows)) {
		if n != i*i || err != nil {
			t.Fatalf("row %d: %d, %v", i, n, err)
		}
		if i++; i%10_000 == 0 {
			runtime.ReadMemStats(&m)
			most = max(most, m.Sys)
		}
	}
	if i != rows {
		t.Errorf("%d rows", i)
	}
	if grown := int64(most) - int64(before); grown > 64<<20 {
		t.Errorf("the driver grew by %d MiB", grown>>20)
	}
}

// feature: S2
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o    xme.Options
		want string
	}{
		"workers":      {xme.Options{Workers: -1}, "Options.Workers is -1"},
		"queue":        {xme.Options{Queue: -1}, "Options.Queue"},
		"message":      {xme.Options{MaxMessage: 1 << 40}, "Options.MaxMessage"},
		"directory":    {xme.Options{Dir: "/does/not/exist"}, "Options.Dir"},
		"environment":  {xme.Options{Env: []string{"NOVALUE"}}, `Options.Env[0] is "NOVALUE"`},
		"link":         {xme.Options{Link: 99}, "Options.Link is 99"},
		"shared":       {xme.Options{Shared: -1}, "Options.Shared is -1 bytes"},
		"setup refuse": {xme.Options{Workers: 1, Setup: plain.Setup(map[string]any{"c": make(chan int)})}, "chan int"},
		"setup fails":  {xme.Options{Workers: 1, Setup: exit.Setup(4)}, "exit status 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tc.o, tc.want)
		})
	}
}

// feature: S2
func TestEnvironmentAndDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Env: []string{"COLOUR=green"}, Dir: dir})
	for range 2 {
		got, err := environ.Call(t.Context(), pool, "COLOUR")
		if err != nil || got != "green "+dir {
			t.Errorf("the worker sees %q, %v", got, err)
		}
		if role, err := environ.Call(t.Context(), pool, "XME_WORKER"); err != nil || role != " "+dir {
			t.Errorf("the worker's children would see its role: %q, %v", role, err)
		}
		xmetest.Kill(t, pool, 1) // the replacement too
	}
}

// feature: S7
func TestSetupRunsFirst(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2, Setup: remember.Setup(11)})
	waitForRanks(t, pool, 2)
	for _, deaths := range []uint64{2, 4} {
		for _, f := range remember.Broadcast(t.Context(), pool, 0) {
			if n, err := f.Wait(t.Context()); n != 11 || err != nil {
				t.Errorf("setup left %d, %v; want 11", n, err)
			}
		}
		for rank := 1; rank <= 2; rank++ {
			xmetest.Kill(t, pool, rank)
		}
		waitForDeaths(t, pool, deaths)
	}
}

func waitForDeaths(t *testing.T, pool *xme.Pool, n uint64) {
	t.Helper()
	wait(t, func() bool { return pool.Stats().Deaths == n && len(pool.Ranks()) == len(pool.Workers()) })
}

// Close ends everything: what waits, what runs, and what will not listen.
// feature: S7
func TestClose(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: 10 * time.Millisecond})
	begun, g, _ := gates(t)
	slow := pass.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	waiting := square.Go(t.Context(), pool, 2)
	done := square.Go(t.Context(), pool, 3)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = pool.Close() })
	}
	wg.Wait()
	for name, f := range map[string]*xme.Future[int]{"running": slow, "waiting": waiting, "last": done} {
		select {
		case <-f.Done():
		default:
			t.Fatalf("the %s call has not ended when Close returns", name)
		}
		if _, err := f.Wait(t.Context()); !errors.Is(err, xme.ErrClosed) {
			t.Errorf("the %s call: %v, want ErrClosed", name, err)
		}
	}
	if _, err := square.Call(t.Context(), pool, 1); !errors.Is(err, xme.ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
}

var setsUp = xme.Register("setsUp", func(context.Context, *os.File) (int, error) { return 0, nil })

// Who closes at the same moment as others gives what the set-up call holds back once: under the race detector, which sees it twice.
// feature: S2
func TestCloseTogether(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for range 3 {
		pool := xmetest.Open(t, xme.Options{Workers: 1, Setup: setsUp.Setup(f)})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _ = pool.Close() })
		}
		wg.Wait()
	}
}

// A cancelled row that does not listen loses its worker after the grace period.
// feature: S7
func TestCancelStubborn(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Grace: 10 * time.Millisecond})
	begun, g, _ := gates(t)
	f := pass.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	f.Cancel()
	if _, err := f.Wait(t.Context()); !errors.Is(err, context.Canceled) || errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("a cancelled call that does not listen: %v", err)
	}
	if n, err := square.Call(t.Context(), pool, 5); n != 25 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	if d := pool.Stats().Deaths; d != 1 {
		t.Errorf("%d workers were killed, want 1", d)
	}
}

// feature: S7
func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	var fs []*xme.Future[int]
	for i := range 500 {
		fs = append(fs, square.Go(t.Context(), pool, i))
	}
	if err := pool.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, f := range fs {
		if n, err := f.Wait(t.Context()); n != i*i || err != nil {
			t.Fatalf("call %d: %d, %v", i, n, err)
		}
	}
	if _, err := square.Call(t.Context(), pool, 1); !errors.Is(err, xme.ErrClosed) {
		t.Errorf("a call after Shutdown: %v", err)
	}
}

// A full queue blocks Go until its context ends; nothing is lost.
// feature: S7
func TestFullQueue(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, Queue: 2})
	begun, g, release := gates(t)
	first := pass.Go(t.Context(), pool, g)
	readBegun(t, begun, 1)
	second := square.Go(t.Context(), pool, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := square.Go(ctx, pool, 3).Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call with no room: %v", err)
	}
	third := make(chan *xme.Future[int])
	go func() { third <- square.Go(t.Context(), pool, 4) }()
	_, _ = release.Write([]byte{0})
	for f, want := range map[*xme.Future[int]]int{first: 0, second: 4, <-third: 16} {
		if n, err := f.Wait(t.Context()); n != want || err != nil {
			t.Errorf("%d, %v; want %d", n, err, want)
		}
	}
}

// Several Adds, a function twice.
// feature: S8, F25
func TestSeveralFunctions(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	var tab xme.Table
	a := square.Add(&tab, xme.Repeat(3, 4))
	b := upper.Add(&tab, slices.Values([]string{"x", "y"}))
	c := square.Add(&tab, count(2))
	none := upper.Add(&tab, count0)
	if err := tab.Run(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	av, _ := a.Values()
	bv, _ := b.Values()
	cv, _ := c.Values()
	nv, err := none.Values()
	if got := fmt.Sprint(av, bv, cv, nv, err); got != "[16 16 16] [X Y] [0 1] [] <nil>" {
		t.Error(got)
	}
	var empty xme.Table
	if err := empty.Run(t.Context(), pool); err != nil {
		t.Errorf("an empty table: %v", err)
	}
}

func count0(func(string) bool) {}

// feature: U3
func TestFilesNeedTheSocket(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("pipes carry files there")
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Link: xme.LinkPipe})
	_, g, _ := gates(t)
	_, err := pass.Call(t.Context(), pool, g)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "socket link") {
		t.Errorf("a file on the pipe link: %v", err)
	}
	if n, err := square.Call(t.Context(), pool, 3); n != 9 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// executors are what a test is run on whose rows must end alike wherever they run; a pool has so many workers.
func executors(workers int) map[string]func(*testing.T) xme.Executor {
	return map[string]func(*testing.T) xme.Executor{
		"pool":       func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: workers}) },
		"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: workers}) },
		"inline":     func(*testing.T) xme.Executor { return xme.Inline() },
	}
}
