//go:build unix

package sys

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// caught are the signals that would end or stop a Go process, and that a user, a terminal or a service manager sends to
// all processes of a program.
//
//   - HUP, INT, TERM end it.
//   - TSTP stops it: a worker that somebody stops is lost. STOP cannot be caught.
//   - PIPE ends it when a task prints after the reader of its output has gone; caught, the print gets an error.
//
// Go's runtime drops USR1, USR2, ALRM, VTALRM, IO, PWR, XCPU, XFSZ and those for real time already, without ignoring
// them; WINCH, CHLD, CONT and URG do no harm. PROF and URG are the runtime's own. QUIT is left: the driver asks for the
// dump of goroutines with it. TTIN and TTOU are left: caught, a task that reads the terminal would be sent the signal
// again for ever, as fast as the kernel can; stopped, it is found out.
var caught = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGTSTP, unix.SIGPIPE}

// CatchSignals has a worker process survive signals that are meant for its driver, until stop is called. They are caught
// and dropped, not ignored: what a task executes starts with the default actions. A signal that was ignored when this
// process started (nohup) stays ignored, by what a task executes too. A task may still be notified of any signal by
// package os/signal.
//
// It takes 0.2-0.3 ms, five hand-overs to the thread that package os/signal keeps from then on. Where that matters,
// call it beside the start: go sys.CatchSignals() takes 1 us.
func CatchSignals() (stop func()) {
	c := make(chan os.Signal, 1) // never read: package signal drops what does not fit
	for _, s := range caught {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	return func() { signal.Stop(c) }
}
