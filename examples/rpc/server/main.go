// Server serves functions, which run in a pool of processes, and messages, to programs on this machine: the client beside it, client.py, curl, xme rpc.
// It is the original's section 2.4.1, whole. Ctrl-C ends it: calls under way finish.
//
//	go run ./examples/rpc/server
//	curl -H 'Content-Type: application/json' -d '{"function":"square","args":"7"}' http://127.0.0.1:7080/xme.v1.Monitor/Call
//
// feature: N1, N3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
)

func main() {
	xme.Init()
	at := flag.String("at", "127.0.0.1:7080", "`address`, or unix:/path")
	workers := flag.Int("workers", 2, "`processes` that run functions")
	keyFile := flag.String("key", "", "`file` with the key to seal messages with, as xme message key prints it; without it a key of this program's own is used")
	flag.Parse()
	if flag.NArg() > 0 || *workers < 1 {
		fmt.Fprintf(os.Stderr, "server: -workers %d %q: give 1 or more workers and nothing else, see -h\n", *workers, flag.Args())
		os.Exit(2)
	}
	if err := run(*at, *workers, *keyFile); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(at string, workers int, keyFile string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	keys, err := readKey(keyFile)
	if err != nil {
		return err
	}
	messages := monitor.New(monitor.Options{Manager: m, Context: "rpc example", Keys: keys})
	pool, err := xme.Open(ctx, xme.Options{Workers: workers, Setup: tell.Setup(messages)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	network, addr := "tcp", at
	if path, ok := strings.CutPrefix(at, "unix:"); ok {
		network, addr = "unix", path
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, addr)
	if err != nil {
		return err
	}
	fmt.Println("serving on", l.Addr())
	functions := []rpc.Function{rpc.Export(square, pool), rpc.Export(primes, pool), rpc.Export(crash, pool)}
	return rpc.Serve(ctx, l, functions, rpc.Plain(), rpc.WithMonitor(messages))
}
