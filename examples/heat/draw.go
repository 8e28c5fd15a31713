package main

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"slices"
)

// draw writes a grid as a picture: the hottest point is white, 0 is black, below it is blue.
func (w plate) draw(g []float64, file string) error {
	hottest := slices.Max(g)
	if hottest <= 0 {
		hottest = 1
	}
	picture := image.NewRGBA(image.Rect(0, 0, w.N, w.N))
	for i, v := range g {
		if k := i % w.width(); k > 0 && k <= w.N {
			picture.Set(k-1, i/w.width(), glow(v/hottest))
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, picture), f.Close())
}

// glow is the colour of a heat up to 1: red first, then yellow, then white.
func glow(v float64) color.RGBA {
	part := func(from float64) uint8 { return uint8(255 * min(1, max(0, 3*(v-from)))) }
	if v < 0 {
		return color.RGBA{B: uint8(255 * min(1, math.Abs(v))), A: 255}
	}
	return color.RGBA{R: part(0), G: part(1. / 3), B: part(2. / 3), A: 255}
}
