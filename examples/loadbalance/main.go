// Loadbalance serves one function from several pools, of different size: each call goes to the pool that has the least to do for its size. A pool whose worker
// crashes loses that call only. It calls its own server over a socket of this machine, and prints what each pool ran.
//
//	go run ./examples/loadbalance
//	go run ./examples/loadbalance -n 1000
//
// feature: N3, S11
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xenonmp/xme"
)

var work = xme.Register("work", func(_ context.Context, n int) (int, error) {
	for begin := time.Now(); time.Since(begin) < 200*time.Microsecond; {
	}
	return 2 * n, nil
})

func main() {
	xme.Init()
	n := flag.Int("n", 400, "`calls`")
	flag.Parse()
	if *n < 1 || flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "loadbalance: -n %d %q: give 1 or more calls and nothing else\n", *n, flag.Args())
		os.Exit(2)
	}
	if err := run(context.Background(), *n); err != nil {
		fmt.Fprintln(os.Stderr, "loadbalance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int) (err error) {
	b, err := openBalancer(ctx, 1, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	folder, err := os.MkdirTemp("", "loadbalance")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	sum, err := callAll(ctx, filepath.Join(folder, "socket"), b, n)
	if err != nil {
		return err
	}
	fmt.Println("the results add up to", sum)
	for i, p := range b {
		fmt.Printf("pool %d with %d workers ran some: %v\n", i+1, p.workers, p.Stats().Done > 0)
	}
	return nil
}
