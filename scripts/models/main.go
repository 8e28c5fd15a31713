package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

// folder is where the models lie, from the module's root.
const folder = "internal/ring/model"

// A check is one search of one model.
type check struct {
	model, run, mutation string
	defines              []string
	ltl                  bool

	states, found, trail string
	bad                  error // it is not known what is true
	took                 time.Duration
}

func main() {
	verbose := flag.Bool("v", false, "print the trail of what is found")
	flag.Parse()
	for _, tool := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			fmt.Fprintf(os.Stderr, "models: no %s: install spin (Debian: apt-get install spin) and a C compiler\n", tool)
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	fine, err := models(ctx, flag.Args(), *verbose, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "models:", err)
	}
	if err != nil || !fine {
		os.Exit(1)
	}
}

func models(ctx context.Context, names []string, verbose bool, out io.Writer) (fine bool, err error) {
	checks, err := read(names)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "models")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	two := make(chan struct{}, 2)
	var all sync.WaitGroup
	for i, c := range checks {
		select {
		case two <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-two }()
			begin := time.Now()
			c.bad = c.do(ctx, filepath.Join(dir, fmt.Sprint(i)), verbose)
			c.took = time.Since(begin)
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	fine = true
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "model\trun\tmutation\tstates\texpected\tfound\ttime\t")
	for _, c := range checks {
		expected, found, mark := "no error", c.found, ""
		if c.mutation != "" {
			expected = "an error"
		}
		if c.bad != nil {
			found = c.bad.Error()
		} else if found == "" {
			found = "no error"
		}
		if c.bad != nil || (c.mutation != "") != (c.found != "") {
			fine, mark = false, "WRONG"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.1fs\t%s\n", c.model, c.run, c.mutation, c.states, expected, found, c.took.Seconds(), mark)
	}
	if err := w.Flush(); err != nil {
		return false, err
	}
	for _, c := range checks {
		if c.trail != "" {
			fmt.Fprintf(out, "\n%s %s %s:\n%s", c.model, c.run, c.mutation, c.trail)
		}
	}
	return fine, nil
}

var headLine = regexp.MustCompile(`(?m)^ \* (run|mutations) (\w+): (.+)$`)

// read reads what there is to check from the heads of the models: of those named, or of all.
func read(names []string) ([]*check, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.pml"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("no models in "+folder+": run it from the module's root"))
	}
	var all []*check
	seen := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pml")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		seen++
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		runs := map[string]check{}
		for _, m := range headLine.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(m[3])
			if m[1] == "run" {
				c := check{model: name, run: m[2]}
				for _, w := range words {
					if w == "ltl" {
						c.ltl = true
					} else {
						c.defines = append(c.defines, "-D"+w)
					}
				}
				runs[m[2]] = c
				all = append(all, &c)
				continue
			}
			base, ok := runs[m[2]]
			if !ok {
				return nil, fmt.Errorf("%s: mutations of no run %s", file, m[2])
			}
			for _, w := range words {
				if !regexp.MustCompile(`\b` + w + `\b`).Match(text[bytes.Index(text, []byte("*/")):]) {
					return nil, fmt.Errorf("%s: nothing looks at %s", file, w)
				}
				c := base
				c.mutation, c.defines = w, append(slices.Clip(base.defines), "-D"+w)
				all = append(all, &c)
			}
		}
		if len(runs) == 0 {
			return nil, fmt.Errorf("%s names no run", file)
		}
	}
	if len(names) > 0 && seen != len(names) {
		return nil, fmt.Errorf("there are not all of %v", names)
	}
	return all, nil
}

var (
	statesLine = regexp.MustCompile(`(?m)^\s*(\d+) states, stored`)
	errorsLine = regexp.MustCompile(`errors: (\d+)`)
	foundLine  = regexp.MustCompile(`(?m)^pan:1: (.*) \(at depth \d+\)`)
)

// do searches in a folder of its own; an error says that it did not come to an end.
func (c *check) do(ctx context.Context, dir string, verbose bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	model, err := filepath.Abs(filepath.Join(folder, c.model+".pml"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	tool := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TMPDIR="+dir) // what it leaves when it is killed goes too
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := tool("spin", append(append([]string{"-a"}, c.defines...), model)...); err != nil {
		return fmt.Errorf("spin: %w: %s", err, strings.Join(strings.Fields(out), " "))
	}
	build, search := []string{"-O1", "-w", "-DMEMLIM=1024"}, []string{"-m3000000"}
	if c.ltl {
		search = append(search, "-a", "-f")
	} else {
		build = append(build, "-DSAFETY")
	}
	if out, err := tool("gcc", append(build, "-o", "pan", "pan.c")...); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, strings.Join(strings.Fields(out), " "))
	}
	out, err := tool(filepath.Join(dir, "pan"), search...)
	if m := statesLine.FindStringSubmatch(out); m != nil {
		c.states = m[1]
	}
	n := errorsLine.FindStringSubmatch(out)
	if n != nil && n[1] != "0" {
		if m := foundLine.FindStringSubmatch(out); m != nil {
			c.found = m[1]
		}
	}
	switch {
	case strings.Contains(out, "max search depth too small"):
		return errors.New("the search was cut short: too deep")
	case strings.Contains(out, "out of memory"), strings.Contains(out, "reached -DMEMLIM"):
		return errors.New("the search was cut short: out of memory")
	case n == nil, n[1] != "0" && c.found == "":
		return fmt.Errorf("the search gave no result: %w", errors.Join(err, ctx.Err(), errors.New(strings.Join(strings.Fields(out), " "))))
	case c.found == "" && (err != nil || strings.Contains(out, "Search not completed")):
		return fmt.Errorf("the search was cut short: %w", errors.Join(err, errors.New("not completed")))
	}
	if verbose && c.found != "" {
		if c.trail, err = tool("spin", append(append([]string{"-t", "-p", "-g", "-k", c.model + ".pml.trail"}, c.defines...), model)...); err != nil {
			return fmt.Errorf("spin: %w", err)
		}
	}
	return nil
}
