package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// Stream calls the server's function of that name once for each of in, and yields the results as they come, each with the place of its input. Each row
// runs at most once; a connection that breaks is made anew, and the stream goes on where it was. If it cannot go on, every row that has not come yields
// why. Leaving the loop cancels the rows under way. The inputs together are one request, and may be as large as that.
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
					out.Err = &Error{Code: "internal", Function: name, Message: fmt.Sprintf("the result is not a %v: %v", reflect.TypeFor[Out](), err), err: err}
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
			if len(a) > 0 && !json.Valid(a) {
				err := &Error{Code: "invalid_argument", Function: name, Message: fmt.Sprintf("argument %d: it is not JSON", i), kind: ErrArguments}
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

// errLeft says that the loop over a stream was left.
var errLeft = &Error{Code: "canceled", Message: "the loop was left"}

func (c *Client) stream(ctx context.Context, name string, args []string) iter.Seq[xme.Result[string]] {
	return func(yield func(xme.Result[string]) bool) {
		size := 0
		for _, a := range args {
			size += len(a) + 8
		}
		there, received := make([]bool, len(args)), 0
		var mark *xmev1.Mark
		left := false
		defer func() {
			if left { // also by a panic of the loop's
				c.cancelled(mark)
			}
		}()
		take := func(r *xmev1.StreamResponse) error {
			i := r.GetIndex()
			if i >= uint64(len(args)) || there[i] {
				return &Error{Code: "internal", Function: name, Message: fmt.Sprintf("the server sent row %d, which it must not", i)}
			}
			there[i] = true
			received++
			res := xme.Result[string]{Index: int(i), Value: r.GetResult()}
			if r.GetFailure() != nil {
				res.Err = errorOf(name, r.GetFailure())
			}
			left = true
			if !yield(res) {
				return errLeft
			}
			left = false
			return nil
		}
		if len(args) == 0 {
			return
		}
		err := c.marked(ctx, name, size, func(k *xmev1.Mark) (note, error) {
			mark = k
			before := received
			for received < len(args) {
				req := &xmev1.StreamRequest{Function: name, Mark: k, Received: uint64(received)}
				if received == 0 {
					req.Args = args
				}
				at := received
				err := c.segment(ctx, req, take)
				if err == nil && received == at {
					err = io.ErrUnexpectedEOF
				}
				if err != nil && received > before {
					return progress, err
				}
				if err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		if err != nil && !errors.Is(err, errLeft) && !left {
			_ = missing(there, err, yield)
		}
	}
}

// segment takes rows from one response.
func (c *Client) segment(ctx context.Context, req *xmev1.StreamRequest, take func(*xmev1.StreamResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.api.Stream(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		r, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(r); err != nil {
			return err
		}
	}
}
