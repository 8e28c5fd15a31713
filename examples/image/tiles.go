package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// tile is what a call works on: a rectangle of a picture of 4 bytes for each pixel, row by row.
type tile struct {
	From, To      *shm.Array[byte]
	Width, Height int // of the picture
	Bounds        image.Rectangle
}

var sharpenTile = xme.Register("sharpenTile", func(_ context.Context, t tile) (int, error) {
	sharpen(t.To.Slice(), t.From.Slice(), t.Width, t.Height, t.Bounds)
	return t.Bounds.Dx() * t.Bounds.Dy(), nil
})

// tiles cuts a picture into squares of so many pixels a side.
func tiles(from, to *shm.Array[byte], size image.Rectangle, side int) []tile {
	var all []tile
	for y := 0; y < size.Dy(); y += side {
		for x := 0; x < size.Dx(); x += side {
			all = append(all, tile{
				From: from.ReadOnly(), To: to, Width: size.Dx(), Height: size.Dy(),
				Bounds: image.Rect(x, y, x+side, y+side).Intersect(size),
			})
		}
	}
	return all
}

// read opens a PNG file as pixels of 4 bytes.
func read(name string) (*image.NRGBA, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := image.NewNRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(p, p.Bounds(), img, img.Bounds().Min, draw.Src)
	return p, nil
}

func write(name string, img image.Image) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close())
}
