package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/sys"
)

const (
	// tailBytes is how much of a worker's last output is kept for its errors.
	tailBytes = 64 << 10
	// crashBytes is how much of a crash's beginning is kept beside it.
	crashBytes = 8 << 10
	// lineBytes is where a line without end is cut.
	lineBytes = 64 << 10
	// pipeBytes is more than a pipe holds: what is still read of a process that has
	// ended, which something that it started may go on writing to.
	pipeBytes = 1 << 20
	// backlogBytes bounds the output that waits for the driver's own to take it;
	// more is dropped, and counted.
	backlogBytes = 1 << 20
)

// Output passes lines on to a writer, from many workers, each line whole. It never
// blocks them: a goroutine of its own writes, and what it cannot keep up with is
// dropped and counted.
type Output struct {
	w io.Writer

	mu      sync.Mutex
	lines   [][]byte
	bytes   int
	dropped int
	closed  bool
	busy    bool // the goroutine is writing
	wake    sync.Cond
	idle    sync.Cond
	ended   chan struct{}
}

// NewOutput makes an Output to w. Close ends it.
func NewOutput(w io.Writer) *Output {
	o := &Output{w: w, ended: make(chan struct{})}
	o.wake.L, o.idle.L = &o.mu, &o.mu
	go o.write()
	return o
}

// line takes one line, its newline included, over.
func (o *Output) line(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+len(b) > backlogBytes || o.closed {
		o.dropped++
		return
	}
	o.lines = append(o.lines, b)
	o.bytes += len(b)
	o.wake.Signal()
}

func (o *Output) write() {
	defer close(o.ended)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.lines) == 0 && o.dropped == 0 && !o.closed {
			o.wake.Wait()
		}
		if len(o.lines) == 0 && o.dropped == 0 {
			return
		}
		batch := bytes.Join(o.lines, nil)
		if o.dropped > 0 {
			batch = fmt.Appendf(batch, "xme: %d lines of workers' output were dropped: the driver's own output did not take them\n", o.dropped)
		}
		o.lines, o.bytes, o.dropped = nil, 0, 0
		o.busy = true
		o.mu.Unlock()
		_, _ = o.w.Write(batch)
		o.mu.Lock()
		o.busy = false
		o.idle.Broadcast()
	}
}

// Close waits up to patience for what is queued to be written. A writer that
// blocks for ever keeps its goroutine.
func (o *Output) Close(patience time.Duration) {
	o.mu.Lock()
	o.closed = true
	o.wake.Signal()
	o.mu.Unlock()
	select {
	case <-o.ended:
	case <-time.After(patience):
	}
}

// relay reads what one worker writes to its standard output and error.
type relay struct {
	files []*os.File
	done  sync.WaitGroup

	mu    sync.Mutex
	crash []byte // how the last crash began that tail no longer holds
	tail  []byte // the last lines of both
	quiet bool   // keep, but pass nothing on
}

// newRelay makes the pipes: theirs are for the process.
func newRelay() (r *relay, theirs []*os.File, err error) {
	r = &relay{}
	for range 2 {
		mine, its, err := os.Pipe()
		if err != nil {
			for _, f := range append(r.files, theirs...) { //nolint:gocritic // both are dropped
				_ = f.Close()
			}
			return nil, nil, err
		}
		r.files = append(r.files, mine)
		theirs = append(theirs, its)
	}
	return r, theirs, nil
}

// start begins to read; out and err take the lines, each behind label.
func (r *relay) start(label string, out, err *Output) {
	for i, o := range []*Output{out, err} {
		r.done.Go(func() { r.read(r.files[i], label, o) })
	}
}

// finish reads what is still in the pipes of a process that has ended, not until
// their end: what the process started may hold them open for ever.
func (r *relay) finish() {
	for _, f := range r.files {
		if f.SetReadDeadline(time.Now()) != nil {
			_ = f.Close() // no deadlines here: what is still in it is lost
		}
	}
	r.done.Wait()
	for _, f := range r.files {
		_ = f.Close()
	}
}

func (r *relay) read(f *os.File, label string, o *Output) {
	var line []byte
	buf := make([]byte, 8<<10)
	take := func(b []byte) {
		for len(b) > 0 {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				line = append(line, b...)
				b = nil
			} else {
				line = append(line, b[:i+1]...)
				b = b[i+1:]
			}
			if i >= 0 || len(line) >= lineBytes {
				r.keep(line)
				r.pass(o, label, bytes.TrimSuffix(line, []byte("\n")))
				line = line[:0]
			}
		}
	}
	for {
		n, err := f.Read(buf)
		take(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			for left := pipeBytes; left > 0; left -= n {
				if n, err = sys.ReadNow(f, buf); n <= 0 || err != nil {
					break
				}
				take(buf[:n])
			}
			break
		}
		if err != nil {
			break
		}
	}
	if len(line) > 0 {
		r.keep(line)
		r.pass(o, label, line)
	}
}

func (r *relay) pass(o *Output, label string, line []byte) {
	r.mu.Lock()
	quiet := r.quiet
	r.mu.Unlock()
	if !quiet {
		o.line(append(append([]byte(label), line...), '\n'))
	}
}

// hush lets nothing more through: what follows is the dump of a process that was
// asked for one, and is kept for its error.
func (r *relay) hush() {
	r.mu.Lock()
	r.quiet = true
	r.mu.Unlock()
}

// keep remembers a line. Lines of both streams are kept whole, as they are passed on:
// one stream's unfinished line must not hide how the other begins to tell of a crash.
func (r *relay) keep(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.tail); n > 0 && r.tail[n-1] != '\n' {
		r.tail = append(r.tail, '\n')
	}
	r.tail = append(r.tail, line...)
	if len(r.tail) > 2*tailBytes { // not at every line
		r.cut()
	}
}

// cut drops all but the last tailBytes of tail, but remembers how a crash began there:
// what follows it are its goroutines, which may be many. r.mu is held.
func (r *relay) cut() {
	n := len(r.tail) - tailBytes
	if n <= 0 {
		return
	}
	for _, mark := range []string{"fatal error: ", "SIGSEGV: segmentation violation"} {
		// A mark may be cut in two.
		if i := bytes.LastIndex(r.tail[:min(n+len(mark)-1, len(r.tail))], []byte(mark)); i >= 0 {
			r.crash = bytes.Clone(r.tail[i:min(i+crashBytes, len(r.tail))])
			break
		}
	}
	r.tail = append(r.tail[:0], r.tail[n:]...)
}

// last returns the last output; of a long crash also its beginning.
func (r *relay) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut()
	if r.crash == nil {
		return string(r.tail)
	}
	return string(r.crash) + "\n…\n" + string(r.tail)
}

// close closes the driver's ends of pipes that nobody reads.
func (r *relay) close() {
	for _, f := range r.files {
		_ = f.Close()
	}
}
