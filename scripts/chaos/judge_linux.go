package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// outcome is how a row ended.
type outcome uint8

// The outcomes.
const (
	asMeant   outcome = iota // the value or the error of its kind
	lost                     // its worker died for no reason of the row's own
	cancelled                // its context ended
	closed                   // its pool was closed
	noPlace                  // MaxProcesses was reached
	early                    // its own error, but with attempts left
	noWorker                 // its workers died as they started
	outcomes
)

var outcomeNames = [outcomes]string{"as meant", "lost", "cancelled", "closed", "no place", "early", "no worker"}

// setAside begins what an error says of a row that has cost too many workers.
const setAside = "set aside"

// judge says how a row ended, and what is wrong with it, if anything is. Whether
// there was a reason to be lost, cancelled, closed or without place, its caller
// knows.
func judge(j job, a answer, err error) (outcome, string) {
	if err == nil {
		return asMeant, judgeValue(j, a)
	}
	if a.Table != 0 || a.Row != 0 || a.Sum != 0 || a.Data != nil {
		return asMeant, fmt.Sprintf("a value beside the error %v", err)
	}
	var e *xme.Error
	if !errors.As(err, &e) {
		return asMeant, fmt.Sprintf("its error is no *xme.Error but a %T: %v", err, err)
	}
	if meant(j, e) {
		return asMeant, ""
	}
	if j.Kind == retryError && e.Cause == xme.CauseReturned && e.Message == textOf(j) && e.Attempt < 3 {
		return early, ""
	}
	if j.Kind == retryDies && e.Cause == xme.CauseLost && e.ExitCode == codeOf(j) {
		if e.Attempt < e.Attempts && !strings.Contains(e.Message, setAside) {
			return early, ""
		}
		return lost, "" // in more attempts than it takes: some had no worker, or were lost
	}
	return disturbed(err, e)
}

// disturbed sorts an error that is none of the row's own.
func disturbed(err error, e *xme.Error) (outcome, string) {
	switch {
	case e.Cause == xme.CauseLost && procs.Struck(err), errors.Is(err, errNestedLost):
		return lost, ""
	case e.Cause == xme.CauseLost && strings.Contains(e.Message, setAside) && strings.Contains(e.Message, "as they were about to begin it"):
		return lost, "" // what ended its workers were rows before it
	case e.Cause == xme.CauseLost:
		return asMeant, fmt.Sprintf("its worker died, and nobody struck it: %v (exit %d, signal %q)%s", err, e.ExitCode, e.Signal, lastOutput(err))
	case e.Cause == xme.CauseStart && strings.Contains(e.Message, "Options.MaxProcesses"), errors.Is(err, xme.ErrDepth):
		return noPlace, ""
	case e.Cause == xme.CauseStart && e.ExitCode <= 0 && (e.Signal == "" || e.Signal == "SIGKILL"):
		return noWorker, ""
	case errors.Is(err, xme.ErrClosed):
		return closed, ""
	case errors.Is(err, context.Canceled):
		return cancelled, ""
	}
	return asMeant, fmt.Sprintf("an error it cannot have: %v", err)
}

// judgeValue checks a value.
func judgeValue(j job, a answer) string {
	back := slices.Clone(a.Data)
	slices.Reverse(back)
	switch {
	case a.Table != j.Table || a.Row != j.Row:
		return fmt.Sprintf("the value of row %d of table %d", a.Row, a.Table)
	case a.Sum != j.sum():
		return fmt.Sprintf("the sum of its value is %x, want %x", a.Sum, j.sum())
	case !slices.Equal(back, j.Data):
		return fmt.Sprintf("%d bytes came back changed", len(j.Data))
	case j.Kind == fresh && a.Ran != 0:
		return fmt.Sprintf("its process had run %d rows", a.Ran)
	case j.Kind == onRank && a.Rank != j.Rank:
		return fmt.Sprintf("it ran on rank %d, want %d", a.Rank, j.Rank)
	case hasOwnError(j.Kind):
		return "a value, want an error"
	}
	return ""
}

// hasOwnError reports whether rows of a kind always fail.
func hasOwnError(k kind) bool {
	switch k {
	case errText, errKnown, panics, goexit, exits, forkExits, segv, abort, kill9, stopsSelf, nestLeftDies, poolLeft, retryError, retryDies, obeys, deaf, deafSpin, memory:
		return true
	default:
		return false
	}
}

// meant reports whether e is the error of j's kind.
func meant(j job, e *xme.Error) bool {
	died := func(code int) bool { return e.Cause == xme.CauseLost && e.Signal == "" && e.ExitCode == code }
	// The runtime ends the program itself for some signals, with this code.
	signalled := func(name string) bool { return e.Cause == xme.CauseLost && e.Signal == name || died(2) }
	switch j.Kind {
	case errText:
		return e.Cause == xme.CauseReturned && e.Message == textOf(j) && !errors.Is(e, errChaos)
	case errKnown:
		return e.Cause == xme.CauseReturned && strings.HasPrefix(e.Message, textOf(j)) && errors.Is(e, errChaos)
	case retryError:
		return e.Cause == xme.CauseReturned && e.Message == textOf(j) && e.Attempt == 3
	case panics:
		return errors.Is(e, xme.ErrPanic) && strings.Contains(e.Message, textOf(j)) && e.Stack != ""
	case goexit:
		return errors.Is(e, xme.ErrPanic) && strings.Contains(e.Message, "Goexit")
	case exits, forkExits, nestLeftDies, poolLeft:
		return died(codeOf(j))
	case retryDies:
		return e.Cause == xme.CauseLost && e.Attempt == 3 && strings.Contains(e.Message, setAside)
	case segv:
		return signalled("SIGSEGV")
	case abort:
		// The runtime may fall over its own dump of a process that aborts.
		return signalled("SIGABRT") || signalled("SIGSEGV") && strings.Contains(e.Output+e.Stack, "SIGABRT: abort")
	case kill9:
		return e.Cause == xme.CauseLost && e.Signal == "SIGKILL" && !strings.Contains(e.Message, "stopped")
	case stopsSelf:
		return e.Cause == xme.CauseLost && strings.Contains(e.Message, "stopped by someone")
	case obeys, deaf, deafSpin:
		return errors.Is(e, xme.ErrTimeout) && errors.Is(e, context.DeadlineExceeded)
	case memory:
		return errors.Is(e, xme.ErrMemory) && e.Memory > 0
	default:
		return false
	}
}
