package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
)

func init() {
	rows = append(rows, row{
		name:    "memory",
		what:    "the driver's peak resident memory over 1,000,000 rows through Map, in order, every result checked",
		floorIs: "its resident memory at the start of main; the figure is the growth",
		unit:    inBytes,
		measure: measureMemory,
		figure:  aboveFloor, figureUnit: inBytes, must: 64e6, reach: 16e6,
	})
}

// memoryCommandName is the hidden command whose process is measured: a fresh one, so that memory which other rows
// left behind does not count.
const memoryCommandName = "measure-memory"

// memoryCommand is that command.
type memoryCommand struct {
	Rows int `default:"1000000" help:"Rows to run."`
}

// Run prints a sample as JSON.
func (c memoryCommand) Run(ctx context.Context, out io.Writer) error {
	m, err := startMeter()
	if err != nil {
		return err
	}
	err = countUp(ctx, c.Rows)
	peak := m.stop()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(sample{Floor: float64(m.start), Ours: float64(peak)})
}

var increment = xme.Register("increment", func(_ context.Context, n int) (int, error) { return n + 1, nil })

// countUp runs n rows and checks each result and its place.
func countUp(ctx context.Context, n int) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	next := 0
	for got, err := range increment.Map(ctx, pool, xme.Split(func(i int) int { return i }, count(n))) {
		switch {
		case err != nil:
			return err
		case got != next+1:
			return fmt.Errorf("row %d gave %d", next, got)
		}
		next++
	}
	if next != n {
		return fmt.Errorf("%d rows came back, not %d", next, n)
	}
	return nil
}

// count is an array without values, for so many rows.
type count int

// Len implements what xme.Split counts by.
func (c count) Len() int { return int(c) }

func measureMemory(ctx context.Context, quick bool) (sample, error) {
	var s sample
	n := 1_000_000
	if quick {
		n = 20_000
	}
	if _, err := residentMemory(); err != nil {
		return s, err
	}
	path, err := sys.Executable()
	if err != nil {
		return s, err
	}
	cmd := exec.CommandContext(ctx, path, memoryCommandName, "--rows="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("%s: %w", memoryCommandName, err)
	}
	return s, json.Unmarshal(out, &s)
}
