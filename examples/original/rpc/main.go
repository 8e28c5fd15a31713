// RPC is the original's section 2.4.1: a server with a set of functions, and a client that calls them by their names, with a mark for each call. It
// plays both in one process, or either.
//
// Where the original differs: it is a sketch, whose Message class, marks and functions are the reader's to write. Here package rpc has them: many calls at a time, deadlines, errors with
// their types, TLS between hosts; a call whose connection breaks is sent again, and runs once.
//
//	go run ./examples/original/rpc
//	go run ./examples/original/rpc serve unix:/tmp/socket &
//	go run ./examples/original/rpc call unix:/tmp/socket
//
// feature: N3
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rpc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(ctx, args[1])
	case len(args) == 2 && args[0] == "call":
		return call(ctx, args[1])
	case len(args) > 0:
		return fmt.Errorf("%q: say serve or call, and where, or nothing", args)
	}
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	at := "unix:" + filepath.Join(dir, "socket")
	serving, end := context.WithTimeout(ctx, time.Minute)
	served := make(chan error, 1)
	go func() {
		defer end() // nobody waits for a server that is not there
		served <- serve(serving, at)
	}()
	err = call(serving, at)
	end()
	return errors.Join(err, <-served)
}
