//go:build race

package monitor_test

// raced says that the race detector slows the test down.
const raced = true
