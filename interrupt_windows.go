package xme

import "os"

var interruptSignals = []os.Signal{os.Interrupt}

// exitStatus is what Ctrl-C makes of a process (STATUS_CONTROL_C_EXIT), as far as
// os.Exit can say it.
func exitStatus(os.Signal) int { return 130 }
