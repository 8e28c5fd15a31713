package xme_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"github.com/xenonmp/xme"
)

// The golden files of TestCauses hold names and line numbers of this file.

var dies *xme.Func[string, string]

func init() { dies = xme.Register("dies", dieAs) }

var waits = xme.Register("waits", waitAt)

func waitAt(_ context.Context, g gate) (int, error) {
	_, _ = g.Said.Write([]byte{byte(g.Row)})
	g.never()
	return g.Row, nil
}

func (g gate) never() { _, _ = g.Wait.Read(make([]byte, 1)) }

// errRoute is an error of a user's that keeps its identity.
var errRoute = xme.RegisterError("github.com/xenonmp/xme_test.errRoute", errors.New("no route"))

// dieAs does what ends a row, or keeps it from ending.
func dieAs(ctx context.Context, how string) (string, error) {
	switch how, arg, _ := strings.Cut(how, " "); how {
	case "error":
		return "", errors.New("nothing wrong with the worker")
	case "known":
		return "", fmt.Errorf("from here to there: %w", errors.Join(errRoute, io.ErrUnexpectedEOF))
	case "panic":
		return choose(nil, 3), nil
	case "goexit":
		giveUp()
	case "exit":
		leave(len(arg))
	case "overflow":
		debug.SetMaxStack(1 << 20) // soon, not when a gigabyte is full
		(&ring{}).close().length()
	case "wild":
		*(*int)(unsafe.Add(unsafe.Pointer(&errRoute), 1<<45)) = 1
	case "maps":
		writeBoth(ctx, map[int]int{1: 0}) // no key is added: that is found in another way
	case "goroutine":
		go raise()
		<-ctx.Done()
	case "colours":
		fmt.Print("\x1b[31mred\x1b[0m\ttab\x07\n", "\xff no UTF-8\n", "half a line")
		leave(9)
	case "spin":
		spin()
	case "asleep": // for ever: no goroutine is left that could wake it
		wait1 := make(chan int)
		for range 3 {
			go receive(wait1)
		}
		receive(wait1)
	case "obey":
		<-ctx.Done()
		return "", ctx.Err()
	case "obey-late":
		<-ctx.Done()
		return "late", nil
	case "obey-angry":
		<-ctx.Done()
		return "", errors.New("cut short")
	case "large":
		return strings.Repeat("x", 1000), nil
	case "once": // arg is a file that it makes
		return "", once(arg)
	case "attempts": // arg is a file that counts them
		return "", failAs(arg)
	case "below": // the rest is how to die in a nested call
		return dies.Call(ctx, xme.Current(ctx), arg)
	case "below-wrapped":
		_, err := dies.Call(ctx, xme.Current(ctx), arg)
		return "", fmt.Errorf("with care: %w", err)
	case "deeper":
		return dies.Call(ctx, xme.Current(ctx), "deeper")
	case "circle":
		return dies.With(xme.On(1)).Call(ctx, xme.Current(ctx), "circle")
	}
	return how, nil
}

func choose(from []string, i int) string { return from[i] }

func raise() { panic(errors.New("nobody\nrecovers this")) }

func giveUp() { runtime.Goexit() }

func leave(code int) { os.Exit(code) }

type ring struct{ next *ring }

func (r *ring) close() *ring { r.next = r; return r }

func (r *ring) length() int {
	if r == nil {
		return 0
	}
	return 1 + r.next.length()
}

func writeBoth(ctx context.Context, m map[int]int) {
	runtime.GOMAXPROCS(2) // at once, whatever the pool allows
	for range 2 {
		go write(m)
	}
	<-ctx.Done()
}

func write(m map[int]int) {
	for {
		m[1]++
	}
}

func spin() {
	for n := 0; n >= 0; n ^= 1 {
	}
}

func receive(from chan int) { <-from }

// failAs fails in another way at each attempt, which it counts in a file.
func failAs(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("."); err != nil {
		return err
	}
	switch st, err := f.Stat(); {
	case err != nil:
		return err
	case st.Size() == 1:
		return errors.New("not yet")
	case st.Size() == 2:
		panic("nor now")
	}
	leave(4)
	return nil
}

// once succeeds once.
func once(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.New("not a second time")
	}
	return f.Close()
}
