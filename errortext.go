package xme

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xenonmp/xme/internal/dump"
)

// Error returns one line with function, row, cause and place.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("xme: ")
	b.WriteString(escape(e.Func))
	if e.Row >= 0 {
		fmt.Fprintf(&b, " row %d", e.Row)
	}
	for i, name := range e.Nested {
		if skipped := len(e.Nested) - 6; skipped > 1 && i >= 3 && i < 3+skipped {
			if i == 3 {
				fmt.Fprintf(&b, " → … (%d more)", skipped)
			}
			continue
		}
		b.WriteString(" → " + escape(name))
	}
	b.WriteString(": " + e.what() + e.place())
	return b.String()
}

// what is cause and message, in one line.
func (e *Error) what() string {
	if e.Cause == CauseReturned && e.Message != "" {
		return escape(e.Message)
	}
	if e.Message == "" {
		return e.Cause.String()
	}
	return e.Cause.String() + ": " + escape(e.Message)
}

// place says, in parentheses, where it was and in which attempt.
func (e *Error) place() string {
	var at []string
	if f, ok := e.Frame(); ok && len(e.Nested) == 0 && e.Cause != CauseReturned {
		at = append(at, fmt.Sprintf("at %s:%d", escape(dump.Short(f.File)), f.Line))
	}
	if e.Rank > 0 {
		from := ""
		if len(e.Nested) > 0 {
			from = "called from "
		}
		at = append(at, fmt.Sprintf("%srank %d", from, e.Rank))
	}
	if e.PID > 0 && e.Rank > 0 {
		at = append(at, fmt.Sprintf("pid %d", e.PID))
	}
	switch {
	case e.Attempts > 1:
		at = append(at, fmt.Sprintf("attempt %d of %d", e.Attempt, e.Attempts))
	case e.Attempt > 1:
		at = append(at, fmt.Sprintf("attempt %d", e.Attempt))
	}
	if len(at) == 0 {
		return ""
	}
	return " (" + strings.Join(at, ", ") + ")"
}

// Format prints the line that Error returns or, with %+v, a block: that line, the facts,
// the stack, the last output, and where to read more.
func (e *Error) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		_, _ = fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+'):
		_, _ = io.WriteString(s, e.block())
	default:
		_, _ = io.WriteString(s, e.Error())
	}
}

// blockOutput is how many lines of a worker's output a block holds.
const blockOutput = 20

func (e *Error) block() string {
	var b strings.Builder
	b.WriteString(e.Error())
	fact := func(title, text string) {
		if text != "" {
			b.WriteString("\n  " + title + ": " + text)
		}
	}
	list := func(title, text string) {
		if text == "" {
			return
		}
		b.WriteString("\n  " + title + ":")
		for line := range strings.Lines(text) {
			if line = escape(strings.TrimRight(line, "\n")); line != "" {
				line = "    " + line
			}
			b.WriteString("\n" + line)
		}
	}
	if strings.Contains(e.Message, "\n") {
		list("message", e.Message)
	}
	if f, ok := e.Frame(); ok {
		fact("at", fmt.Sprintf("%s (%s:%d)", escape(f.Function), escape(f.File), f.Line))
	}
	fact("exit", e.exit())
	fact("used", e.used())
	if e.differed() {
		var lines []string
		for i, text := range e.Earlier {
			lines = append(lines, fmt.Sprintf("%d: %s", i+1, escape(text)))
		}
		list("earlier attempts", strings.Join(lines, "\n"))
	}
	list("stack", e.Stack)
	list("last output", lastOutput(e.Output))
	fact("help", e.Help())
	return b.String()
}

// differed reports whether an earlier attempt failed in another way than the last.
func (e *Error) differed() bool {
	return slices.ContainsFunc(e.Earlier, func(text string) bool { return text != e.what() })
}

// exit says how the worker that is gone ended, and what that usually comes from.
func (e *Error) exit() string {
	if !e.gone() {
		return ""
	}
	s := fmt.Sprintf("status %d", e.ExitCode)
	if e.Signal != "" {
		s = escape(e.Signal)
	}
	if e.Killed {
		return s + ": the pool ended it"
	}
	meaning := exitMeaning(e.ExitCode, e.Signal)
	switch {
	case e.ExitCode != 2 || e.Stack == "":
	case strings.HasPrefix(e.Stack, askedForDump):
		meaning = "somebody sent SIGQUIT, at which a Go program prints its goroutines and ends"
	default:
		meaning = "the Go runtime ended it"
	}
	if meaning != "" {
		s += ": " + meaning
	}
	return s
}

// gone reports whether the worker has ended, so that ExitCode says something.
func (e *Error) gone() bool {
	return e.ExitCode != 0 || e.Signal != "" || e.topic == topicExit && len(e.Nested) == 0
}

// used says what the worker used that is gone.
func (e *Error) used() string {
	var parts []string
	if e.Memory > 0 {
		parts = append(parts, fmt.Sprintf("at most %d MiB of memory", (e.Memory+1<<20-1)>>20))
	}
	if e.CPU > 0 {
		parts = append(parts, fmt.Sprintf("%v of CPU", e.CPU.Round(time.Millisecond)))
	}
	return strings.Join(parts, ", ")
}

// askedForDump is how the dump begins of a program that was sent SIGQUIT.
const askedForDump = "SIGQUIT: quit"

// raceLines is how much is shown of a race detector's report, whose first half names the
// user's code.
const raceLines = 60

// lastOutput returns what a block shows of a worker's output: the last lines, or the last
// report of the race detector.
func lastOutput(s string) string {
	i := strings.LastIndex(s, "WARNING: DATA RACE\n")
	if i < 0 {
		return lastLines(s, blockOutput)
	}
	s = strings.TrimRight(s[i:], "\n")
	end := 0
	for range raceLines {
		n := strings.IndexByte(s[end:], '\n')
		if n < 0 {
			return s
		}
		end += n + 1
	}
	return s[:end]
}

// lastLines returns the last n lines of s.
func lastLines(s string, n int) string {
	s = strings.TrimRight(s, "\n")
	at := len(s)
	for ; n > 0 && at >= 0; n-- {
		at = strings.LastIndexByte(s[:at], '\n')
	}
	return s[at+1:]
}

// escape escapes control characters, tabs excepted, and what is not UTF-8, so that
// the text keeps to its line and drives no terminal.
func escape(s string) string {
	if strings.IndexFunc(s, control) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case !control(r) || r == '\t':
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// control reports whether r drives a terminal or ends a line.
func control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
