package rpc_test

import (
	"context"

	"github.com/xenonmp/xme"
)

var echo = xme.Register("echo", func(_ context.Context, s string) (string, error) { return s, nil })
