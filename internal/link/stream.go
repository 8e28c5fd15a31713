package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

const (
	readBuffer = 64 << 10
	// keepBody is the size from which a body is written from where it lies
	// rather than copied into the buffer of small frames.
	keepBody = 16 << 10
	// growBody is how much memory a frame's mere claim may cost at first; more
	// only as its bytes arrive.
	growBody = 1 << 20
	// maxPending bounds the files that came ahead of their frames.
	maxPending = 4 * 253
)

// NewConn makes a Conn over s. Bodies above limit are refused on receipt.
func NewConn(s sys.Stream, limit int) Conn {
	c := &streamConn{s: s, limit: limit, in: make([]byte, readBuffer)}
	c.written.L = &c.mu
	return c
}

// segment is a run of bytes to write, with the files its first byte carries.
type segment struct {
	b      []byte
	files  []*os.File
	parcel *wire.Parcel
	kept   bool // b is a caller's: do not append to it
}

type streamConn struct {
	s     sys.Stream
	limit int

	mu      sync.Mutex
	out     []segment
	queued  int  // bytes in out and in the writer's hands
	writing bool // a goroutine is between taking segments and writing them
	failed  bool
	closed  bool  // by Close
	why     error // what failed as it was written; nil: nothing, or the other side is gone
	written sync.Cond
	spare   []byte // a written buffer, for reuse

	// The rest belongs to the receiving goroutine.
	in         []byte
	start, end int
	files      []*os.File
}

func (c *streamConn) CarriesFiles() bool { return c.s.CarriesFiles() }

func (c *streamConn) Local() bool { return false }

func (c *streamConn) Pending() bool { return c.s.Pending() }

func (c *streamConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.s.Close()
	c.mu.Lock()
	c.fail()
	c.mu.Unlock()
	return err
}

// fail drops what is queued. c.mu is held.
func (c *streamConn) fail() {
	c.failed = true
	for _, s := range c.out {
		s.parcel.Close()
	}
	c.out = nil
	c.written.Broadcast()
}

func (c *streamConn) Send(f Frame) (kept bool) {
	h := wire.Header{Kind: f.Kind, Func: f.Func, Call: f.Call, Time: f.Time}
	var files []*os.File
	if f.Parcel != nil {
		for _, it := range f.Parcel.Items {
			files = append(files, it.File)
		}
	}
	h.Files = uint8(len(files))
	h.Len = uint32(len(f.Body) + len(files)*wire.IDSize)
	var head [wire.HeaderSize]byte
	h.Put(&head)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed {
		f.Parcel.Close()
		return false
	}
	// Files must go with the first byte of their frame, so it begins a segment.
	n := len(c.out)
	if n == 0 || c.out[n-1].kept || len(files) > 0 {
		c.out = append(c.out, segment{b: c.spare[:0], files: files, parcel: f.Parcel})
		c.spare = nil
		n++
	}
	s := &c.out[n-1]
	s.b = append(s.b, head[:]...)
	for i := range files {
		s.b = append(s.b, f.Parcel.Items[i].ID[:]...)
	}
	if len(f.Body) < keepBody {
		s.b = append(s.b, f.Body...)
	} else {
		c.out = append(c.out, segment{b: f.Body, kept: true})
		kept = true
	}
	c.queued += wire.HeaderSize + int(h.Len)
	return kept
}

// Flush writes what it can at once; a full socket is left to a goroutine that
// ends when nothing is queued.
func (c *streamConn) Flush() { c.write(true) }

func (c *streamConn) write(try bool) {
	c.mu.Lock()
	if c.writing && try {
		c.mu.Unlock()
		return // whoever writes takes what is queued too
	}
	c.writing = true
	for len(c.out) > 0 && !c.failed {
		s := c.out[0]
		// A buffer in the writer's hands must not be appended to.
		c.out[0] = segment{}
		c.out = c.out[1:]
		if len(c.out) == 0 {
			c.out = nil
		}
		c.mu.Unlock()

		n, err := c.writeSegment(s, try)

		c.mu.Lock()
		c.queued -= n
		if err != nil && !errors.Is(err, sys.ErrWouldBlock) {
			s.parcel.Close()
			c.fail()
			if !errors.Is(err, sys.ErrGone) {
				if !c.closed {
					c.why = err
				}
				_ = c.s.Close() // wakes the receiver, which sees the end itself otherwise
			}
			break
		}
		if n < len(s.b) {
			rest := segment{b: s.b[n:], files: s.files, parcel: s.parcel, kept: true}
			if n > 0 {
				rest.files = nil
			}
			c.out = append([]segment{rest}, c.out...)
			c.mu.Unlock()
			go c.write(false)
			return // still marked as writing: the goroutine goes on
		}
		s.parcel.Close()
		if !s.kept && cap(s.b) <= readBuffer {
			c.spare = s.b
		}
		c.written.Broadcast()
	}
	c.writing = false
	c.written.Broadcast()
	c.mu.Unlock()
}

