package rpc

import (
	"errors"
	"strings"
	"testing"

	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

func row(i, size int) *xmev1.StreamResponse {
	return &xmev1.StreamResponse{Index: uint64(i), Result: strings.Repeat("x", size)}
}

// TestRowsOfLateReader: what a reader was given stays what it was, also if another takes over and lets go of it.
func TestRowsOfLateReader(t *testing.T) {
	l := &rowLog{limit: 1000}
	for i := range 3 {
		l.add(row(i, 1))
	}
	first, ok := l.attach(0)
	if !ok {
		t.Fatal("no reader")
	}
	rows, err := l.next(t.Context(), first, 0)
	if err != nil || len(rows) != 3 {
		t.Fatal(len(rows), err)
	}
	second, ok := l.attach(2)
	if !ok {
		t.Fatal("no second reader")
	}
	for i, r := range rows {
		if r == nil || r.GetIndex() != uint64(i) {
			t.Errorf("row %d is %v", i, r)
		}
	}
	l.confirm(first, 3)
	if rows, err := l.next(t.Context(), second, 2); err != nil || len(rows) != 1 {
		t.Errorf("who was superseded let go of what the reader needs: %d rows, %v", len(rows), err)
	}
	if _, err := l.next(t.Context(), first, 3); !errors.Is(err, errSuperseded) {
		t.Error(err)
	}
}

// TestRowsNotSent: a client cannot have rows that no reader was given.
func TestRowsNotSent(t *testing.T) {
	l := &rowLog{limit: 1000}
	l.add(row(0, 1))
	if _, ok := l.attach(1); ok {
		t.Error("row 0 is taken as received, and was not sent")
	}
	reader, _ := l.attach(0)
	if _, err := l.next(t.Context(), reader, 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.attach(1); !ok {
		t.Error("row 0 was sent, and is not taken as received")
	}
}

// TestRowsInFlight: as many rows are in flight as there may be, as long as results are small; few if they are large; one in any case.
func TestRowsInFlight(t *testing.T) {
	take := func(l *rowLog, most int) (n int) {
		for l.admits(most) && l.take(t.Context(), most) {
			n++
		}
		return n
	}
	l := &rowLog{limit: 10000}
	if n := take(l, 64); n != firstRows {
		t.Errorf("%d rows before one has come", n)
	}
	for i := range 8 {
		l.add(row(i, 1))
		take(l, 8)
	}
	if l.flying != 8 {
		t.Errorf("%d of 8 small rows are in flight", l.flying)
	}
	for i := range 8 {
		l.add(row(8+i, 3000))
	}
	if n := take(l, 64); n != 0 {
		t.Errorf("%d rows were taken into a full log", n)
	}
	reader, _ := l.attach(0)
	if _, err := l.next(t.Context(), reader, 0); err != nil {
		t.Fatal(err)
	}
	l.confirm(reader, 16)
	if n := take(l, 64); n != 3 {
		t.Errorf("%d rows of 3100 bytes in flight for 10000", n)
	}
	l = &rowLog{limit: 1}
	take(l, 4)
	l.flying = 1
	l.add(row(0, 100))
	l.attach(0)
	l.drop(1)
	if n := take(l, 4); n != 1 {
		t.Errorf("%d rows larger than what the log may hold", n)
	}
}
