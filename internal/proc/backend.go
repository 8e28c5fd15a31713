package proc

import (
	"fmt"
	"time"

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
	Dump   string        // its goroutines, if it was asked to quit
	Memory int64         // bytes at its largest, 0: unknown
	CPU    time.Duration // that it used, 0: unknown
	OOM    bool          // the kernel ended it for want of memory
}

func (e Exit) String() string {
	if e.Signal != "" {
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// KilledError says that a row's process was killed because the row did not end
// when it was told to.
type KilledError struct {
	Why  error // what it was told
	Exit Exit
}

func (e *KilledError) Error() string { return fmt.Sprintf("%v; killed for it", e.Why) }

// Unwrap returns why the row was to end.
func (e *KilledError) Unwrap() error { return e.Why }

// LostError says that the process that ran a row is gone.
type LostError struct {
	Exit   Exit
	Detail string // what broke, if the process did not simply end
}

func (e *LostError) Error() string {
	if e.Detail != "" {
		return fmt.Sprintf("worker lost: %s (%v)", e.Detail, e.Exit)
	}
	return fmt.Sprintf("worker lost: %v", e.Exit)
}

// StartError says that a worker could not be started.
type StartError struct {
	Rank int
	PID  int
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
