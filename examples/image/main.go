// Image sharpens a picture. Its pixels lie in shared memory; calls filter one tile each, from the picture as it was to the
// picture as it will be, and nothing but the tile's bounds travels. Before and after are written as PNG files.
//
//	go run ./examples/image -in photo.png -out /tmp
//
// feature: M1
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
)

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
