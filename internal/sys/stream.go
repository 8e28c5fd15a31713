package sys

import (
	"errors"
	"fmt"
	"os"
)

// ErrWouldBlock is returned by TryWrite when the kernel's buffer is full.
var ErrWouldBlock = errors.New("would block")

// ErrGone is returned by writes once the other side has closed the stream.
var ErrGone = errors.New("the other side is gone")

// MaxFiles is how many descriptors one write may carry. The kernel's own bound
// is 253 (SCM_MAX_FD).
const MaxFiles = 250

// Stream is one end of a full-duplex, ordered stream of bytes between two
// processes. One goroutine may read while another writes; Close may be called
// from anywhere, any number of times, and unblocks both.
type Stream interface {
	// Read blocks until at least one byte, the end of the stream (io.EOF) or
	// an error arrives. Descriptors that came with the bytes are returned in
	// the order they were sent, not later than the first byte they were sent
	// with; the caller owns them, and closes them by Release or makes them Usable.
	// They are close-on-exec.
	Read(b []byte) (n int, files []*os.File, err error)

	// TryWrite writes what fits without blocking; ErrWouldBlock means nothing
	// did. Files travel with the first byte: once n > 0, they are sent; without
	// a byte they are not. The caller keeps them open until then.
	TryWrite(b []byte, files []*os.File) (n int, err error)

	// Write blocks until all is written, the other side is gone (ErrGone; what it
	// sent before can still be read), or Close.
	Write(b []byte, files []*os.File) (n int, err error)

	// Pending reports whether a Read would return at once. Any goroutine may ask;
	// where the system has no cheap way to tell it says false.
	Pending() bool

	// CarriesFiles reports whether descriptors can be sent.
	CarriesFiles() bool

	Close() error
}

// Pipes joins two one-way files into a Stream without descriptor passing: the
// portable form.
func Pipes(r, w *os.File) Stream { return &pipes{r: r, w: w} }

type pipes struct{ r, w *os.File }

func (p *pipes) Read(b []byte) (int, []*os.File, error) {
	n, err := p.r.Read(b)
	return n, nil, err
}

// TryWrite never writes: a pipe offers no portable write that does not block.
func (p *pipes) TryWrite([]byte, []*os.File) (int, error) { return 0, ErrWouldBlock }

func (p *pipes) Write(b []byte, files []*os.File) (int, error) {
	if len(files) > 0 {
		return 0, ErrNoFiles
	}
	n, err := p.w.Write(b)
	if gone(err) {
		err = ErrGone
	}
	return n, err
}

func (p *pipes) Pending() bool { return false }

func (p *pipes) CarriesFiles() bool { return false }

func (p *pipes) Close() error {
	err := p.r.Close()
	if e := p.w.Close(); err == nil {
		err = e
	}
	return err
}

// AttachStream tells a stream that ChildPipes has made which process is at its other end, once, after that has been
// started and before files are sent; until Close it keeps what it needs of it. Other streams need not know.
func AttachStream(s Stream, pid int) error {
	if c, ok := s.(*carrying); ok {
		return c.attach(pid)
	}
	return nil
}

// ErrNoFiles is what a stream without descriptor passing says of open files.
var ErrNoFiles = fmt.Errorf("this link carries no open files: %w", errors.ErrUnsupported)
