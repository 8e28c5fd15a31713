package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
)

// relay reads what one worker writes: to its standard output and error, and to its log.
type relay struct {
	files []*os.File // standard output, standard error, log
	done  sync.WaitGroup

	// line takes a printed line, its newline excluded, of stream 0 or 1; record takes a
	// log record, and returns it as a text, or that it can make nothing of it. What they
	// are given is theirs.
	line   func(stream int, line []byte)
	record func(body []byte) (string, error)

	mu    sync.Mutex
	crash []byte // how the last crash began that tail no longer holds
	tail  []byte // the last lines of all three
	quiet bool   // the process is asked for a dump
	mute  bool   // it has begun: keep it, but pass nothing on
}

// newRelay makes the pipes: theirs are for the process, the last for its log, if it
// shall have one.
func newRelay(log bool) (r *relay, theirs []*os.File, err error) {
	r = &relay{}
	pipes := 2
	if log {
		pipes = 3
	}
	for range pipes {
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

// start begins to read.
func (r *relay) start() {
	for i, f := range r.files {
		r.done.Go(func() {
			if i == 2 {
				rec := records{take: r.take, failed: r.failed}
				r.read(f, rec.add)
				return
			}
			l := lines{take: func(line []byte) { r.printed(i, line) }}
			r.read(f, l.add)
			l.end()
		})
	}
}

// finish reads what is still in the pipes of a process that has ended, not until
// their end: what the process started may hold them open for ever.
func (r *relay) finish() {
	waited := false
	for _, f := range r.files {
		if f.SetReadDeadline(time.Now()) == nil {
			continue
		}
		if !waited { // no deadlines here
			r.awaitEnds()
			waited = true
		}
		_ = f.Close() // what is still in it is lost
	}
	r.done.Wait()
	for _, f := range r.files {
		_ = f.Close()
	}
}

// awaitEnds waits, lastWords at most, until the pipes have ended, which they do by
// themselves unless something that the process started has them too.
func (r *relay) awaitEnds() {
	const lastWords = time.Second
	ended := make(chan struct{})
	go func() {
		r.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(lastWords):
	}
}

// read hands what can be read of f to add, until its end or finish.
func (r *relay) read(f *os.File, add func([]byte)) {
	buf := make([]byte, 8<<10)
	for {
		n, err := f.Read(buf)
		add(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			for left := pipeBytes; left > 0; left -= n {
				if n, err = sys.ReadNow(f, buf); n <= 0 || err != nil {
					return
				}
				add(buf[:n])
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// lines cuts a stream into lines.
type lines struct {
	line []byte
	take func(line []byte) // with its newline, if it has one
}

func (l *lines) add(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.line = append(l.line, b...)
			b = nil
		} else {
			l.line = append(l.line, b[:i+1]...)
			b = b[i+1:]
		}
		if i >= 0 || len(l.line) >= lineBytes {
			l.end()
		}
	}
}

// end takes what there is for a line.
func (l *lines) end() {
	if len(l.line) > 0 {
		l.take(l.line)
		l.line = l.line[:0]
	}
}

// MaxRecord bounds a log record on its way to the driver.
const MaxRecord = 1 << 20

// AppendRecord appends a log record as a process writes it to its log, with one write:
// its length and what makes the record.
func AppendRecord(dst, body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(body))), body...)
}

// records cuts a stream into log records.
type records struct {
	buf    []byte
	broken bool
	take   func(body []byte) error
	failed func(error) // there will be no more
}

func (r *records) add(b []byte) {
	if r.broken {
		return
	}
	r.buf = append(r.buf, b...)
	at := 0
	for len(r.buf)-at >= 4 {
		size := binary.LittleEndian.Uint32(r.buf[at:])
		if size > MaxRecord {
			r.broken, r.buf = true, nil
			r.failed(fmt.Errorf("a record of %d bytes", size))
			return
		}
		n := int(size)
		if len(r.buf)-at-4 < n {
			break
		}
		if err := r.take(bytes.Clone(r.buf[at+4 : at+4+n])); err != nil {
			r.broken, r.buf = true, nil
			r.failed(err)
			return
		}
		at += 4 + n
	}
	r.buf = append(r.buf[:0], r.buf[at:]...)
}

// take passes a log record on.
func (r *relay) take(body []byte) error {
	text, err := r.record(body)
	if err == nil {
		r.keep([]byte(text))
	}
	return err
}

// failed says that a log has ended in rubbish.
func (r *relay) failed(err error) {
	r.line(1, fmt.Appendf(nil, "xme: the rest of this worker's log cannot be read: %v", err))
}

// printed passes a printed line on.
func (r *relay) printed(stream int, line []byte) {
	r.keep(line)
	r.mu.Lock()
	r.mute = r.mute || r.quiet && stream == 1 && bytes.HasPrefix(line, []byte("SIGQUIT: quit"))
	mute := r.mute && stream == 1
	r.mu.Unlock()
	if !mute {
		r.line(stream, bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))))
	}
}

// hush lets no dump through: the process is being asked for one, which is kept for its
// error.
func (r *relay) hush() {
	r.mu.Lock()
	r.quiet = true
	r.mu.Unlock()
}

// keep remembers a line. Lines of all streams are kept whole, as they are passed on:
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
