package main

import (
	"image"
	"image/color"
	"math"
)

// sharpen fills the pixels of to that lie in bounds with those of from, each made to differ more from the mean of the
// nine around it (an unsharp mask). Beyond the edge the picture goes on as at the edge. Opacity stays.
func sharpen(to, from []byte, width, height int, bounds image.Rectangle) {
	const amount = 1.5
	at := func(x, y int) int { return 4 * (min(max(y, 0), height-1)*width + min(max(x, 0), width-1)) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			i := at(x, y)
			for c := range 3 {
				sum := 0
				for dy := -1; dy <= 1; dy++ {
					for dx := -1; dx <= 1; dx++ {
						sum += int(from[at(x+dx, y+dy)+c])
					}
				}
				v := float64(from[i+c])
				to[i+c] = byte(min(max(math.Round(v+amount*(v-float64(sum)/9)), 0), 255))
			}
			to[i+3] = from[i+3]
		}
	}
}

// drawn makes a picture: soft rings over a slope of colours.
func drawn(width, height int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			r := math.Hypot(float64(x-width/2), float64(y-height/2))
			ring := 0.5 + 0.5*math.Cos(r/9)
			p.SetNRGBA(x, y, color.NRGBA{
				R: byte(60 + 160*ring), G: byte(255 * x / width), B: byte(255 * y / height), A: 255,
			})
		}
	}
	return p
}
