package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"github.com/xenonmp/xme"
)

var live *xme.Func[string, string]

func init() { live = xme.Register("live", liveAs) } // here, because it calls itself

// liveAs works, or ends otherwise.
func liveAs(ctx context.Context, how string) (string, error) {
	switch how, rest, _ := strings.Cut(how, " "); how {
	case "wild": // a wild pointer, as native code has them: SIGSEGV, which no recover catches
		*(*int)(unsafe.Add(unsafe.Pointer(&live), 1<<45)) = 1
	case "exit": // a library that thinks it is the program
		fmt.Println("\x1b[1mthat will do\x1b[0m")
		os.Exit(7)
	case "ring": // recursion without end: the runtime ends the process
		debug.SetMaxStack(8 << 20) // soon, not when a gigabyte is full
		n := &link{}
		n.next = n
		n.len()
	case "goroutine": // a panic that no caller can recover
		go (*link).raise(nil)
		<-ctx.Done()
	case "maps": // two goroutines write to one map
		race(ctx)
	case "loop": // the row's Timeout ends it
		for n := 0; n >= 0; n ^= 1 {
		}
	case "asleep": // nobody will ever send
		<-make(chan string)
	case "hoard": // more memory than the row may have
		hoard()
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
		none[how] = 1 //nolint:staticcheck,govet // the panic is the point
	case "goexit": // as t.FailNow does
		runtime.Goexit()
	case "error":
		return "", errors.New("nothing wrong with the worker")
	case "known": // errors.Is finds fs.ErrNotExist in the row's error
		return "", fmt.Errorf("read the plan: %w", fs.ErrNotExist)
	case "call": // the rest, in a worker of its own
		return live.Call(ctx, xme.Current(ctx), rest)
	case "deep": // until no process is left
		return live.Call(ctx, xme.Current(ctx), how)
	}
	return "done", nil
}
