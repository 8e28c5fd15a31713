package xmetest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/region"
	"go.uber.org/goleak"
)

// settleTime bounds how long Main waits for what is on its way out.
var settleTime = 5 * time.Second

// Main runs a package's tests and exits. If they passed but left something behind, it
// says what and exits with 1. It checks goroutines everywhere; on Linux also open
// descriptors, child processes, mappings of xme's memory, and entries of the temporary
// directory and /dev/shm whose names begin with "xme-". Call it at the end of TestMain,
// after xme.Init.
func Main(m *testing.M) {
	// The first pipe makes the netpoller, whose descriptors stay.
	if r, w, err := os.Pipe(); err == nil {
		_ = r.Close()
		_ = w.Close()
	}
	before, there := takeCensus(), goleak.IgnoreCurrent()
	code := m.Run()
	if code == 0 {
		if left := leftovers(before, settleTime, there); len(left) > 0 {
			for _, l := range left {
				fmt.Fprintln(os.Stderr, "xmetest: left behind:", l)
			}
			code = 1
		}
	}
	os.Exit(code)
}

// leftovers compares with before until nothing is left or the time is up, once at
// least. there says which goroutines there were.
func leftovers(before census, patience time.Duration, there ...goleak.Option) []string {
	deadline := time.Now().Add(patience)
	// What package signal starts never ends, and is no leak.
	there = append(there, goleak.IgnoreTopFunction("os/signal.signal_recv"), goleak.IgnoreTopFunction("os/signal.loop"))
	for {
		region.Trim() // what lies unused is kept on purpose
		left := takeCensus().since(before)
		if err := goleak.Find(there...); err != nil {
			left = append(left, err.Error())
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-time.After(20 * time.Millisecond)
	}
}

// census is what a process holds besides memory and goroutines: a kind and a
// description each, counted.
type census map[string]int

// since describes what c has more of than before.
func (c census) since(before census) []string {
	var left []string
	for what, n := range c {
		if extra := n - before[what]; extra > 0 {
			left = append(left, fmt.Sprintf("%s (%d more)", what, extra))
		}
	}
	return left
}
