package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
)

// The forms of an error.

func line(e *xme.Error) string { return fmt.Sprintf("%v: %s", e.Cause, e.Message) }

func block(e *xme.Error) string { return fmt.Sprintf("%+v", e) }

func object(e *xme.Error) string {
	b, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func show(i int, name, answer string, err error, form func(*xme.Error) string) {
	if e := (*xme.Error)(nil); errors.As(err, &e) {
		answer = form(e)
	}
	fmt.Printf("%2d  %-11s  %s\n", i, name, answer)
}

// outside shows how calls fail that never reach a worker.
func outside(ctx context.Context, closed *xme.Pool, o xme.Options, form func(*xme.Error) string) {
	_, err := live.Call(ctx, closed, "work")
	show(len(rows), "closed", "", err, form)

	o.Setup = live.Setup("exit")
	_, err = xme.Open(ctx, o)
	show(len(rows)+1, "no worker", "", err, form)

	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err = live.Call(ctx, xme.Inline(), "work")
	show(len(rows)+2, "cancelled", "", err, form)
}
