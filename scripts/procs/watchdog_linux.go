package procs

import (
	"fmt"
	"os"
	"runtime/pprof"
	"syscall"
	"time"
)

// Watchdog ends the program, with all stacks of this process and of its children, unless the timer is stopped, or set
// anew, within limit. what says what hangs, when that is known.
func Watchdog(limit time.Duration, what func() string) *time.Timer {
	return time.AfterFunc(limit, func() {
		fmt.Fprintf(os.Stderr, "%s: it hangs: not over after %v\n", what(), limit)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
		for _, p := range Children(os.Getpid()) {
			fmt.Fprintln(os.Stderr, "the stacks of", p)
			_ = syscall.Kill(p.PID, syscall.SIGQUIT)
			<-time.After(time.Second)
		}
		os.Exit(1)
	})
}
