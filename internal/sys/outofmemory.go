package sys

import "strings"

// OutOfMemory looks in the last output of a process for the line by which it says that it was refused memory, and
// returns it. LimitData says when such a line is written. A line about a thread has other causes too (a limit on
// processes): whoever set no limit on memory is not to trust it.
func OutOfMemory(output string) (line string, ok bool) {
	rest := output
	for line := range strings.Lines(output) {
		rest = rest[len(line):]
		line = strings.TrimRight(line, "\r\n")
		said, text, ok := strings.Cut(line, "fatal error: ")
		// Behind something that was printed without an end of line it must be what the runtime goes on after.
		if ok && (said == "" || strings.HasPrefix(rest, "\nruntime stack:\n") || strings.HasPrefix(rest, "\ngoroutine ")) {
			text = strings.TrimPrefix(text, "runtime: ")
			if strings.HasPrefix(text, "out of memory") || strings.HasPrefix(text, "cannot allocate memory") {
				return line, true
			}
		}
		switch {
		case strings.HasPrefix(line, "runtime/cgo: pthread_create failed: "), strings.HasPrefix(line, "runtime/cgo: out of memory in "),
			strings.HasPrefix(line, "runtime: failed to create new OS thread"),
			strings.Contains(line, "std::bad_alloc"),
			strings.Contains(line, "ThreadSanitizer") && strings.Contains(line, "failed to allocate"), // built with -race
			// Go 1.26's collector does not look at what it got (newSpanSPMC in mgcmark_greenteagc.go).
			line == "SIGSEGV: segmentation violation" && strings.Contains(output, "\nruntime.(*spanQueue).tryDrain("):
			return line, true
		}
	}
	return "", false
}
