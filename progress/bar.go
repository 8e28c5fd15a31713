package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/xenonmp/xme"
)

// Options configures a Bar. The zero value is a good choice.
type Options struct {
	// Name is the text before the figures. Empty: "rows".
	Name string

	// Every is how often a line is written if there is no terminal; one more is written
	// at the end of a run. 0: 5 s.
	Every time.Duration
}

const (
	defaultName  = "rows"
	defaultEvery = 5 * time.Second
	refreshRate  = 120 * time.Millisecond
)

// Bar shows the progress of runs, one after the other; if runs overlap, that of the one
// that began first. Runs are told apart by their number, so those that overlap must share
// one context of WithProgress. A Bar's methods may be called from any goroutine. Whoever
// makes a Bar must close it.
type Bar struct {
	w        io.Writer
	o        Options
	terminal bool

	mu     sync.Mutex
	run    int           // that is shown; 0: none
	last   xme.Progress  // of it
	lines  time.Duration // when the last line was written, from the run's begin
	shown  *mpb.Progress // on a terminal, while a run lasts
	bar    *mpb.Bar
	text   atomic.Pointer[string]
	part   []byte // of a line that is not whole yet
	closed bool
}

// New returns a Bar that writes to w, usually os.Stderr. It determines whether w is a
// terminal.
func New(w io.Writer, o Options) *Bar {
	if o.Name == "" {
		o.Name = defaultName
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	return &Bar{w: w, o: o, terminal: isTerminal(w) && os.Getenv("TERM") != "dumb"}
}

// isTerminal reports whether w is a terminal that has a width. What wraps one is none:
// nothing is drawn past it.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return err == nil && width > 0
}

// Hook is the function to pass to [xme.WithProgress]. It blocks while w does.
func (b *Bar) Hook(p xme.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.run != 0 && b.run != p.Run {
		return
	}
	if b.run == 0 {
		b.run, b.lines = p.Run, 0
	}
	b.last = p
	switch {
	case b.terminal:
		b.draw(p)
	case p.Over || p.Elapsed-b.lines >= b.o.Every:
		b.lines = p.Elapsed
		_, _ = fmt.Fprintf(b.w, "%s: %s\n", b.o.Name, figures(p))
	}
	if p.Over {
		b.run = 0
	}
}

// draw shows p on the terminal. b.mu is held.
func (b *Bar) draw(p xme.Progress) {
	text := figures(p)
	b.text.Store(&text)
	if b.shown == nil {
		b.shown = mpb.New(mpb.WithOutput(b.w), mpb.WithRefreshRate(refreshRate))
		said := decor.Any(func(decor.Statistics) string { // called by a goroutine of the bar's
			return " " + *b.text.Load()
		})
		b.bar = b.shown.AddBar(0, mpb.PrependDecorators(decor.Name(b.o.Name+" ")), mpb.AppendDecorators(said))
	}
	ended := int64(p.Done + p.Failed)
	if p.Total > 0 {
		b.bar.SetTotal(int64(p.Total), false)
	}
	b.bar.SetCurrent(ended)
	if p.Over {
		b.end()
	}
}

// end leaves the bar as it is and goes to the next line. b.mu is held.
func (b *Bar) end() {
	if b.shown == nil {
		return
	}
	if p := b.last; p.Total >= 0 && p.Done+p.Failed >= p.Total {
		b.bar.SetTotal(-1, true) // complete
	} else {
		b.bar.Abort(false)
	}
	b.shown.Wait()
	b.shown, b.bar = nil, nil
}

// Write writes whole lines above the bar; it keeps an incomplete line until the rest
// comes.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := bytes.LastIndexByte(p, '\n') + 1
	if n == 0 {
		b.part = append(b.part, p...)
		return len(p), nil
	}
	whole := append(b.part, p[:n]...) //nolint:gocritic // part is made anew
	b.part = append([]byte(nil), p[n:]...)
	if err := b.write(whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (b *Bar) write(lines []byte) (err error) {
	if b.shown != nil {
		_, err = b.shown.Write(lines)
	} else {
		_, err = b.w.Write(lines)
	}
	return err
}

// Close ends the bar, leaving it as it is, and writes the incomplete line that Write
// kept. Closing twice is fine; after Close, Hook does nothing, and Write continues to
// write.
func (b *Bar) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.end()
	if len(b.part) == 0 {
		return nil
	}
	part := append(b.part, '\n')
	b.part = nil
	return b.write(part)
}

// figures says how far a run is.
func figures(p xme.Progress) string {
	ended := p.Done + p.Failed
	s := fmt.Sprint(ended)
	if p.Total >= 0 {
		s += fmt.Sprintf("/%d", p.Total)
	}
	if p.Failed > 0 {
		s += fmt.Sprintf(", %d failed", p.Failed)
	}
	if p.Retried > 0 {
		s += fmt.Sprintf(", %d retried", p.Retried)
	}
	if p.Over {
		return s + ", " + short(p.Elapsed)
	}
	if p.Rate > 0 {
		s += ", " + rate(p.Rate)
	}
	if p.Left >= 0 {
		s += ", " + short(p.Left) + " left"
	}
	return s
}

// rate prints rows per second with three digits.
func rate(r float64) string {
	switch {
	case r >= 999.5e3: // what would be rounded up to four digits
		return fmt.Sprintf("%.3gM/s", r/1e6)
	case r >= 1e4:
		return fmt.Sprintf("%.3gk/s", r/1e3)
	case r >= 9.95:
		return fmt.Sprintf("%.0f/s", r)
	}
	return fmt.Sprintf("%.2g/s", r)
}

// short prints a duration as precisely as it is worth.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
