package xme

import (
	"errors"
	"fmt"
	"strings"
)

// Cause says what ended a row.
type Cause uint8

// The causes. New ones may be added at the end.
const (
	CauseReturned    Cause = 1 + iota // the function returned an error
	CausePanic                        // the function panicked
	CauseLost                         // its worker died or broke the protocol
	CauseStart                        // no worker could be started
	CauseTimeout                      // it ran longer than it was allowed
	CauseMemory                       // it used more memory than it was allowed
	CauseCancelled                    // its context ended
	CauseEncode                       // its argument or result could not cross
	CauseDepth                        // it was nested too deep
	CauseClosed                       // its executor was closed
	CauseInterrupted                  // it had not begun when the user interrupted; one that had begun is cancelled
	CauseUnsupported                  // the executor does not offer what the call asks for
	causeEnd
)

var causes = [causeEnd]struct {
	name     string
	sentinel error
}{
	CauseReturned:    {"error", nil},
	CausePanic:       {"panic", ErrPanic},
	CauseLost:        {"worker lost", ErrWorkerLost},
	CauseStart:       {"no worker", ErrWorkerLost},
	CauseTimeout:     {"time-out", ErrTimeout},
	CauseMemory:      {"memory", ErrMemory},
	CauseCancelled:   {"cancelled", nil},
	CauseEncode:      {"encode", ErrEncode},
	CauseDepth:       {"depth", ErrDepth},
	CauseClosed:      {"closed", ErrClosed},
	CauseInterrupted: {"interrupted", ErrInterrupted},
	CauseUnsupported: {"unsupported", errors.ErrUnsupported},
}

// String returns the cause's name as errors and JSON show it, for example "worker lost".
func (c Cause) String() string {
	if c == 0 || c >= causeEnd {
		return fmt.Sprintf("cause %d", uint8(c))
	}
	return causes[c].name
}

// causeNamed is String's inverse.
func causeNamed(name string) (Cause, bool) {
	for c := range causes {
		if c > 0 && causes[c].name == name {
			return Cause(c), true
		}
	}
	return 0, false
}

// helpPage explains every cause, each under a heading of its own.
const helpPage = "https://github.com/xenonmp/xme/blob/main/docs/causes.md"

// Help returns the address of the section that explains the cause, or that of the page if
// there is none.
func (c Cause) Help() string {
	if c == 0 || c >= causeEnd {
		return helpPage
	}
	return helpPage + "#" + c.anchor()
}

// Help returns the address of the section that explains how the row failed: that of its
// cause, or a more precise one.
func (e *Error) Help() string {
	if e.topic != "" {
		return helpPage + "#" + e.topic
	}
	return e.Cause.Help()
}

// anchor is how the heading that is the cause's name is linked to.
func (c Cause) anchor() string { return strings.ReplaceAll(c.String(), " ", "-") }

// The sections that are more precise than a cause's, by their anchors.
const (
	topicGoexit   = "goexit"
	topicExit     = "exit"
	topicSignal   = "signal"
	topicCrash    = "crash"
	topicStopped  = "stopped"
	topicSetAside = "set-aside"
	topicInit     = "missing-init"
	topicSkew     = "skew"
)

// isTopic reports whether s can be the anchor of a section: it may come from elsewhere.
func isTopic(s string) bool {
	return len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// topicFrom returns s if it can be a topic.
func topicFrom(s string) string {
	if isTopic(s) {
		return s
	}
	return ""
}

// exitMeaning says what an exit code or a signal usually comes from; empty: nothing
// in particular.
func exitMeaning(code int, signal string) string {
	if signal != "" {
		return signalMeanings[signal]
	}
	switch {
	case code == 0:
		return "some code called os.Exit(0), as if all were well"
	case code == 1:
		return "often log.Fatal, or an os.Exit(1)"
	case code == 2:
		return "often package flag, or an os.Exit(2)"
	case code == exitOrphan:
		return "some code called os.Exit; a worker whose link breaks ends so too"
	case code == 66:
		return "the race detector ends a program so that raced"
	case code > 128 && code < 128+32:
		return fmt.Sprintf("a shell reports the death by signal %d so", code-128)
	}
	return "some code called os.Exit"
}

var signalMeanings = map[string]string{
	"SIGKILL": "often the kernel, out of memory (see dmesg); or somebody's kill -9",
	"SIGSEGV": "native code used memory that is not its own",
	"SIGBUS":  "memory that could not be had: a file that shrank under its mapping, or a full disk behind it",
	"SIGABRT": "abort() of native code, or a C++ exception that nothing caught",
	"SIGILL":  "an instruction that this CPU does not know, or a trap of native code",
	"SIGFPE":  "native code divided an integer by zero",
	"SIGTRAP": "a trap of native code, or of a debugger",
	"SIGSYS":  "a system call that a seccomp filter forbids",
	"SIGXCPU": "a limit on CPU time (ulimit -t)",
	"SIGXFSZ": "a limit on the size of files (ulimit -f)",
	"SIGQUIT": "somebody asked it for a dump of its goroutines",
	"SIGTERM": "somebody asked it to end",
	"SIGHUP":  "somebody asked it to end",
}
