package dump

import (
	"strings"
)

// signalMark is how a dump begins that a signal caused.
var signalMark = lazily(`^SIG[A-Z0-9]+: `)

// quitMark is how the dump of a program begins that was asked to quit.
const quitMark = "SIGQUIT: "

// Split cuts the last output of a program that crashed into what it had written before and the runtime's account of the
// crash. The parts are output whole; the second is empty if there is none.
func Split(output string) (before, crash string) {
	last, signalled := -1, -1
	for at := 0; at < len(output); {
		line, rest, _ := strings.Cut(output[at:], "\n")
		if i := markIn(line, rest); i >= 0 {
			last = at + i
			if signalled < 0 && signalMark().MatchString(line) {
				signalled = last
			}
		}
		at += len(line) + 1
	}
	if signalled >= 0 { // the runtime may fall over its own dump of a signal: how that began is what counts
		last = signalled
	}
	if last < 0 || !strings.Contains(output[last:], "\ngoroutine ") && !strings.Contains(output[last:], "\nruntime stack:") {
		return output, ""
	}
	for last > 0 { // what the runtime says before
		start := strings.LastIndexByte(output[:last-1], '\n') + 1
		if line := output[start:last]; output[last-1] != '\n' || !strings.HasPrefix(line, "runtime: ") && !strings.HasPrefix(line, "unexpected fault address ") {
			break
		}
		last = start
	}
	return output[:last], output[last:]
}

// markIn returns where in a line an account of a crash begins, -1: nowhere. Behind something that was printed without
// an end of line it must be what the runtime goes on after.
func markIn(line, rest string) int {
	if signalMark().MatchString(line) {
		return 0
	}
	for _, mark := range []string{"fatal error: ", "panic: "} {
		i := strings.Index(line, mark)
		switch {
		case i < 0, line[0] == '\t': // a panic's text goes on
		case i == 0:
			return 0
		case strings.HasPrefix(rest, "[signal "), strings.HasPrefix(rest, "\ngoroutine "), strings.HasPrefix(rest, "\nruntime stack:\n"):
			return i
		}
	}
	return -1
}

var signalLine = lazily(`(?m)^\[signal (SIG[A-Z0-9]+: [^\n]*?)( code=.*)?\]$`)

// Headline says in one line what a crash was; empty if crash is no account of one, or of a program that was only asked
// to quit.
func Headline(crash string) string {
	if Asked(crash) {
		return ""
	}
	head := parse(crash).head
	for _, line := range head {
		line = strings.TrimSpace(line)
		switch {
		case signalMark().MatchString(line):
			return line
		case strings.HasPrefix(line, "panic: "):
			return strings.TrimSuffix(line, " [recovered]")
		case strings.HasPrefix(line, "fatal error: "):
			if m := signalLine().FindStringSubmatch(strings.Join(head, "\n")); m != nil {
				return m[1] + " (" + line + ")"
			}
			return line
		}
	}
	return ""
}

// Between returns what is no part of an account of a crash though it stands in it: what the program had written to
// another stream, which was read meanwhile.
func Between(crash string) string {
	if other := parse(crash).other; len(other) > 0 {
		return strings.Join(other, "\n") + "\n"
	}
	return ""
}

// Asked reports whether crash is the dump of a program that was asked to quit.
func Asked(crash string) bool { return strings.HasPrefix(crash, quitMark) }
