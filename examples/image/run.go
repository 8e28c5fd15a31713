package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

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
