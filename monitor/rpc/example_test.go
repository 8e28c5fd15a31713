package rpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

var square = xme.Register("square", func(_ context.Context, n int) (int, error) { return n * n, nil })

// A server and a client in one program. Between hosts, the server's part and the client's stand in two programs, and WithTLS in place of Plain.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		log.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- rpc.Serve(ctx, l, []rpc.Function{rpc.Export(square, pool)}, rpc.Plain()) }()

	c, err := rpc.Dial(ctx, "http://"+l.Addr().String(), rpc.Plain())
	if err != nil {
		log.Fatal(err)
	}
	n, err := rpc.Call[int, int](ctx, c, "square", 12)
	fmt.Println(n, err)
	sum := 0
	for r := range rpc.Stream[int, int](ctx, c, "square", []int{1, 2, 3}) {
		sum += r.Value
	}
	fmt.Println(sum)
	_, err = rpc.Call[int, int](ctx, c, "cube", 3)
	fmt.Println(err)

	_ = c.Close()
	stop()
	fmt.Println(<-served, pool.Close())
	// Output:
	// 144 <nil>
	// 14
	// rpc: cube: not_found: no function "cube" is exported
	// <nil> <nil>
}
