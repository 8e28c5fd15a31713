package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/xenonmp/xme"
)

// work is the one function that all rows call; it is set by init because it calls
// itself.
var work *xme.Func[job, answer]

func init() { work = xme.Register("work", do) }

var (
	errChaos = xme.RegisterError("chaos.ErrChaos", errors.New("an error with a name"))
	// errNestedLost is what a row returns whose nested call was lost for no reason of
	// its own.
	errNestedLost = xme.RegisterError("chaos.ErrNestedLost", errors.New("a nested call was lost"))
)

// ran counts the rows that this process has begun.
var ran int

// patience is how long a row goes on that should have been ended.
const patience = 50 * time.Second

// do runs in the workers.
func do(ctx context.Context, j job) (answer, error) {
	a := answer{Table: j.Table, Row: j.Row, Sum: j.sum(), Rank: xme.Rank(ctx), Ran: ran, Data: slices.Clone(j.Data)}
	slices.Reverse(a.Data)
	ran++
	if j.Setup && !isSetUp {
		return a, errors.New("its worker was not set up")
	}
	switch j.Kind {
	case slow:
		time.Sleep(time.Duration(j.Row%3000) * time.Microsecond)
	case spin:
		for begin := time.Now(); time.Since(begin) < time.Duration(j.Row%1000)*time.Microsecond; {
		}
	case leak:
		for range 3 {
			go func() { select {} }()
		}
	case errText, retryError:
		return a, fmt.Errorf("%s", textOf(j))
	case errKnown:
		return a, fmt.Errorf("%s: %w", textOf(j), errChaos)
	case panics:
		panic(textOf(j))
	case goexit:
		runtime.Goexit()
	case prints:
		printMuch(j)
	case forks:
		return a, startSleep()
	case exits, retryDies:
		os.Exit(codeOf(j))
	case forkExits:
		if err := startSleep(); err != nil {
			return a, err
		}
		os.Exit(codeOf(j))
	case segv:
		return a, die(syscall.SIGSEGV)
	case abort:
		return a, die(syscall.SIGABRT)
	case kill9:
		return a, die(syscall.SIGKILL)
	case bomb:
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = die(syscall.SIGKILL) })
	case stopsSelf:
		for begin := time.Now(); time.Since(begin) < patience; { // the monkey may let it go on
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
		return a, errors.New("stopped, and nobody found out")
	case nest, nestMany, nestDies, nestDeep:
		return a, nested(ctx, j)
	case nestLeft, nestLeftDies: // a call that waits for its end: its caller's
		inner := job{Table: j.Table, Row: j.Row, Kind: service}
		work.Go(ctx, xme.Current(ctx), inner)
		if j.Kind == nestLeftDies {
			time.Sleep(time.Duration(j.Row%3000) * time.Microsecond)
			os.Exit(codeOf(j))
		}
	case poolWithin, poolLeft:
		return a, within(ctx, j)
	case obeys:
		<-ctx.Done()
		return a, ctx.Err()
	case deaf:
		time.Sleep(patience)
	case deafSpin:
		for begin := time.Now(); time.Since(begin) < patience; {
		}
	case inMemory:
		hoard(8 << 20)
	case memory:
		hoard(4 * bound)
		time.Sleep(patience)
	case service:
		<-ctx.Done()
	default:
	}
	return a, nil
}

// textOf is what a row's error says.
func textOf(j job) string { return fmt.Sprintf("row %d of %d says so", j.Row, j.Table) }

// codeOf is what a row exits with: not 1, 2 or 3, which have meanings of their own.
func codeOf(j job) int { return 10 + j.Row%100 }

// die sends this process a signal that ends it.
func die(sig syscall.Signal) error {
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		return err
	}
	time.Sleep(patience)
	return fmt.Errorf("it survived %v", sig)
}

// startSleep starts a program that outlives its row and holds its output open.
func startSleep() error {
	cmd := exec.CommandContext(context.Background(), "sleep", "1000")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Start()
}

func printMuch(j job) {
	line := strings.Repeat("chaos ", 1+j.Row%40)
	for range j.Row % 300 {
		fmt.Println(line)
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Print("no end of line")
}

func hoard(bytes int) {
	var all [][]byte
	for range bytes / (64 << 10) {
		b := make([]byte, 64<<10)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	runtime.KeepAlive(all)
}

// nested makes calls as a row, and checks their outcomes like those of rows.
func nested(ctx context.Context, j job) error {
	here := xme.Current(ctx)
	inner := j
	inner.Kind = value
	switch j.Kind {
	case nestMany:
		row := 0
		for a, err := range work.Map(ctx, here, xme.Repeat(5, inner)) {
			row++
			if err := nestedError(inner, a, err); err != nil {
				return err
			}
		}
		if row != 5 && ctx.Err() == nil {
			return fmt.Errorf("nested Map: %d results of 5", row)
		}
		return ctx.Err()
	case nestDies:
		inner.Kind = []kind{exits, kill9, panics, errKnown}[j.Row%4]
	case nestDeep:
		inner.Kind = nest
	default:
	}
	a, err := work.Call(ctx, here, inner)
	return nestedError(inner, a, err)
}

// nestedError is what a row returns for the outcome of a call it made.
func nestedError(inner job, a answer, err error) error {
	switch out, complaint := judge(inner, a, err); {
	case complaint != "":
		return fmt.Errorf("nested: %s", complaint)
	case out == lost, out == noWorker:
		return fmt.Errorf("%w: %s", errNestedLost, err.Error())
	case out != asMeant:
		return err
	}
	return nil
}

// within opens a pool in a row.
func within(ctx context.Context, j job) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 1, Spares: -1})
	if err != nil {
		return err
	}
	inner := j
	inner.Kind, inner.Setup = value, false
	a, err := work.Call(ctx, pool, inner)
	if j.Kind == poolLeft {
		os.Exit(codeOf(j))
	}
	_ = pool.Close()
	return nestedError(inner, a, err)
}
