package proc

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// Backend starts workers.
type Backend interface {
	// Start starts a worker that expects a handshake on the process's Conn.
	// Bodies above limit are refused on the link. Safe for concurrent use.
	Start(rank, limit int) (Process, error)
}

// Process is one worker as its pool sees it.
type Process interface {
	Conn() link.Conn
	// Lanes reports whether OpenLane may be asked.
	Lanes() bool
	// OpenLane makes memory that the process and the driver share, and the frame that
	// tells the process of it, which rings one of bells when it is asked to. An error
	// means that all goes over Conn.
	OpenLane(bells [2]*sys.Bell) (*link.Lane, link.Frame, error)
	PID() int
	// Quit asks the process to end with a dump of its goroutines, which Exit then
	// holds. A process that cannot ignores it.
	Quit()
	// Kill ends the process, and what it started, at once. It may be called any
	// number of times, also after the end.
	Kill()
	// Fresh is called once the process is up and before it runs anything.
	Fresh()
	// Limit bounds what the process may use, in bytes; 0 takes the bound away.
	Limit(bytes int64) error
	// Grown reports whether what ran in the process before keeps Limit from bounding
	// it so.
	Grown(bytes int64) bool
	// Memory returns what the process uses now, in bytes.
	Memory() (int64, error)
	// Stopped reports whether the process is stopped by a signal.
	Stopped() (bool, error)
	// Ended blocks until the process has ended. Where the system allows, the
	// process is not reaped, so that its number is still its own.
	Ended()
	// Reap reaps the process, after Ended, and returns how it ended. One goroutine
	// calls it, once.
	Reap() Exit
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // -1: ended by Signal
	Signal string // "SIGKILL"; empty: it exited

	Output string        // the last it wrote to standard output and error
	Dump   string        // behind it, the Go runtime's account of a crash, or of its goroutines if it was asked to quit
	Memory int64         // bytes at its largest, 0: unknown
	CPU    time.Duration // that it used, 0: unknown
	OOM    bool          // the kernel ended it for want of memory
}

func (e Exit) String() string {
	s := e.asItStarted()
	if what, ok := strings.CutPrefix(s, "panic: "); ok {
		return "panic in another goroutine: " + what // nothing recovered it: it was not the task's own
	}
	return s
}

// asItStarted is String for a process that had no task yet.
func (e Exit) asItStarted() string {
	s := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != "" {
		s = "killed by " + e.Signal
	}
	if what := dump.Headline(e.Dump); what != "" {
		s = what + ", " + s
	}
	return s
}

// KilledError says that a row's process was killed because the row did not end
// when it was told to.
type KilledError struct {
	Why  error // what it was told
	Exit Exit
}

func (e *KilledError) Error() string { return e.Why.Error() + e.Fate() }

// Fate says what became of the process, to be put behind why.
func (e *KilledError) Fate() string {
	if !e.Killed() {
		return "; " + e.Exit.String()
	}
	return killedForIt
}

// Killed reports whether it was, and did not end by itself meanwhile.
func (e *KilledError) Killed() bool {
	return e.Exit.Signal != "" || e.Exit.OOM || dump.Asked(e.Exit.Dump) || runtime.GOOS == "windows"
}

const killedForIt = "; killed for it"

// Unwrap returns why the row was to end.
func (e *KilledError) Unwrap() error { return e.Why }

// LostError says that the process that ran a row is gone.
type LostError struct {
	Exit   Exit
	Why    error // what broke, or what the pool killed it for; nil: it simply ended
	Killed bool  // the pool ended it, for Why

	Deaths int  // the workers that the row has cost, if it is set aside for that; else 0
	Begun  bool // they died running it, not as they were about to begin it
}

func (e *LostError) Error() string { return "worker lost: " + e.Text() }

// Text is Error without what it is an error of.
func (e *LostError) Text() string {
	s := ""
	switch {
	case e.Deaths > 0 && e.Begun:
		s = fmt.Sprintf("set aside: %d workers died running it, the last: ", e.Deaths)
	case e.Deaths > 0:
		s = fmt.Sprintf("set aside: %d workers died as they were about to begin it, the last: ", e.Deaths)
	}
	switch {
	case e.Why == nil:
		return s + e.Exit.String()
	case e.Killed:
		return s + e.Why.Error() + killedForIt
	}
	return s + e.Why.Error() + "; " + e.Exit.String()
}

// StartError says that a worker could not be started.
type StartError struct {
	Rank int
	PID  int  // 0: there was no process
	Exit Exit // how it ended
	Err  error
}

func (e *StartError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("start worker %d: %v", e.Rank, e.Err)
	}
	return fmt.Sprintf("start worker %d (pid %d): %v", e.Rank, e.PID, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// RowError is a row's error as the worker sent it.
type RowError struct{ Body []byte }

func (*RowError) Error() string { return "failed in the worker" }
