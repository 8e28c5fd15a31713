package sys

import (
	"os"
	"os/signal"
)

// CatchSignals has a worker process survive Ctrl-C and Ctrl-Break, which the console sends to all of its processes,
// until stop is called.
func CatchSignals() (stop func()) {
	c := make(chan os.Signal, 1) // never read: package signal drops what does not fit
	signal.Notify(c, os.Interrupt)
	return func() { signal.Stop(c) }
}
