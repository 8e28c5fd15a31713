package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
)

// The services take the address they listen at and return the number of connections they had, once ctx ends.
var (
	echo = xme.Register("echo", func(ctx context.Context, at string) (int, error) {
		return answerAll(ctx, "echo", at, func(c net.Conn) error {
			for in := bufio.NewReader(c); ; {
				line, err := in.ReadString('\n')
				if err != nil {
					return err
				}
				if _, err := io.WriteString(c, line); err != nil {
					return err
				}
			}
		})
	})
	daytime = xme.Register("daytime", func(ctx context.Context, at string) (int, error) {
		return answerAll(ctx, "daytime", at, func(c net.Conn) error {
			_, err := fmt.Fprintf(c, "%s\r\n", time.Now().Format(time.RFC1123Z))
			return err
		})
	})
)

// answerAll listens, on this machine only, and answers each connection on a goroutine until ctx ends.
func answerAll(ctx context.Context, name, at string, answer func(net.Conn) error) (int, error) {
	where, err := net.ResolveTCPAddr("tcp", at)
	if err != nil {
		return 0, err
	}
	if !where.IP.IsLoopback() {
		return 0, fmt.Errorf("%s is not an address of this machine alone, such as 127.0.0.1:7007", at)
	}
	l, err := net.ListenTCP("tcp", where)
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	defer l.Close()
	fmt.Printf("%s serves at %v\n", name, l.Addr())
	var open sync.WaitGroup
	var conns atomic.Int64
	defer open.Wait()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return int(conns.Load()), nil
		case err != nil:
			return int(conns.Load()), err
		}
		conns.Add(1)
		open.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })()
			if err := answer(c); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "%s: %v: %v\n", name, c.RemoteAddr(), err)
			}
		})
	}
}
