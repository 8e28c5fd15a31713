package ring_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/ring"
)

const (
	rowBytes    = 1 << 10
	resultBytes = 1 << 9
	most        = 16
)

// memory returns aligned memory for a lane.
func memory() []byte {
	mem := make([]byte, ring.Size(rowBytes, resultBytes)+ring.Align)
	for off := range ring.Align {
		if ring.Aligned(mem[off:]) {
			return mem[off : off+ring.Size(rowBytes, resultBytes)]
		}
	}
	panic("unreachable")
}

// both are the two sides of one lane.
type both struct {
	lane    *ring.Lane
	rows    *ring.RowWriter
	claims  *ring.RowReader
	puts    *ring.ResultWriter
	results *ring.ResultReader
}

func newBoth() both {
	l := ring.NewLane(memory(), rowBytes)
	return both{l, l.RowWriter(most), l.RowReader(), l.ResultWriter(), l.ResultReader()}
}

// A worker on another goroutine answers rows of every size while the driver takes
// back what it can: each row runs once, in order, whole, and every wait is woken.
// The race detector sees every access.
func TestTwoSides(t *testing.T) {
	t.Parallel()
	rows := 200_000
	if !long.Wanted() {
		rows = 20_000
	}
	b := newBoth()
	toWorker, toDriver := make(chan struct{}, 1), make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() { done <- answer(b, toWorker, toDriver) }()

	rnd := rand.New(rand.NewPCG(1, 2))
	var under []uint64 // what was put and not answered
	next, answered, taken := uint64(0), 0, 0
	scratch := make([]byte, rowBytes/4)
	for answered < rows {
		for len(under) < most && int(next) < rows+taken && rnd.IntN(4) > 0 {
			body := scratch[:8+rnd.IntN(rowBytes/4-8)]
			fill(body, next)
			if !b.rows.Put(ring.Row{Func: uint16(next), Call: next, Body: body}) {
				break
			}
			under = append(under, next)
			next++
		}
		if err := b.rows.Publish(); err != nil {
			t.Fatal(err)
		}
		if b.lane.Sleeper().Take() {
			ringBell(toWorker)
		}
		if rnd.IntN(8) == 0 {
			n, err := b.rows.TakeBack()
			if err != nil {
				t.Fatal(err)
			}
			taken += n
			under = under[:len(under)-n]
		}
		read := func() {
			for {
				res, ok, err := b.results.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					return
				}
				if len(under) == 0 || res.Call != uint32(under[0]) || !intact(res.Body, under[0]) {
					t.Fatalf("result of %d with %d bytes, where %v are under way", res.Call, len(res.Body), under)
				}
				under = under[1:]
				b.rows.Ended(1)
				answered++
			}
		}
		read()
		release(b, toWorker)
		if len(under) == 0 || rnd.IntN(4) > 0 {
			continue
		}
		b.lane.Watch().Arm(ring.First, b.rows.Number()-uint32(rnd.IntN(len(under))))
		if b.results.Ready() {
			b.lane.Watch().Disarm()
			continue
		}
		<-toDriver
	}
	close(toWorker)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func release(b both, toWorker chan struct{}) {
	b.results.Release()
	if b.lane.Wanter().Take() {
		ringBell(toWorker)
	}
}

func ringBell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// answer is the worker's side: it sends half of each body back.
func answer(b both, bell, toDriver chan struct{}) error {
	for {
		row, ok, err := b.claims.Claim()
		if err != nil {
			return err
		}
		if !ok {
			if b.puts.Due(true) != ring.Nobody {
				ringBell(toDriver)
			}
			b.lane.Sleeper().Set()
			if !b.claims.Waiting() {
				if _, open := <-bell; !open {
					return nil
				}
			}
			b.lane.Sleeper().Clear()
			continue
		}
		if row.Func != uint16(row.Call) || !intact(row.Body, row.Call) {
			return errors.New("a row arrived torn")
		}
		body := make([]byte, 8+(len(row.Body)-8)/2/2)
		fill(body, row.Call)
		for !endOf(b.puts, row, ring.Result{Kind: 1, Call: uint32(row.Call), Body: body}) {
			b.lane.Wanter().Set()
			if b.puts.Due(true) != ring.Nobody {
				ringBell(toDriver)
			}
			if b.puts.Room() {
				b.lane.Wanter().Clear()
				continue
			}
			if _, open := <-bell; !open {
				return errors.New("closed while a result waited for room")
			}
		}
		if b.puts.Due(!b.claims.Waiting()) != ring.Nobody {
			ringBell(toDriver)
		}
		if row.Call%64 == 0 {
			runtime.Gosched()
		}
	}
}

// endOf puts the end of a row, alone if it can be.
func endOf(w *ring.ResultWriter, row ring.Row, r ring.Result) bool {
	return row.Alone && w.PutAlone(r) || w.Put(r, true)
}

