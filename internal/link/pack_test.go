package link_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/link"
)

// packOwner counts what becomes of the rows of a pack, whose arguments are their place.
type packOwner struct {
	pack    *link.Pack
	ended   []int // by row
	singles map[*link.Row]int
}

func newPackOwner(rows int) *packOwner {
	o := &packOwner{ended: make([]int, rows), singles: map[*link.Row]int{}}
	o.pack = &link.Pack{Func: 7, Size: 1, Owner: o, Of: &link.Packs{}}
	for i := range rows {
		o.pack.Args = append(o.pack.Args, byte(i))
	}
	return o
}

func (o *packOwner) EndAtOnce(i int, _ []byte) { o.ended[i]++ }
func (o *packOwner) Told()                     {}
func (o *packOwner) Cut(int, int, error)       {}
func (o *packOwner) Index(i int) int           { return 1000 + i }

func (o *packOwner) Single(i int) *link.Row {
	r := &link.Row{Func: 7, Body: bytes.Clone(o.pack.Args[i : i+1])}
	o.singles[r] = i
	return r
}

// place returns the place of the first row that r stands for, and how many these are.
func (o *packOwner) place(r *link.Row) (first, n int) {
	if r.Pack == nil {
		return o.singles[r], 1
	}
	return int(r.Args(0)[0]), r.Count()
}

// Rows of a pack that are sent by the piece, end, are taken back, or become rows of their own, in any order, are each there exactly
// once, in order, with numbers that follow each other.
func TestFlightOfPieces(t *testing.T) {
	t.Parallel()
	const rows = 100
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		o := newPackOwner(rows)
		var f link.Flight
		waiting := []*link.Row{o.pack.Piece(0, rows)} // in order of Seq
		waiting[0].Seq = 50
		sent, ended := 0, 0 // in flight; all rows before have ended
		for step := 0; ended < rows; step++ {
			if step > 10_000 {
				t.Fatalf("seed %d: %d rows have ended", seed, ended)
			}
			if f.Len() != sent {
				t.Fatalf("seed %d: %d rows in flight, want %d", seed, f.Len(), sent)
			}
			switch rnd.IntN(5) {
			case 0, 1: // send
				if len(waiting) == 0 {
					continue
				}
				r := waiting[0]
				if first, _ := o.place(r); first != ended+sent || r.Seq != uint64(50+first) {
					t.Fatalf("seed %d: row %d, number %d, waits behind %d", seed, first, r.Seq, ended+sent)
				}
				call, n := f.NextCall(), r.Count()
				switch k := rnd.IntN(n) + 1; {
				case r.Pack == nil:
					f.Put(r)
					waiting = waiting[1:]
				case rnd.IntN(8) == 0:
					n = 1
					s := r.TakeFirst()
					if at := o.singles[s]; int(s.Body[0]) != at || s.Seq != uint64(50+at) {
						t.Fatalf("seed %d: row %d has arguments %v, number %d", seed, at, s.Body, s.Seq)
					}
					if r.Count() == 0 {
						waiting = waiting[1:]
					}
					r = s
					f.Put(r)
				case k < n:
					r, n = r.Split(k), k
					f.PutPiece(r)
				default:
					f.PutPiece(r)
					waiting = waiting[1:]
				}
				if r.Call() != call || r.State() != link.Sent || r.Count() != n {
					t.Fatalf("seed %d: call %d, want %d; state %d; %d rows, want %d", seed, r.Call(), call, r.State(), r.Count(), n)
				}
				sent += n
			case 2: // end
				if sent == 0 {
					continue
				}
				if r := f.Piece(); r != nil {
					call := uint32(r.Call()) + uint32(ended-int(r.Args(0)[0]))
					if _, ok := f.AnswerPiece(r, call+1); ok {
						t.Fatalf("seed %d: the end of another row was taken", seed)
					}
					i, ok := f.AnswerPiece(r, call)
					if !ok || r.Index(i) != 1000+ended {
						t.Fatalf("seed %d: row %d of a piece from %d on ended, %v; want %d", seed, i, r.Args(0)[0], ok, ended)
					}
					r.EndAtOnce(i, nil)
				} else {
					r := f.Front()
					if _, err := f.Answer(uint32(r.Call())); err != nil || r.State() != link.Ended {
						t.Fatalf("seed %d: %v, state %d", seed, err, r.State())
					}
					o.ended[o.singles[r]]++
				}
				ended++
				sent--
			case 3: // take back
				n := rnd.IntN(sent + 1)
				back := f.TakeBack(n, nil)
				total := 0
				for _, r := range back {
					if first, k := o.place(r); first != ended+sent-n+total || r.Seq != uint64(50+first) || r.State() != link.Queued {
						t.Fatalf("seed %d: %d rows from %d on, number %d, state %d, were taken back, want those from %d on", seed, k, first, r.Seq, r.State(), ended+sent-n+total)
					}
					total += r.Count()
				}
				if total != n {
					t.Fatalf("seed %d: %d rows taken back, want %d", seed, total, n)
				}
				sent -= n
				waiting = append(back, waiting...)
			default: // make some their own
				want := ended
				for r := range one(&f, rnd) {
					if o.singles[r] != want || int(r.Body[0]) != want || r.State() != link.Sent || r.Flight() != &f {
						t.Fatalf("seed %d: row %d with arguments %v, state %d, is at the place of %d", seed, o.singles[r], r.Body, r.State(), want)
					}
					want++
				}
			}
		}
		if slices.ContainsFunc(o.ended, func(n int) bool { return n != 1 }) {
			t.Fatalf("seed %d: rows ended %v times", seed, o.ended)
		}
	}
}

// one makes the front, or all rows, rows of their own, and yields them.
func one(f *link.Flight, rnd *rand.Rand) func(func(*link.Row) bool) {
	if rnd.IntN(2) == 0 {
		return f.Unbegun()
	}
	return func(yield func(*link.Row) bool) {
		if r := f.Front(); r != nil {
			yield(r)
		}
	}
}

// A link that is lost returns the rows of packs one by one.
func TestFlightLosesPieces(t *testing.T) {
	t.Parallel()
	o := newPackOwner(10)
	var f link.Flight
	f.PutPiece(o.pack.Piece(0, 10))
	f.Front()
	f.Started()
	other := newPackOwner(3)
	f.PutPiece(other.pack.Piece(0, 3))
	if f.Singles(other.pack.Of); !f.Has(o.pack.Of) || f.Has(other.pack.Of) {
		t.Errorf("rows of packs in flight: %v, %v", f.Has(o.pack.Of), f.Has(other.pack.Of))
	}
	if len(other.singles) != 3 || len(o.singles) != 1 {
		t.Fatalf("%d rows of the one pack and %d of the other are their own", len(o.singles), len(other.singles))
	}
	started, waiting := f.Lose()
	if started == nil || o.singles[started] != 0 || len(waiting) != 12 || f.Len() != 0 {
		t.Fatalf("row %d had begun, %d wait, %d are in flight", o.singles[started], len(waiting), f.Len())
	}
	for i, r := range waiting[:9] {
		if o.singles[r] != i+1 || r.State() != link.Queued {
			t.Errorf("row %d, state %d, is at the place of %d", o.singles[r], r.State(), i+1)
		}
	}
}
