package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

type doctorCommand struct {
	JSON bool `help:"Print one JSON object." name:"json"`
}

// grade is how much a finding matters. Only what keeps a pool from working at all is bad.
type grade string

const (
	fine  grade = "ok"
	note  grade = "note" // worth knowing
	warns grade = "warn" // it will hurt some programs
	bad   grade = "bad"
)

// finding is one line of the doctor's.
type finding struct {
	Check string `json:"check"`
	Grade grade  `json:"grade"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // empty: nothing
}

// examination is what xme doctor --json prints.
type examination struct {
	Machine  machine   `json:"machine"`
	Date     string    `json:"date"`
	Version  string    `json:"version"`
	Worst    grade     `json:"worst"`
	Findings []finding `json:"findings"`
}

// facts is all that findings are judged by.
type facts struct {
	sys.Facts

	OS, Arch, Go string
	Version      string
	Procs        int // GOMAXPROCS of this process
	Trials       []sys.Trial
	ClockCost    time.Duration // of one time.Now
	Proof        proof
}

// patience bounds what the doctor waits for.
const patience = 20 * time.Second

var errNoPool = errors.New("no pool can work here: see what is bad")

// Run examines the machine and prints what it finds. It fails only if a pool does not work.
func (c *doctorCommand) Run(ctx context.Context, out io.Writer) error {
	f := facts{
		Facts: sys.Survey(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
		Version: fmt.Sprintf("%s, protocol %d", wire.ModuleVersion(), wire.Version), Procs: runtime.GOMAXPROCS(0),
		Trials: sys.Trials(), ClockCost: clockCost(), Proof: prove(ctx),
	}
	list := judge(f)
	worst := worstOf(list)
	var err error
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(examination{thisMachine(), time.Now().UTC().Format(time.RFC3339), wire.ModuleVersion(), worst, list})
	} else {
		err = printFindings(out, list)
	}
	if err == nil && worst == bad {
		err = errNoPool
	}
	return err
}

func worstOf(list []finding) grade {
	rank := map[grade]int{fine: 0, note: 1, warns: 2, bad: 3}
	worst := fine
	for _, f := range list {
		if rank[f.Grade] > rank[worst] {
			worst = f.Grade
		}
	}
	return worst
}

// printFindings prints a line each.
func printFindings(out io.Writer, list []finding) error {
	for _, f := range list {
		line := fmt.Sprintf("%-4s  %-14s  %s", f.Grade, f.Check, f.Found)
		if f.Do != "" {
			line += " -> " + f.Do
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// clockCost measures time.Now: where the kernel has to be asked each time it is slow.
func clockCost() time.Duration {
	const n = 1000
	start := time.Now()
	for range n {
		_ = time.Now()
	}
	return time.Since(start) / n
}
