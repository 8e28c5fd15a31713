//go:build !linux

package main

import "fmt"

func residentMemory() (int64, error) {
	return 0, fmt.Errorf("resident memory is read from /proc: %w", errAbsent)
}

func resetPeakMemory() bool { return false }

func peakMemory() int64 { return 0 }
