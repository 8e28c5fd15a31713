package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/xenonmp/xme"
)

func init() {
	const what = "Call over the socket link, back to back, driver and worker pinned to "
	const floor = "net.Conn over a unix socket between 2 processes pinned alike, 64 bytes there and back"
	rows = append(
		rows, row{
			name:    "call-socket-together",
			what:    what + "the same CPU",
			floorIs: floor,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureCallSocket(ctx, true, quick) },
			figure:  timesFloor, figureUnit: asRatio, must: 2, reach: 1.3,
		}, row{
			name:    "call-socket-apart",
			what:    what + "one CPU each",
			floorIs: floor,
			unit:    inSeconds,
			measure: func(ctx context.Context, quick bool) (sample, error) { return measureCallSocket(ctx, false, quick) },
			figure:  timesFloor, figureUnit: asRatio, must: 1.3, reach: 1.1,
		},
	)
	roles["echo"] = func(_ []byte, line string) error {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "unix", line)
		if err != nil {
			return err
		}
		defer c.Close()
		var message [64]byte
		for err == nil {
			if _, err = io.ReadFull(c, message[:]); err == nil {
				_, err = c.Write(message[:])
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

func measureCallSocket(ctx context.Context, together, quick bool) (s sample, err error) {
	if runtime.GOOS == "windows" {
		return s, fmt.Errorf("no link over a socket on windows: %w", errAbsent)
	}
	rounds, block := 20, 25*time.Millisecond
	if quick {
		rounds, block = 1, time.Millisecond
	}
	o := alone()
	o.Link = xme.LinkSocket
	pool, err := xme.Open(ctx, o)
	if err != nil {
		return s, err
	}
	defer pool.Close()
	p, err := startPeer(ctx, "echo", 0)
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	conn, err := dialled(ctx, p)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	on, err := pinned(together, p.pid(), pool.Workers()[0].PID)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, on.undo()) }()
	var message [64]byte
	trip := func() error {
		message[0]++
		want := message[0]
		_, err := conn.Write(message[:])
		if err == nil {
			_, err = io.ReadFull(conn, message[:])
		}
		if err == nil && message[0] != want {
			err = errors.New("another message came back")
		}
		return err
	}
	call := caller(ctx, pool)
	return alternate(ctx, rounds,
		func() (float64, error) { return perCall(block, trip) },
		func() (float64, error) { return perCall(block, call) })
}

// dialled has a peer dial this process. The socket has a name only until it has.
func dialled(ctx context.Context, p *peer) (net.Conn, error) {
	dir, err := os.MkdirTemp("", "xme-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(silence)); err != nil {
		return nil, err
	}
	if err := p.do(name); err != nil {
		return nil, err
	}
	return l.Accept()
}
