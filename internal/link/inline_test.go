package link_test

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// lasting is a task that a reader runs; its body says how.
type lasting struct {
	row
	gone chan string
}

func (l *lasting) Run(f *link.Frame, dst []byte, done link.Done) {
	switch string(f.Body) {
	case "last": // longer than nobody may read
		<-time.After(20 * time.Millisecond)
		done(wire.KindResult, append(dst, "lasted"...), nil)
	case "block": // says so, and waits for what must be read
		if f.Blocks == nil {
			done(wire.KindFail, append(dst, "not run by the reader"...), nil)
			return
		}
		f.Blocks()
		done(wire.KindFail, append(dst, (<-l.cancelled).Error()...), nil)
	case "clean up": // when it is told to end
		why := <-l.cancelled
		<-time.After(20 * time.Millisecond)
		done(wire.KindFail, append(dst, "cleaned up, "+why.Error()...), nil)
	case "last and go":
		defer done(wire.KindFail, append(dst, "went"...), nil)
		<-time.After(20 * time.Millisecond)
		runtime.Goexit()
	default:
		l.row.Run(f, dst, done)
	}
}

// quietly serves on a socket, whose rows need no start frames.
func quietly(t *testing.T) (c link.Conn, begun *link.Begun, ended chan error) {
	t.Helper()
	if !sys.HasShared || !sys.HasSockets {
		t.Skip("no word to share, or no socket")
	}
	near, far := socketPair(t)
	c = link.NewConn(near, 1<<20)
	begun, f, err := link.OpenBegun()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		begun.Close()
	})
	ended = make(chan error, 1)
	go func() {
		ended <- link.Serve(t.Context(), link.NewConn(far, 1<<20), link.Side{Begin: func(*link.Frame) link.Task {
			return &lasting{row: row{cancelled: make(chan error, 8)}}
		}})
	}()
	c.Send(f)
	c.Flush()
	return c, begun, ended
}

func sendQuiet(c link.Conn, call uint64, body string) {
	c.Send(link.Frame{Kind: wire.KindCall, Call: call, Time: wire.Quiet, Body: []byte(body)})
	c.Flush()
}

// TestReaderRunsRows has rows of every kind end though the goroutine that has read them runs
// them: each result arrives, and what comes meanwhile is read.
func TestReaderRunsRows(t *testing.T) {
	t.Parallel()
	c, begun, ended := quietly(t)
	call := uint64(0)
	for range 20 {
		for _, step := range []struct {
			body string
			kind wire.Kind
			want string
		}{{"echo", wire.KindResult, "echo"}, {"last", wire.KindResult, "lasted"}, {"goexit", wire.KindFail, "ended"}, {"last and go", wire.KindFail, "went"}, {"echo", wire.KindResult, "echo"}} {
			call++
			sendQuiet(c, call, step.body)
			expect(t, c, step.kind, call, step.want)
			if begun.Last() != call {
				t.Fatalf("the word does not say that row %d is the last that began", call)
			}
		}
	}
	send(c, wire.KindBye, 0, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, _, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after bye: %v", err)
	}
}

// readerRuns serves as quietly does, and has the reader run row 4, with that body; it has begun.
func readerRuns(t *testing.T, body string) (c link.Conn, ended chan error) {
	t.Helper()
	c, begun, ended := quietly(t)
	for call := uint64(1); call < 4; call++ { // so that nobody is on his way to sleep
		sendQuiet(c, call, "echo")
		expect(t, c, wire.KindResult, call, "echo")
	}
	sendQuiet(c, 4, body)
	for begun.Last() != 4 {
		runtime.Gosched()
	}
	return c, ended
}

// TestByeWaitsForReadersRow lets a row end that its reader runs, and sends its end, though
// another goroutine has read the bye.
func TestByeWaitsForReadersRow(t *testing.T) {
	t.Parallel()
	for range 5 {
		c, ended := readerRuns(t, "clean up")
		send(c, wire.KindBye, 0, "")
		expect(t, c, wire.KindFail, 4, "cleaned up, link ended: context canceled")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestRowBehindReadersRow runs a row that another goroutine has read meanwhile.
func TestRowBehindReadersRow(t *testing.T) {
	t.Parallel()
	for range 5 {
		c, ended := readerRuns(t, "last")
		sendQuiet(c, 5, "echo")
		expect(t, c, wire.KindResult, 4, "lasted")
		expect(t, c, wire.KindResult, 5, "echo")
		send(c, wire.KindBye, 0, "")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestReaderHearsCancel answers a cancel of a quiet row with its start, and ends its context.
func TestReaderHearsCancel(t *testing.T) {
	t.Parallel()
	c, _, ended := quietly(t)
	recv := func() link.Frame {
		f, _, err := c.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	elsewhere := func(f link.Frame) bool { // the other goroutine was not yet asleep, and ran the row
		return f.Kind == wire.KindFail && string(f.Body) == "not run by the reader"
	}
	for call, heard := uint64(1), 0; heard < 10; call++ {
		sendQuiet(c, call, "block")
		send(c, wire.KindCancel, call, "")
		f := recv()
		if elsewhere(f) || f.Kind == wire.KindRecalled { // or the row was not begun
			continue
		}
		if f.Kind != wire.KindStart || f.Call != call {
			t.Fatalf("%v frame for call %d; want the start of %d", f.Kind, f.Call, call)
		}
		if f = recv(); elsewhere(f) { // the cancel was read before it ran
			continue
		}
		if f.Kind != wire.KindFail || f.Call != call || string(f.Body) != "context canceled" {
			t.Fatalf("%v frame for call %d, %q; want that %d failed as cancelled", f.Kind, f.Call, f.Body, call)
		}
		heard++
	}
	send(c, wire.KindBye, 0, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
