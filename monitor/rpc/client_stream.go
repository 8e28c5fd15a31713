package rpc

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/xenonmp/xme"
)

// Stream calls the server's function with the given name once for each element of in, and yields
// the results as they come, each with the index of its input. Each row runs at most once; if a
// connection breaks, a new one is made, and the stream continues where it was. If it cannot
// continue, every row whose result has not come yields the reason. Leaving the loop cancels the
// rows under way. All inputs together are one request: its size is bounded accordingly, and their
// number by 65536.
//
// Results are read ahead of the loop, about 1 MiB of them. If the loop is slow, the server waits
// for it.
func Stream[In, Out any](ctx context.Context, c *Client, name string, in []In) iter.Seq[xme.Result[Out]] {
	return func(yield func(xme.Result[Out]) bool) {
		args := make([]string, len(in))
		for i := range in {
			a, err := text(in[i])
			if err != nil {
				err = &Error{Code: "invalid_argument", Function: name, Message: fmt.Sprintf("argument %d: %v", i, err), kind: ErrArguments, err: err}
				_ = missing(make([]bool, len(in)), err, yield)
				return
			}
			args[i] = a
		}
		takes := formOf(reflect.TypeFor[Out]())
		for r := range c.stream(ctx, name, args) {
			out := xme.Result[Out]{Index: r.Index, Err: r.Err}
			if r.Err == nil {
				if err := takes.decode([]byte(r.Value), &out.Value); err != nil {
					var none Out
					out.Value = none
					out.Err = &Error{Code: "internal", Function: name, Message: fmt.Sprintf("the result is no %v: %v", reflect.TypeFor[Out](), err), err: err}
				}
			}
			if !yield(out) {
				return
			}
		}
	}
}

// StreamJSON is Stream with the arguments and the results as JSON.
func (c *Client) StreamJSON(ctx context.Context, name string, args [][]byte) iter.Seq[xme.Result[[]byte]] {
	return func(yield func(xme.Result[[]byte]) bool) {
		rows := make([]string, len(args))
		for i, a := range args {
			if !isJSON(a) {
				err := &Error{Code: "invalid_argument", Function: name, Message: fmt.Sprintf("argument %d: it is not JSON in UTF-8", i), kind: ErrArguments}
				_ = missing(make([]bool, len(args)), err, yield)
				return
			}
			rows[i] = string(a)
		}
		for r := range c.stream(ctx, name, rows) {
			if !yield(xme.Result[[]byte]{Index: r.Index, Value: []byte(r.Value), Err: r.Err}) {
				return
			}
		}
	}
}

// missing yields err for each row that is not there.
func missing[Out any](there []bool, err error, yield func(xme.Result[Out]) bool) bool {
	for i, ok := range there {
		if !ok && !yield(xme.Result[Out]{Index: i, Err: err}) {
			return false
		}
	}
	return true
}

// errLeft says that a loop was left.
var errLeft = &Error{Code: "canceled", Message: "the loop was left"}

func (c *Client) stream(ctx context.Context, name string, args []string) iter.Seq[xme.Result[string]] {
	return func(yield func(xme.Result[string]) bool) {
		if len(args) == 0 {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		r := newReading(c, name, args)
		go r.run(ctx)
		defer func() { // also at a panic of the loop's
			cancel()
			<-r.ended
		}()
		for list := r.next(); list != nil; list = r.next() {
			for _, row := range list {
				res := xme.Result[string]{Index: int(row.GetIndex()), Value: row.GetResult()}
				if row.GetFailure() != nil {
					res.Err = errorOf(name, row.GetFailure())
				}
				if !yield(res) {
					return
				}
				r.taken(row)
			}
		}
		if r.err != nil {
			_ = missing(r.there, r.err, yield)
		}
	}
}
