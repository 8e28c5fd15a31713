// Services runs two small servers, each in a process of its own beside the pool's workers, until Ctrl-C: echo, which
// sends every line back (RFC 862), and daytime, which tells the time (RFC 867). Both listen on this machine only.
//
// The first Ctrl-C ends the services' contexts: they close their listeners and return how many connections they had.
// The second kills them if they have not, the third ends the program at once. If one dies, the other is ended too.
//
//	go run ./examples/services
//	nc 127.0.0.1 7007
//
// feature: S10
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	echoAt := flag.String("echo", "127.0.0.1:7007", "`address` of the echo service")
	timeAt := flag.String("daytime", "127.0.0.1:7013", "`address` of the daytime service")
	limit := flag.Duration("for", 0, "end after this `time`; 0: at Ctrl-C")
	flag.Parse()
	if err := run(*echoAt, *timeAt, *limit, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func run(echoAt, timeAt string, limit time.Duration, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q, see -h", rest[0])
	case limit < 0:
		return fmt.Errorf("-for %v: give 0 or more", limit)
	}
	pool, err := xme.Open(context.Background(), xme.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, stop := xme.Interruptible(context.Background())
	defer stop()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	services := []*service{{name: "echo", f: echo, at: echoAt}, {name: "daytime", f: daytime, at: timeAt}}
	ended := make(chan *service)
	for _, s := range services {
		go func() {
			s.conns, s.err = s.serve(ctx, pool)
			ended <- s
		}()
	}
	for range services {
		s := <-ended
		cancel() // one without the other is no use
		switch {
		case s.err == nil:
			fmt.Printf("%s has ended, connections: %d\n", s.name, s.conns)
		case errors.Is(s.err, xme.ErrInterrupted), errors.Is(s.err, context.Canceled), errors.Is(s.err, context.DeadlineExceeded):
			fmt.Printf("%s was ended: %v\n", s.name, s.err) // before it served, or it did not listen
		default:
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, s.err))
		}
	}
	return err
}
