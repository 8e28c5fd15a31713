package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
)

func init() {
	const what = "an RPC to a server in the same process over loopback TCP (HTTP/1.1, no TLS), whose function runs in a pool of 2 workers; a call of the pool, measured within a bare handler, is taken off; "
	const floorIs = "a bare connect-go handler that sends back what it gets, over the same kind of socket"
	rows = append(
		rows, row{
			name:    "rpc",
			what:    what + "one after the other",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureRPC(ctx, 1, quick) },
			figure:  timesFloor, figureUnit: asRatio, must: 1.25, reach: 1.1,
		}, row{
			name:    "rpc-rate",
			what:    what + "64 in flight, the time of each",
			floorIs: floorIs,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureRPC(ctx, 64, quick) },
			figure:  shareOfFloor, figureUnit: asRatio, must: 0.85, reach: 0.95, atLeast: true,
		},
	)
}

// send returns what it is sent.
var send = xme.Register("send", func(_ context.Context, s string) (string, error) { return s, nil })

// letter is what is sent.
const letter = "sixteen letters."

func measureRPC(ctx context.Context, inFlight int, quick bool) (s sample, err error) {
	rounds, block := 60, 15*time.Millisecond // short ones: what slows the machine for a while slows all three
	if inFlight > 1 {                        // of those in flight at its end a block counts the time, and not the work
		rounds, block = 20, 60*time.Millisecond
	}
	if quick {
		rounds, block = 1, 2*time.Millisecond
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		return s, err
	}
	defer pool.Close()
	var ends []func()
	defer func() {
		for _, end := range ends {
			end()
		}
	}()
	// In turn: a bare handler; one that calls the pool; ours.
	calls := make([]func() error, 0, 3)
	for _, on := range []xme.Executor{nil, pool} {
		call, end, err := bareHandler(ctx, on)
		if err != nil {
			return s, err
		}
		ends, calls = append(ends, end), append(calls, call)
	}
	call, end, err := served(ctx, pool)
	if err != nil {
		return s, err
	}
	ends, calls = append(ends, end), append(calls, call)
	took := make([][]float64, len(calls))
	for round := range rounds + 1 {
		for i, call := range calls {
			t, err := perCallOf(ctx, inFlight, block, call)
			if err != nil {
				return s, err
			}
			if round > 0 {
				took[i] = append(took[i], t)
			}
		}
	}
	if quick { // too little to take anything off
		return sample{Floor: median(took[0]), Ours: median(took[2])}, nil
	}
	bare, more := median(took[0]), make([]float64, rounds)
	for i := range more {
		more[i] = took[2][i] - took[1][i] // of one round, one right after the other
	}
	return sample{Floor: bare, Ours: bare + median(more)}, nil
}

// perCallOf calls for a while on n goroutines, back to back on each, and returns the seconds of all over the number of calls.
func perCallOf(ctx context.Context, n int, d time.Duration, call func() error) (float64, error) {
	var made atomic.Int64
	errs := make(chan error, n)
	begin := time.Now()
	for range n {
		go func() {
			for time.Since(begin) < d {
				if err := call(); err != nil {
					errs <- err
					return
				}
				made.Add(1)
			}
			errs <- ctx.Err()
		}()
	}
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	return time.Since(begin).Seconds() / float64(max(1, made.Load())), errors.Join(all...)
}

// echoSpec is the bare handler's procedure.
var echoSpec = connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: "/bench.Echo/Echo"}

// bareHandler serves one procedure with nothing around it: what is sent comes back, by way of on unless it is nil.
func bareHandler(ctx context.Context, on xme.Executor) (call func() error, end func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := connect.NewServer()
	server.Register(connect.Method{Spec: echoSpec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		var in wrapperspb.StringValue
		if err := stream.Receive(&in); err != nil {
			return err
		}
		if on != nil {
			out, err := send.Call(ctx, on, in.GetValue())
			if err != nil {
				return err
			}
			in.Value = out
		}
		return stream.Send(&in)
	}})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	hs := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = hs.Serve(l) })
	t := http.DefaultTransport.(*http.Transport).Clone() // as http.DefaultClient has it, which connect-go's own examples use
	t.MaxIdleConnsPerHost = 64
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: t}, "http://"+l.Addr().String(), connecthttp.WithCompressors())) // small answers would be compressed
	call = func() error {
		var out wrapperspb.StringValue
		err := client.CallUnary(ctx, echoSpec, wrapperspb.String(letter), &out)
		if err == nil && out.GetValue() != letter {
			err = errors.New("another letter came back")
		}
		return err
	}
	return call, func() {
		t.CloseIdleConnections()
		_ = hs.Close()
		serving.Wait()
	}, nil
}

// served serves send with package rpc.
func served(ctx context.Context, pool *xme.Pool) (call func() error, end func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(serving, l, []rpc.Function{rpc.Export(send, pool)}, rpc.Plain()) }()
	c, err := rpc.Dial(ctx, "http://"+l.Addr().String(), rpc.Plain())
	if err != nil {
		stop()
		return nil, nil, errors.Join(err, <-ended)
	}
	call = func() error {
		out, err := rpc.CallFunc(ctx, c, send, letter)
		if err == nil && out != letter {
			err = errors.New("another letter came back")
		}
		return err
	}
	return call, func() {
		_ = c.Close()
		stop()
		_ = <-ended
	}, nil
}
