package link_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

func event(f *link.Flight, kind wire.Kind, call uint64) error {
	_, err := f.Event(link.Frame{Kind: kind, Call: call})
	return err
}

// Frames that do not fit a row's state are errors: the link is broken.
func TestFlightRefusesEventsOutOfTurn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before []wire.Kind // events on call 1, which is followed by call 2
		recall bool
		kind   wire.Kind
		call   uint64
		ok     bool
	}{
		"start":                   {nil, false, wire.KindStart, 1, true},
		"start of the second":     {nil, false, wire.KindStart, 2, false},
		"result before start":     {nil, false, wire.KindResult, 1, false},
		"start twice":             {[]wire.Kind{wire.KindStart}, false, wire.KindStart, 1, false},
		"result":                  {[]wire.Kind{wire.KindStart}, false, wire.KindResult, 1, true},
		"failure":                 {[]wire.Kind{wire.KindStart}, false, wire.KindFail, 1, true},
		"result twice":            {[]wire.Kind{wire.KindStart, wire.KindResult}, false, wire.KindResult, 1, false},
		"given back unasked":      {nil, false, wire.KindRecalled, 1, false},
		"given back":              {nil, true, wire.KindRecalled, 1, true},
		"given back while run":    {[]wire.Kind{wire.KindStart}, true, wire.KindRecalled, 1, false},
		"start although recalled": {nil, true, wire.KindStart, 1, true},
		"unknown call":            {nil, false, wire.KindStart, 99, false},
		"call zero":               {nil, false, wire.KindStart, 0, false},
		"wrong kind":              {nil, false, wire.KindCall, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f link.Flight
			r := &link.Row{}
			f.Send(r)
			f.Send(&link.Row{})
			for _, k := range tc.before {
				if err := event(&f, k, 1); err != nil {
					t.Fatal(err)
				}
			}
			if tc.recall {
				f.Recall(r, wire.KindRecall)
			}
			if err := event(&f, tc.kind, tc.call); (err == nil) != tc.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Any legal order of events keeps the counts; losing the link charges the row that
// ran and returns the others in order.
func TestFlightRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var f link.Flight
		var rows []*link.Row // in flight, in order
		bytes := 0
		for range 200 {
			switch rnd.IntN(4) {
			case 0, 1:
				r := &link.Row{Body: make([]byte, rnd.IntN(10))}
				if fr := f.Send(r); fr.Call != r.Call() || r.State() != link.Sent {
					t.Fatalf("sent as call %d, state %d", fr.Call, r.State())
				}
				rows = append(rows, r)
				bytes += len(r.Body)
			case 2:
				if len(rows) == 0 {
					continue
				}
				r := rows[0]
				if r.State() == link.Sent {
					bytes -= len(r.Body)
					must(t, event(&f, wire.KindStart, r.Call()))
				}
				must(t, event(&f, wire.KindResult, r.Call()))
				rows = rows[1:]
			case 3:
				i := rnd.IntN(len(rows) + 1)
				if i == len(rows) || rows[i].State() != link.Sent {
					continue
				}
				r := rows[i]
				if _, ok := f.Recall(r, wire.KindRecall); !ok {
					t.Fatal("cannot be recalled")
				}
				if _, ok := f.Recall(r, wire.KindRecall); ok {
					t.Fatal("recalled twice")
				}
				bytes -= len(r.Body)
				must(t, event(&f, wire.KindRecalled, r.Call()))
				if r.State() != link.Queued || r.Flight() != nil {
					t.Fatalf("state %d after it was given back", r.State())
				}
				rows = append(rows[:i:i], rows[i+1:]...)
			}
			if f.Len() != len(rows) || f.Bytes() != bytes {
				t.Fatalf("seed %d: %d rows, %d bytes; want %d, %d", seed, f.Len(), f.Bytes(), len(rows), bytes)
			}
			if len(rows) > 0 && f.Front() != rows[0] || len(rows) == 0 && f.Front() != nil {
				t.Fatalf("seed %d: wrong front", seed)
			}
		}
		var running *link.Row
		if len(rows) > 0 && rnd.IntN(2) == 0 {
			running, rows = rows[0], rows[1:]
			must(t, event(&f, wire.KindStart, running.Call()))
		}
		started, waiting := f.Lose()
		if started != running || len(waiting) != len(rows) || f.Len() != 0 {
			t.Fatalf("seed %d: lost %p and %d rows; want %p and %d", seed, started, len(waiting), running, len(rows))
		}
		for i, r := range waiting {
			if r != rows[i] || r.State() != link.Queued {
				t.Fatalf("seed %d: row %d of the lost is another, or in state %d", seed, i, r.State())
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A row that has ended can be sent as another, and remembers nothing.
func TestRowRenewed(t *testing.T) {
	t.Parallel()
	var f link.Flight
	r := &link.Row{Cancelled: io.EOF}
	r.Renew()
	if r.Cancelled == nil {
		t.Error("a new row was renewed")
	}
	for range 3 {
		f.Send(r)
		if err := errors.Join(event(&f, wire.KindStart, r.Call()), event(&f, wire.KindResult, r.Call())); err != nil {
			t.Fatal(err)
		}
		r.Unbegun, r.Lost, r.Kills, r.Astray = io.EOF, 1, 1, true
		r.Renew()
		if r.State() != link.Queued || r.Cancelled != nil || r.Unbegun != nil || r.Lost+r.Kills != 0 || r.Astray {
			t.Errorf("renewed: %+v", r)
		}
	}
}
