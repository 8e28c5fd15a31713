package proc

import (
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// InProcess starts workers as goroutines of this process, on links that use
// channels only. Killing one cuts its link and abandons the row it runs, whose
// context ends; the goroutine itself cannot be killed.
type InProcess struct {
	// Main is a worker's main function: what [Work] is in a process.
	Main func(c link.Conn, log any) error
	// Log is handed to Main.
	Log any
	// PID is what the workers call their process.
	PID int
	// Lanes has rows travel in lanes too, whose bells are no channels.
	Lanes bool
}

// Start implements [Backend].
func (b *InProcess) Start(int, int) (Process, error) {
	mine, theirs := link.Pair()
	p := &goProcess{conn: mine, theirs: theirs, pid: b.PID, lanes: b.Lanes, ended: make(chan struct{})}
	go func() {
		_ = b.Main(theirs, b.Log)
		p.end(Exit{})
	}()
	return p, nil
}

type goProcess struct {
	conn, theirs link.Conn
	pid          int
	lanes        bool

	once  sync.Once
	exit  Exit
	ended chan struct{}
}

func (p *goProcess) end(e Exit) {
	p.once.Do(func() {
		p.exit = e
		_ = p.theirs.Close()
		close(p.ended)
	})
}

// Lanes implements [Process].
func (p *goProcess) Lanes() bool { return p.lanes }

// OpenLane implements [Process].
func (p *goProcess) OpenLane(bells [2]*sys.Bell) (*link.Lane, link.Frame, error) {
	lane, f := link.PairLane(bells)
	return lane, f, nil
}

func (p *goProcess) Conn() link.Conn { return p.conn }
func (p *goProcess) PID() int        { return p.pid }
func (p *goProcess) Quit()           {}
func (p *goProcess) Kill()           { p.end(Exit{Code: -1, Signal: "SIGKILL"}) }

func (p *goProcess) Ended() { <-p.ended }

func (p *goProcess) Reap() Exit { return p.exit }

func (p *goProcess) Fresh()           {}
func (p *goProcess) Grown(int64) bool { return false }

// A goroutine has no memory of its own.
func (p *goProcess) Limit(bytes int64) error {
	if bytes == 0 {
		return nil
	}
	return fmt.Errorf("a memory limit for a worker inside the driver: %w", errors.ErrUnsupported)
}

func (p *goProcess) Memory() (int64, error) { return 0, errors.ErrUnsupported }
func (p *goProcess) Stopped() (bool, error) { return false, nil }
