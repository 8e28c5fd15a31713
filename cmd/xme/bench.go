package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

type benchCommand struct {
	Rows  []string `arg:"" optional:"" name:"row" help:"Rows to measure: ${rows}. None: all."`
	Runs  int      `help:"Runs of each row. 0: 5, with --quick 1." default:"0"`
	JSON  bool     `help:"Print one JSON object." name:"json" xor:"print"`
	Quick bool     `help:"Small sizes, to see that it works; figures are not judged." xor:"judge"`
	Check bool     `help:"Exit with 1 if a row misses what it must keep." xor:"judge"`
	List  bool     `help:"Say what each row is and measure nothing." xor:"print"`
}

// Run measures the rows asked for and prints the report.
func (c *benchCommand) Run(ctx context.Context, out io.Writer) error {
	chosen, err := choose(c.Rows)
	if err != nil {
		return err
	}
	switch {
	case c.Runs < 0:
		return fmt.Errorf("--runs=%d: give a positive number, or 0 for the default", c.Runs)
	case c.List:
		return list(out, chosen)
	case c.Runs == 0 && c.Quick:
		c.Runs = 1
	case c.Runs == 0:
		c.Runs = 5
	}
	rep := report{Machine: thisMachine(), Date: time.Now().UTC().Format(time.RFC3339), Version: wire.ModuleVersion(), Quick: c.Quick}
	for i := range chosen {
		res, err := bench(ctx, &chosen[i], c.Runs, c.Quick)
		if err != nil {
			return fmt.Errorf("row %s: %w", chosen[i].name, err)
		}
		rep.Rows = append(rep.Rows, res)
		if !c.JSON {
			fmt.Fprintf(os.Stderr, "%s: %s\n", res.Name, res.Verdict) // a full run takes a while
		}
	}
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(rep)
	} else {
		err = rep.print(out)
	}
	if err == nil && c.Check {
		err = rep.check()
	}
	return err
}

// choose returns the rows with the names, in their order; without names all.
func choose(names []string) ([]row, error) {
	all := sortedRows()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []row
	for _, name := range names {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row %q; there are: %s", name, rowNames())
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// bench measures one row: one small run to warm up, then the runs that count.
func bench(ctx context.Context, r *row, runs int, quick bool) (result, error) {
	res := result{
		Name: r.name, What: r.what, FloorIs: r.floorIs, Unit: r.unit, FigureUnit: r.figureUnit,
		Must: r.must, Reach: r.reach, AtLeast: r.atLeast,
	}
	warm := 1
	if quick {
		warm = 0
	}
	var floors, ours, figures []float64
	for i := range warm + runs {
		s, err := r.measure(ctx, quick || i < warm)
		if i == 0 && errors.Is(err, errAbsent) { // what has run once is there
			res.Verdict, res.Why = absent, err.Error()
			return res, nil
		}
		if err != nil {
			return res, err
		}
		if i < warm {
			continue
		}
		res.Runs = append(res.Runs, s)
		floors, ours, figures = append(floors, s.Floor), append(ours, s.Ours), append(figures, r.figure(s))
	}
	res.Floor, res.Ours, res.Figure = median(floors), median(ours), median(figures)
	res.Min, res.Max = slices.Min(figures), slices.Max(figures)
	res.Verdict = r.verdict(res.Figure, quick)
	return res, nil
}
