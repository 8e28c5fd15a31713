package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// row is one line of the benchmark: what xme does beside the least that it could take on this machine. To add one,
// add a file with a row and an init function that appends it to rows.
type row struct {
	name    string
	what    string // what is measured
	floorIs string // what stands beside it
	unit    unit   // of both

	// measure takes both, one right after the other. quick asks for a size that only shows that it works. An error
	// that wraps errAbsent leaves the row out on this system.
	measure func(ctx context.Context, quick bool) (sample, error)

	figure      func(sample) float64 // what is judged
	figureUnit  unit
	must, reach float64
	atLeast     bool // the limits are lower ones; otherwise upper ones
}

// sample is one run of a row.
type sample struct {
	Floor float64 `json:"floor"`
	Ours  float64 `json:"ours"`
}

var rows []row

// errAbsent is what a row wraps that finds that this system has not what it needs. Errors of the engine do not count,
// whatever they wrap.
var errAbsent = errors.New("not measured here")

// orAbsent marks an error of a system call, or of what makes shared memory, that the system does not offer at all.
func orAbsent(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w: %w", errAbsent, err)
	}
	return err
}

// sortedRows returns the rows by name.
func sortedRows() []row {
	return slices.SortedFunc(slices.Values(rows), func(a, b row) int { return cmp.Compare(a.name, b.name) })
}

func rowNames() string {
	var names []string
	for _, r := range sortedRows() {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}

// within reports whether a figure keeps a limit.
func (r *row) within(figure, limit float64) bool {
	if r.atLeast {
		return figure >= limit
	}
	return figure <= limit
}

// The verdicts on a row.
const (
	reached = "reached" // what is aimed at
	met     = "met"     // what must be
	missed  = "MISSED"
	unbound = "no bound" // printed for comparison
	unsized = "quick"    // not judged: run at a small size
	absent  = "not on this system"
)

func (r *row) verdict(figure float64, quick bool) string {
	switch {
	case quick:
		return unsized
	case r.must == 0 && r.reach == 0:
		return unbound
	case r.within(figure, r.reach):
		return reached
	case r.within(figure, r.must):
		return met
	}
	return missed
}

func timesFloor(s sample) float64   { return s.Ours / s.Floor }
func shareOfFloor(s sample) float64 { return s.Floor / s.Ours }
func oursAlone(s sample) float64    { return s.Ours }
func aboveFloor(s sample) float64   { return s.Ours - s.Floor }

// median returns the middle value, of an even number the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
