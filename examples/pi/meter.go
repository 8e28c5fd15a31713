package main

import (
	"fmt"
	"math"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// meter adds up scores and shows how far they are: a bar on a terminal, else a line for each tenth. It shows no more
// than a hundred steps, so that short rows do not pay for it.
type meter struct {
	sum         score
	n           int
	step, steps float64
	show        func(step float64)
	end         func()
}

func newMeter(name string, n int) *meter {
	if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		p := mpb.New(mpb.WithOutput(os.Stderr))
		bar := p.AddBar(100, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(name)), mpb.AppendDecorators(decor.Percentage()))
		end := func() { bar.Abort(true); p.Wait() }
		return &meter{n: n, steps: 100, show: func(step float64) { bar.SetCurrent(int64(step)) }, end: end}
	}
	show := func(step float64) { fmt.Fprintf(os.Stderr, "%s: %.0f %%\n", name, 10*step) }
	return &meter{n: n, steps: 10, show: show, end: func() {}}
}

func (m *meter) count(s score) {
	m.sum.Darts += s.Darts
	m.sum.Hits += s.Hits
	if step := math.Floor(m.steps * float64(m.sum.Darts) / float64(m.n)); step > m.step {
		m.step = step
		m.show(step)
	}
}
