package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
)

// driverArg is the first argument of a copy of this program that is a driver to be
// killed; its state follows.
const driverArg = "orphans-driver"

// mark is how a driver's processes are found: in their environment, with a value of
// its own.
const mark = "XME_ORPHANS="

// patience is after how long a process counts as left.
const patience = 2 * time.Second

func main() {
	xme.Init()
	if len(os.Args) == 3 && os.Args[1] == driverArg {
		fmt.Fprintln(os.Stderr, "orphans:", driver(os.Args[2]))
		os.Exit(1)
	}
	n := flag.Int("n", 100, "drivers per state")
	limit := flag.Duration("limit", 50*time.Millisecond, "what the processes have to be gone in")
	flag.Parse()
	if flag.NArg() > 0 || *n < 1 {
		fmt.Fprintln(os.Stderr, "orphans: no arguments, -n 1 or more")
		os.Exit(2)
	}
	if !orphans(*n, *limit, os.Stdout) {
		os.Exit(1)
	}
}

// orphans measures every state and reports whether all was well.
func orphans(n int, limit time.Duration, out io.Writer) bool {
	fine := true
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintf(w, "workers\tdrivers\tmedian\tmax\tover %v\tleft\t\n", limit)
	for _, state := range states {
		var took []time.Duration
		over, lefts := 0, 0
		for i := range n {
			d, last, left, err := one(state, fmt.Sprintf("%s%d-%d", mark, os.Getpid(), i))
			if err != nil {
				fmt.Fprintf(out, "%s: %v\n", state, err)
				return false
			}
			took = append(took, d)
			if left {
				lefts++
				fmt.Fprintf(out, "%s: left after %v: %v\n", state, patience, last)
				for _, p := range last { // ours, by their mark
					_ = syscall.Kill(p.PID, syscall.SIGKILL)
				}
			}
			if d > limit {
				over++
			}
		}
		slices.Sort(took)
		round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%d\t%d\t\n", state, n, round(took[len(took)/2]), round(took[len(took)-1]), over, lefts)
		fine = fine && over == 0 && lefts == 0
	}
	return fine
}

// one starts a driver, kills it, and measures.
func one(state, mark string) (took time.Duration, last []procs.Process, left bool, err error) {
	skip := map[int]bool{}
	for _, pid := range procs.PIDs() {
		skip[pid] = true
	}
	exe, err := os.Executable()
	if err != nil {
		return 0, nil, false, err
	}
	cmd := exec.CommandContext(context.Background(), exe, driverArg, state)
	cmd.Env = append(os.Environ(), mark)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // its end tells the driver that this process is gone
	if err != nil {
		return 0, nil, false, err
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return 0, nil, false, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		_ = cmd.Process.Kill()
		return 0, nil, false, fmt.Errorf("the driver said %q: %w", line, errors.Join(err, cmd.Wait()))
	}
	if state == dead {
		if err := bury(cmd.Process); err != nil {
			return 0, nil, false, err
		}
	}
	_ = cmd.Process.Kill()
	took, last, left = procs.AwaitGone(mark, skip, patience)
	_ = cmd.Wait()
	return took, last, left, nil
}

// bury stops a driver and waits until its workers, who see it, have ended.
func bury(driver *os.Process) error {
	if err := driver.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		ended := 0
		for _, p := range procs.Children(driver.Pid) {
			if p.Gone() {
				ended++
			}
		}
		switch {
		case ended >= workers:
			return nil
		case time.Now().After(deadline):
			_ = driver.Kill()
			return fmt.Errorf("%d of %d workers have ended, %w", ended, workers, os.ErrDeadlineExceeded)
		}
	}
}
