// Client calls the functions of the server beside it, from another program: one call, a stream of calls whose results come as they end, one that takes its worker down, and
// the message that they leave.
//
//	go run ./examples/rpc/server &
//	go run ./examples/rpc/client
//
// feature: N1, N3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

// span is the server's, as JSON has it.
type span struct{ From, To int }

func main() {
	at := flag.String("at", "http://127.0.0.1:7080", "the server's `address`")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "client: unexpected argument %q, see -h\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, *at); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, at string) (err error) {
	c, err := rpc.Dial(ctx, at, rpc.Plain())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	n, err := rpc.Call[int64, int64](ctx, c, "square", 3_037_000_499) // more than a float64 holds exactly
	if err != nil {
		return err
	}
	fmt.Println("the square is", n)
	var spans []span
	for from := 0; from < 100_000; from += 10_000 {
		spans = append(spans, span{from, from + 10_000})
	}
	sum := 0
	for r := range rpc.Stream[span, int](ctx, c, "primes", spans) {
		if r.Err != nil {
			return r.Err
		}
		sum += r.Value
	}
	fmt.Println("primes below 100000:", sum)
	_, err = rpc.Call[struct{}, struct{}](ctx, c, "crash", struct{}{})
	fmt.Println("a crash costs a worker:", errors.Is(err, xme.ErrWorkerLost))
	all, err := c.Messages(ctx, "last")
	if err != nil {
		return err
	}
	fmt.Println("there is a message:", len(all["last"].JSON) > 0)
	return nil
}
