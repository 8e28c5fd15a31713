// Image sharpens a picture. Its pixels lie in shared memory; calls filter one tile each, from the picture as it was to the
// picture as it will be, and nothing but the tile's bounds travels. Before and after are written as PNG files.
//
//	go run ./examples/image -in photo.png -out /tmp
//
// feature: M1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"

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

func run(ctx context.Context, in, out string, workers int) (err error) {
	picture := drawn(640, 480)
	if in != "" {
		if picture, err = read(in); err != nil {
			return err
		}
	}
	size := picture.Bounds()
	from, err := shm.NewArray[byte](len(picture.Pix))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := shm.NewArray[byte](len(picture.Pix))
	if err != nil {
		return err
	}
	defer to.Close()
	copy(from.Slice(), picture.Pix)

	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()
	pixels, n := 0, 0
	for done, err := range sharpenTile.Map(ctx, pool, slices.Values(tiles(from, to, size, 128))) {
		if err != nil {
			return err
		}
		pixels, n = pixels+done, n+1
	}
	serial := make([]byte, len(picture.Pix))
	sharpen(serial, picture.Pix, size.Dx(), size.Dy(), size)
	if !slices.Equal(serial, to.Slice()) {
		return errors.New("the tiles differ from the picture that is filtered at once")
	}
	after := &image.NRGBA{Pix: to.Slice(), Stride: picture.Stride, Rect: size}
	for _, f := range []struct {
		name string
		img  image.Image
	}{{"before.png", picture}, {"after.png", after}} {
		if err := write(filepath.Join(out, f.name), f.img); err != nil {
			return err
		}
	}
	fmt.Printf("%d x %d: %d pixels in %d tiles, equal to the serial result\n", size.Dx(), size.Dy(), pixels, n)
	return nil
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

func main() {
	xme.Init()
	in := flag.String("in", "", "a PNG `file`; none: a picture is drawn")
	out := flag.String("out", ".", "the `folder` that before.png and after.png are written to")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *p < 1:
		err = fmt.Errorf("-p %d: it is 1 or more", *p)
	default:
		err = run(context.Background(), *in, *out, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}
