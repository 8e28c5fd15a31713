package main

import "math"

// plate is a unit square with N x N points inside, edges of 0, and heat that spreads by u' = Δu. Time goes in steps of
// ratio·dx², of which the explicit scheme bears a quarter.
type plate struct{ N, Steps int }

const ratio = 0.2

func (w plate) dx() float64 { return 1 / float64(w.N+1) }
func (w plate) width() int  { return w.N + 2 }

// exact is the solution at a time: two sines, each of which fades at its own pace.
func (w plate) exact(time float64, row, column int) float64 {
	x, y := math.Pi*w.dx()*float64(column), math.Pi*w.dx()*float64(row)
	fade := math.Exp(-math.Pi * math.Pi * time)
	return fade*fade*math.Sin(x)*math.Sin(y) + math.Pow(fade, 13)*math.Sin(3*x)*math.Sin(2*y)/2
}

// begin returns rows first to end, and one around them on each side, at time 0.
func (w plate) begin(first, end int) []float64 {
	g := make([]float64, (end-first+2)*w.width())
	for i := 1; i <= end-first; i++ {
		for k := 1; k <= w.N; k++ {
			g[i*w.width()+k] = w.exact(0, first+i, k)
		}
	}
	return g
}

// step computes the inner rows of next from now, and returns the largest change.
func (w plate) step(next, now []float64) (change float64) {
	for i := w.width(); i < len(now)-w.width(); i += w.width() {
		above, here, below := now[i-w.width():i], now[i:i+w.width()], now[i+w.width():i+2*w.width()]
		for k := 1; k <= w.N; k++ {
			by := ratio * (above[k] + below[k] + here[k-1] + here[k+1] - 4*here[k])
			next[i+k] = here[k] + by
			change = max(change, math.Abs(by))
		}
	}
	return change
}

// serial is what the ranks do, in one loop.
func (w plate) serial() []float64 {
	now, next := w.begin(0, w.N), make([]float64, w.width()*w.width())
	for range w.Steps {
		w.step(next, now)
		now, next = next, now
	}
	return now[w.width() : len(now)-w.width()]
}

// distance is the largest one to the exact solution.
func (w plate) distance(g []float64) (off float64) {
	for i, v := range g {
		off = max(off, math.Abs(v-w.exact(float64(w.Steps)*ratio*w.dx()*w.dx(), 1+i/w.width(), i%w.width())))
	}
	return off
}
