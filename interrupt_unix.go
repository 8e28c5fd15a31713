//go:build unix

package xme

import (
	"os"

	"github.com/xenonmp/xme/internal/sys"
)

var interruptSignals = []os.Signal{os.Interrupt, sys.Terminate}

// exitStatus is how a shell reports a process that a signal ended.
func exitStatus(s os.Signal) int { return 128 + sys.SignalNumber(s) }
