package main

import (
	"math"
	"math/rand/v2"
)

type vector [3]float64

type body struct{ At, Speed vector }

// game is N bodies of mass 1/N each, at random places of a unit cube, at rest.
type game struct {
	N, Steps int
	Seed     uint64
}

const (
	dt   = 1e-3
	soft = 0.1 // bodies nearer than that attract each other less
)

func (g game) begin() []body {
	rnd, bodies := rand.New(rand.NewPCG(g.Seed, 0)), make([]body, g.N)
	for i := range bodies {
		bodies[i].At = vector{rnd.Float64(), rnd.Float64(), rnd.Float64()}
	}
	return bodies
}

// drift moves bodies by half a step.
func drift(own []body) {
	for i := range own {
		for k := range own[i].At {
			own[i].At[k] += own[i].Speed[k] * (dt / 2)
		}
	}
}

// kick changes the speed of bodies by the pull of all, and moves them by the other half.
func (g game) kick(own []body, all []vector) {
	for i := range own {
		var pull vector
		for _, at := range all { // itself too: at no distance, so with no pull
			x, y, z := at[0]-own[i].At[0], at[1]-own[i].At[1], at[2]-own[i].At[2]
			d := x*x + y*y + z*z + soft*soft
			f := 1 / (d * math.Sqrt(d) * float64(g.N))
			pull[0] += f * x
			pull[1] += f * y
			pull[2] += f * z
		}
		for k := range pull {
			own[i].Speed[k] += pull[k] * dt
		}
	}
	drift(own)
}

// energy is that of some bodies: of their speed, and of each pair with a later one.
func (g game) energy(own []body, first int, all []vector) (sum float64) {
	mass := 1 / float64(g.N)
	for i, b := range own {
		v := b.Speed
		sum += mass * (v[0]*v[0] + v[1]*v[1] + v[2]*v[2]) / 2
		for _, at := range all[first+i+1:] {
			x, y, z := at[0]-b.At[0], at[1]-b.At[1], at[2]-b.At[2]
			sum -= mass * mass / math.Sqrt(x*x+y*y+z*z+soft*soft)
		}
	}
	return sum
}