// TestAlone has rows of every size come alone and not, be taken back and be put again under the same number: who claims a row has that row, and who
// reads results has them in order, whichever way they went.
func TestAlone(t *testing.T) {
	t.Parallel()
	b := newBoth()
	b.rows.StartAt(1<<32 - 100) // numbers begin again
	rnd := rand.New(rand.NewPCG(3, 4))
	alone := 0
	for next := uint64(0); next < 5000; {
		var under []uint64
		for range 1 + rnd.IntN(3)*rnd.IntN(2) {
			body := make([]byte, 8+rnd.IntN(112))
			fill(body, next)
			if !b.rows.Put(ring.Row{Func: uint16(next), Call: next, Body: body}) {
				t.Fatal("no room")
			}
			under = append(under, next)
			next++
		}
		must(t, b.rows.Publish())
		claims := rnd.IntN(len(under) + 1)
		for _, want := range under[:claims] {
			row, ok, err := b.claims.Claim()
			must(t, err)
			if !ok || row.Call != want || row.Func != uint16(want) || !intact(row.Body, want) {
				t.Fatalf("claimed %+v, want %d", row, want)
			}
			if row.Alone {
				alone++
			}
			body := make([]byte, 8+rnd.IntN(112))
			fill(body, want)
			if !endOf(b.puts, row, ring.Result{Kind: 1, Call: uint32(want), Body: body}) {
				t.Fatal("no room for a result")
			}
		}
		n, err := b.rows.TakeBack()
		must(t, err)
		if n != len(under)-claims {
			t.Fatalf("took back %d of %d", n, len(under)-claims)
		}
		for _, want := range under[:claims] {
			if !b.results.Ready() {
				t.Fatal("a result that is not ready")
			}
			res, ok, err := b.results.Next()
			must(t, err)
			if !ok || res.Call != uint32(want) || !intact(res.Body, want) {
				t.Fatalf("result %+v, want that of %d", res, want)
			}
			b.rows.Ended(1)
		}
		if _, ok, err := b.results.Next(); ok || err != nil || b.results.Ready() {
			t.Fatal("a result too many: ", err)
		}
		b.results.Release()
	}
	if alone < 500 {
		t.Errorf("%d rows came alone", alone)
	}
}

// fill makes bytes that tell which row they are of, all over.
func fill(b []byte, n uint64) {
	binary.LittleEndian.PutUint64(b, n)
	for i := 8; i < len(b); i++ {
		b[i] = byte(n) + byte(i)
	}
}

func intact(b []byte, n uint64) bool {
	if len(b) < 8 || binary.LittleEndian.Uint64(b) != n {
		return false
	}
	for i := 8; i < len(b); i++ {
		if b[i] != byte(n)+byte(i) {
			return false
		}
	}
	return true
}

// Numbers go on beyond 32 bits: the word's halves must not disturb each other.
func TestCountersWrap(t *testing.T) {
	t.Parallel()
	b := newBoth()
	b.rows.StartAt(^uint32(0) - 5)
	for i := range uint64(20) {
		if !b.rows.Put(ring.Row{Call: i}) {
			t.Fatal("no room")
		}
		if err := b.rows.Publish(); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if n, err := b.rows.TakeBack(); n != 1 || err != nil {
				t.Fatalf("taken back %d, %v", n, err)
			}
			continue
		}
		row, ok, err := b.claims.Claim()
		if !ok || err != nil || row.Call != i {
			t.Fatalf("claimed %v, %v, %v, want call %d", row, ok, err, i)
		}
		if n, err := b.rows.Claimed(); n != 1 || err != nil {
			t.Fatalf("%d claimed, %v", n, err)
		}
		b.rows.Ended(1)
	}
	if _, ok, _ := b.claims.Claim(); ok {
		t.Error("claimed what was taken back")
	}
}

// A result that is not due rings nothing; the row asked for does, and so does idling.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		at    uint32
		ended int
		idle  bool
		want  uint8
	}{
		{"not yet", 3, 2, false, ring.Nobody},
		{"the one", 3, 3, false, ring.Second},
		{"later", 3, 4, false, ring.Second},
		{"nothing to do", 3, 1, true, ring.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth()
			b.lane.Watch().Arm(ring.Second, tc.at)
			for range tc.ended {
				b.puts.Put(ring.Result{}, true)
			}
			if got := b.puts.Due(tc.idle); got != tc.want {
				t.Errorf("bell %d, want %d", got, tc.want)
			}
			if got := b.puts.Due(true); tc.want != ring.Nobody && got != ring.Nobody {
				t.Error("rang twice")
			}
		})
	}
}

// Half a ring that is unread is due: who waited for room would run nothing.
func TestWatchHalfFull(t *testing.T) {
	t.Parallel()
	b := newBoth()
	body := make([]byte, 64)
	for lot := range 20 {
		b.lane.Watch().Arm(ring.Second, 1<<30)
		put := 0
		for b.puts.Due(false) == ring.Nobody {
			if !b.puts.Put(ring.Result{Body: body}, true) {
				t.Fatalf("lot %d: full after %d results, and nothing is due", lot, put)
			}
			put++
		}
		if put < 2 {
			t.Errorf("lot %d: due after %d results", lot, put)
		}
		for n := 0; ; n++ {
			if _, ok, err := b.results.Next(); err != nil || !ok {
				if n != put || err != nil {
					t.Errorf("read %d of %d, %v", n, put, err)
				}
				break
			}
		}
		b.results.Release()
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	s := newBoth()
	body := make([]byte, 24)
	for b.Loop() {
		s.rows.Put(ring.Row{Body: body})
		_ = s.rows.Publish()
		row, _, _ := s.claims.Claim()
		s.puts.Put(ring.Result{Body: row.Body[:8]}, true)
		_ = s.puts.Due(false)
		_, _, _ = s.results.Next()
		s.rows.Ended(1)
		s.results.Release()
	}
}
