//go:build !linux

package xmetest

// takeCensus counts nothing here: only goroutines are checked.
func takeCensus() census { return census{} }