func (c *streamConn) writeSegment(s segment, try bool) (int, error) {
	if try {
		return c.s.TryWrite(s.b, s.files)
	}
	return c.s.Write(s.b, s.files)
}

func (c *streamConn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

func (c *streamConn) Wait(limit int) {
	c.mu.Lock()
	for c.queued > limit && !c.failed {
		c.written.Wait()
	}
	c.mu.Unlock()
}

// fill reads until at least n bytes are buffered; n is at most the buffer's size.
func (c *streamConn) fill(n int) error {
	if c.end-c.start >= n {
		return nil
	}
	if c.start > 0 {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	}
	for c.end < n {
		m, err := c.read(c.in[c.end:])
		c.end += m
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *streamConn) read(b []byte) (int, error) {
	n, files, err := c.s.Read(b)
	c.files = append(c.files, files...)
	if len(c.files) > maxPending && err == nil {
		err = fmt.Errorf("%d files that no frame names", len(c.files))
	}
	if errors.Is(err, os.ErrClosed) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err = ErrClosed; c.why != nil {
			err = fmt.Errorf("write to the link: %w", c.why)
		}
	}
	return n, err
}

func (c *streamConn) Buffered() bool {
	have := c.end - c.start
	return have >= wire.HeaderSize && have-wire.HeaderSize >= int(binary.LittleEndian.Uint32(c.in[c.start:]))
}

func (c *streamConn) Recv() (f Frame, owned bool, err error) {
	defer func() {
		if err != nil {
			for _, file := range c.files {
				_ = sys.Release(file)
			}
			c.files = nil
		}
	}()
	if err := c.fill(wire.HeaderSize); err != nil {
		if errors.Is(err, io.EOF) && c.end > c.start {
			err = fmt.Errorf("link ended within a frame: %w", io.ErrUnexpectedEOF)
		}
		return Frame{}, false, err
	}
	h, err := wire.ParseHeader((*[wire.HeaderSize]byte)(c.in[c.start:]), c.limit)
	if err != nil {
		return Frame{}, false, err
	}
	c.start += wire.HeaderSize
	body, owned, err := c.body(int(h.Len))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("link ended within a frame: %w", io.ErrUnexpectedEOF)
		}
		return Frame{}, false, err
	}
	f = Frame{Kind: h.Kind, Func: h.Func, Call: h.Call, Time: h.Time, Body: body}
	if n := int(h.Files); n > 0 {
		if n > len(c.files) {
			return Frame{}, false, fmt.Errorf("%v frame names %d files, %d came", h.Kind, n, len(c.files))
		}
		f.Parcel = &wire.Parcel{}
		for i, file := range c.files[:n] {
			f.Parcel.Items = append(f.Parcel.Items, wire.Item{ID: [wire.IDSize]byte(body[i*wire.IDSize:]), File: file})
		}
		c.files = append([]*os.File(nil), c.files[n:]...)
		f.Body = body[n*wire.IDSize:]
	}
	return f, owned, nil
}

// body returns the next n bytes: out of the buffer, or owned by the caller.
func (c *streamConn) body(n int) (b []byte, owned bool, err error) {
	if n <= len(c.in)/2 {
		if err := c.fill(n); err != nil {
			return nil, false, err
		}
		b = c.in[c.start : c.start+n : c.start+n]
		c.start += n
		return b, false, nil
	}
	b = make([]byte, min(n, growBody))
	got := copy(b, c.in[c.start:c.end])
	c.start += got
	for got < n {
		if got == len(b) {
			// Double, so that a hostile length costs no more than what came.
			grown := make([]byte, min(n, 4*len(b)))
			copy(grown, b)
			b = grown
		}
		m, err := c.read(b[got:])
		got += m
		if err != nil {
			return nil, false, err
		}
	}
	return b, true, nil
}
