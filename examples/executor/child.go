package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/xenonmp/xme"
)

// child is a copy of this program that answers calls. One goroutine at a time uses it.
type child struct {
	cmd *exec.Cmd // nil: not started, or dead
	in  io.WriteCloser
	out *bufio.Reader
}

// call runs a call in the child. When ctx ends it kills the child; the next call starts another.
func (c *child) call(ctx context.Context, name string, args []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("%w: %w", xme.ErrWorkerLost, err)
	}
	process := c.cmd.Process
	release := context.AfterFunc(ctx, func() { _ = process.Kill() })
	err := send(c.in, []byte(name), args)
	var body, failure []byte
	if err == nil {
		body, failure, err = receive(c.out)
	}
	switch released := release(); {
	case !released:
		c.stop()
		return nil, context.Cause(ctx)
	case err != nil:
		c.stop()
		return nil, fmt.Errorf("%w: child %d: %w", xme.ErrWorkerLost, process.Pid, err)
	case len(failure) > 0:
		e := &xme.Error{}
		return nil, cmp.Or[error](e.UnmarshalBinary(failure), e)
	}
	return body, nil
}

// start starts the process unless it runs.
func (c *child) start() error {
	if c.cmd != nil {
		return nil
	}
	path, errPath := os.Executable()
	cmd := exec.CommandContext(context.Background(), path) // it outlives the call
	cmd.Env, cmd.Stderr = append(os.Environ(), childEnv+"=1"), os.Stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errPath, errIn, errOut); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.in, c.out = cmd, in, bufio.NewReader(out)
	return nil
}

// stop kills the process, if there is one.
func (c *child) stop() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}
