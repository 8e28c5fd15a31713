package sys

// Pause tells the CPU that the caller looks at a word again and again: what shares the core with it gets on meanwhile. It takes some 10 to 50 ns.
func Pause()
