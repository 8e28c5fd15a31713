package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
)

// Call calls the server's function with the given name with in, and returns its result. The
// function runs at most once. ctx bounds the call: its deadline is sent along, and when ctx ends
// the server is told to cancel the call.
func Call[In, Out any](ctx context.Context, c *Client, name string, in In) (Out, error) {
	var out Out
	args, err := text(in)
	if err != nil {
		return out, &Error{Code: "invalid_argument", Function: name, Message: "argument: " + err.Error(), kind: ErrArguments, err: err}
	}
	result, err := c.call(ctx, name, args)
	if err != nil {
		return out, err
	}
	if err := formOf(reflect.TypeFor[Out]()).decode([]byte(result), &out); err != nil {
		var none Out
		return none, &Error{Code: "internal", Function: name, Message: fmt.Sprintf("the result is no %v: %v", reflect.TypeFor[Out](), err), err: err}
	}
	return out, nil
}

// CallFunc is Call for a function that this program has registered too, by its full name.
func CallFunc[In, Out any](ctx context.Context, c *Client, f *xme.Func[In, Out], in In) (Out, error) {
	return Call[In, Out](ctx, c, f.Name(), in)
}

// CallJSON is Call with the argument and the result as JSON.
func (c *Client) CallJSON(ctx context.Context, name string, args []byte) ([]byte, error) {
	if !isJSON(args) {
		return nil, &Error{Code: "invalid_argument", Function: name, Message: "argument: it is not JSON in UTF-8", kind: ErrArguments}
	}
	result, err := c.call(ctx, name, string(args))
	return []byte(result), err
}

// isJSON reports whether a is JSON that can be sent, or nothing.
func isJSON(a []byte) bool { return len(a) == 0 || json.Valid(a) && utf8.Valid(a) }

func (c *Client) call(ctx context.Context, name, args string) (string, error) {
	result := ""
	err := c.marked(ctx, name, len(args), func(k *xmev1.Mark) (note, error) {
		res, err := c.api.Call(ctx, &xmev1.CallRequest{Function: name, Args: args, Mark: k})
		result = res.GetResult()
		return 0, err
	})
	return result, err
}

// mostSessions is how often a call that has not run for want of a session is sent in another.
const mostSessions = 3

// marked sends a request of that size until the server tells how it ended, always with the same mark. Only what a server refuses because it
// does not know the session, and no server may have taken in before, is sent in another: it has not run.
func (c *Client) marked(ctx context.Context, name string, size int, send func(k *xmev1.Mark) (note, error)) error {
	if !utf8.ValidString(name) {
		return &Error{Code: "invalid_argument", Function: name, Message: "the function's name is not UTF-8", kind: ErrArguments}
	}
	for n := 1; ; n++ {
		s, err := c.session(ctx, false)
		if err != nil {
			return named(err, name)
		}
		if size > s.message {
			return &Error{Code: "resource_exhausted", Function: name, Message: fmt.Sprintf("arguments of %d bytes are over the server's limit, %d", size, s.message), kind: ErrTooLarge}
		}
		k := s.mark()
		if s.wide() {
			c.replace(s)
		}
		err = c.repeat(ctx, name, func(int) (note, error) { return send(k) })
		s.finish(k.GetNumber())
		if err == nil {
			return nil
		}
		e := err.(*Error) //nolint:errorlint // repeat returns no other
		switch {
		case errors.Is(e.kind, ErrRestarted), errors.Is(e.kind, ErrForgotten):
			c.drop(s)
			if e.unrun && n < mostSessions {
				continue
			}
		case ctx.Err() != nil, errors.Is(e.kind, ErrLost):
			c.cancelled(k)
		}
		return e
	}
}

func named(err error, function string) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // it is made here
		e.Function = function
	}
	return err
}
