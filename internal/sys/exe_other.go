//go:build !linux

package sys

import "os"

// Executable is the path this program was started from. The file may have been
// replaced since: the handshake compares build ids.
func Executable() (string, error) { return os.Executable() }
