package ring_test

import (
	"errors"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// FuzzSchedule runs both sides in an order that the fuzzer chooses, against a model:
// rows are claimed in order, once, or taken back; results arrive in order; nothing is
// said to be corrupt.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte("ppPccCrrTpPc"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 255, 254, 128, 127, 64, 63})
	f.Fuzz(func(t *testing.T, ops []byte) {
		b := newBoth()
		var waiting, claimed, answered []uint64 // rows in the lane, by what became of them
		var rows []ring.Row                     // those that are claimed
		published := 0                          // of waiting
		next := uint64(0)
		for _, op := range ops {
			size := 8 + int(op>>3)*8
			switch op % 6 {
			case 0:
				body := make([]byte, size)
				fill(body, next)
				if b.rows.Put(ring.Row{Call: next, Body: body}) {
					waiting = append(waiting, next)
					next++
				} else if len(waiting)+len(claimed)+len(answered) == 0 {
					t.Fatal("no room in an empty ring")
				}
			case 1:
				must(t, b.rows.Publish())
				published = len(waiting)
			case 2:
				row, ok, err := b.claims.Claim()
				must(t, err)
				if ok != (published > 0) {
					t.Fatalf("claimed: %v, of %d published", ok, published)
				}
				if ok {
					if row.Call != waiting[0] || !intact(row.Body, waiting[0]) {
						t.Fatalf("claimed %d, want %d", row.Call, waiting[0])
					}
					claimed, rows = append(claimed, waiting[0]), append(rows, row)
					waiting, published = waiting[1:], published-1
				}
			case 3:
				n, err := b.rows.TakeBack()
				must(t, err)
				if n != len(waiting) {
					t.Fatalf("took back %d of %d", n, len(waiting))
				}
				waiting, published = nil, 0
			case 4:
				if len(claimed) == 0 {
					continue
				}
				body := make([]byte, min(size, resultBytes/4))
				fill(body, claimed[0])
				if endOf(b.puts, rows[0], ring.Result{Call: uint32(claimed[0]), Body: body}) {
					answered = append(answered, claimed[0])
					claimed, rows = claimed[1:], rows[1:]
				} else if len(answered) == 0 {
					t.Fatal("no room for a result in an empty ring")
				}
			case 5:
				res, ok, err := b.results.Next()
				must(t, err)
				if ok != (len(answered) > 0) {
					t.Fatalf("result: %v, of %d", ok, len(answered))
				}
				if ok {
					if res.Call != uint32(answered[0]) || !intact(res.Body, answered[0]) {
						t.Fatalf("result of %d, want %d", res.Call, answered[0])
					}
					answered = answered[1:]
					b.rows.Ended(1)
					b.results.Release()
				}
			}
			n, err := b.rows.Claimed()
			must(t, err)
			if n != len(claimed)+len(answered) {
				t.Fatalf("%d claimed, want %d", n, len(claimed)+len(answered))
			}
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzGarbage overwrites part of a lane under the driver's hands: it may read wrong
// bytes, but it ends, within bounds, with results or ErrCorrupt.
func FuzzGarbage(f *testing.F) {
	f.Add(uint16(0), []byte("32 bytes of rubbish, more or less"))
	f.Add(uint16(192), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint16(192), []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 97, 0, 0, 0})
	f.Add(uint16(640+rowBytes), []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add(uint16(640+rowBytes), []byte{0xf4, 1, 0, 0}) // 500 bytes where 64 were published
	f.Fuzz(func(t *testing.T, at uint16, rubbish []byte) {
		mem := memory()
		l := ring.NewLane(mem, rowBytes)
		rows, claims, puts, results := l.RowWriter(most), l.RowReader(), l.ResultWriter(), l.ResultReader()
		body := make([]byte, 40)
		for i := range uint64(8) {
			rows.Put(ring.Row{Call: i, Body: body})
			must(t, rows.Publish())
			if i%2 == 0 {
				_, _, _ = claims.Claim()
				puts.Put(ring.Result{Call: uint32(i), Body: body}, true)
			}
		}
		copy(mem[int(at)%len(mem):], rubbish)
		read := 0
		for {
			res, ok, err := results.Next()
			if err != nil && !errors.Is(err, ring.ErrCorrupt) {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if read += len(res.Body) + 1; read > len(mem) {
				t.Fatal("it reads without an end")
			}
		}
		_, _ = rows.Claimed()
		_, _ = rows.TakeBack()
		rows.Put(ring.Row{Body: body})
		_ = rows.Publish()
		for range most {
			if _, ok, err := claims.Claim(); !ok || err != nil {
				break
			}
		}
	})
}
