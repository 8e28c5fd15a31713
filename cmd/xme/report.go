package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report is what a run of the benchmark found; docs/bench/README.md explains the fields.
type report struct {
	Machine machine  `json:"machine"`
	Date    string   `json:"date"`
	Version string   `json:"version"`
	Quick   bool     `json:"quick"`
	Rows    []result `json:"rows"`
}

// result is one row's. Floor, Ours and Figure are medians over the runs; Figure is that of the runs' figures.
type result struct {
	Name       string   `json:"name"`
	What       string   `json:"what"`
	FloorIs    string   `json:"floor_is"`
	Unit       unit     `json:"unit"`
	Floor      float64  `json:"floor"`
	Ours       float64  `json:"ours"`
	FigureUnit unit     `json:"figure_unit"`
	Figure     float64  `json:"figure"`
	Min        float64  `json:"min"`
	Max        float64  `json:"max"`
	Must       float64  `json:"must"`
	Reach      float64  `json:"reach"`
	AtLeast    bool     `json:"at_least"`
	Verdict    string   `json:"verdict"`
	Why        string   `json:"why,omitempty"` // the row was left out
	Runs       []sample `json:"runs"`
}

// unit is what a number counts.
type unit string

const (
	inSeconds      unit = "s"
	inBytes        unit = "B"
	asRatio        unit = "x"
	rowsPerSecond  unit = "rows/s"
	bytesPerSecond unit = "B/s"
)

// text prints a number with its unit.
func (u unit) text(v float64) string {
	switch {
	case u == inBytes:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case u == rowsPerSecond:
		return fmt.Sprintf("%.2f M/s", v/1e6)
	case u == bytesPerSecond:
		return fmt.Sprintf("%.2f GB/s", v/1e9)
	case u == inSeconds && v < 1e-6:
		return fmt.Sprintf("%.0f ns", v*1e9)
	case u == inSeconds && v < 1e-3:
		return fmt.Sprintf("%.1f µs", v*1e6)
	case u == inSeconds && v < 1:
		return fmt.Sprintf("%.1f ms", v*1e3)
	case u == inSeconds:
		return fmt.Sprintf("%.2f s", v)
	}
	return fmt.Sprintf("%.2f %s", v, u)
}

// print writes the report for people: the machine, the table, what the rows are.
func (p *report) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %s, xme %s\n", p.Machine, p.Date, p.Version)
	if p.Quick {
		b.WriteString("quick: small sizes, the figures say nothing\n")
	}
	b.WriteString("\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "row\tfloor\tours\tfigure\tmin..max\tmust\treach\tverdict")
	for _, r := range p.Rows {
		if r.Verdict == absent {
			_, _ = fmt.Fprintf(t, "%s\t\t\t\t\t\t\t%s: %s\n", r.Name, r.Verdict, r.Why)
			continue
		}
		u := r.FigureUnit
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s..%s\t%s\t%s\t%s\n", r.Name, r.Unit.text(r.Floor), r.Unit.text(r.Ours),
			u.text(r.Figure), u.text(r.Min), u.text(r.Max), r.limit(r.Must), r.limit(r.Reach), r.Verdict)
	}
	_ = t.Flush()
	b.WriteString("\n")
	for _, r := range p.Rows {
		fmt.Fprintf(&b, "%s: %s\n    floor: %s\n", r.Name, r.What, r.FloorIs)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// limit prints a limit with its direction.
func (r *result) limit(v float64) string {
	if r.Must == 0 && r.Reach == 0 {
		return ""
	}
	if r.AtLeast {
		return "≥ " + r.FigureUnit.text(v)
	}
	return "≤ " + r.FigureUnit.text(v)
}

// list prints what the rows are.
func list(out io.Writer, rows []row) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(out, "%s: %s\n    floor: %s\n", r.name, r.what, r.floorIs); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error that names the rows that missed.
func (p *report) check() error {
	var errs []error
	for _, r := range p.Rows {
		if r.Verdict == missed {
			errs = append(errs, fmt.Errorf("row %s: %s, must be %s", r.Name, r.FigureUnit.text(r.Figure), r.limit(r.Must)))
		}
	}
	return errors.Join(errs...)
}
