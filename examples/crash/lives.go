package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"unsafe"

	"github.com/xenonmp/xme"
)

// lives is what the rows do, top to bottom.
var lives = []string{"work", "wild", "work", "exit", "ring", "work", "loop", "hoard", "work", "kill", "panic", "work", "error", "work"}

var live = xme.Register("live", func(_ context.Context, how string) (string, error) {
	switch how {
	case "wild": // a wild pointer, as native code has them: SIGSEGV, which no recover catches
		p := (*int)(unsafe.Add(unsafe.Pointer(&lives), 1<<45))
		*p = 1
	case "exit": // a library that thinks it is the program
		os.Exit(7)
	case "ring": // recursion without end: the runtime ends the process
		debug.SetMaxStack(8 << 20) // soon, not when a gigabyte is full
		n := &link{}
		n.next = n
		n.len()
	case "loop": // the row's Timeout ends it
		for n := 0; n >= 0; n ^= 1 {
		}
	case "hoard": // more memory than the row may have
		for all := [][]byte{}; ; {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
	case "kill": // by somebody else, as the kernel does when memory runs out
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			return "", err
		}
		select {}
	case "panic":
		var none map[string]int
		none[how] = 1 //nolint:staticcheck // the panic is the point
	case "error":
		return "", errors.New("nothing wrong with the worker")
	}
	return "done", nil
})

// link is a list's; len is right for every list that has an end.
type link struct{ next *link }

func (l *link) len() int {
	if l == nil {
		return 0
	}
	return 1 + l.next.len()
}
