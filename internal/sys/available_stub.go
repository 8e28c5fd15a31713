package sys

import (
	"fmt"
	"os"
	"strings"
)

// AvailableMemory is a stand-in until the real one lands.
func AvailableMemory() (int64, bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(b), "MemAvailable:")
	var kb int64
	if !ok {
		return 0, false
	}
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, false
	}
	return kb << 10, true
}
