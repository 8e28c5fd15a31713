package proc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/xenonmp/xme/internal/inherit"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// Work is a worker's main loop: it answers the handshake on c and runs rows until
// the driver says bye or is gone. What it does with them is made of what the driver
// said.
func Work(ctx context.Context, c link.Conn, id wire.Identity, side func(wire.Hello, link.Conn) link.Side) error {
	f, _, err := c.Recv()
	if err != nil {
		return err
	}
	if f.Kind != wire.KindHello {
		return fmt.Errorf("%v frame instead of a hello", f.Kind)
	}
	h, err := wire.ParseHello(f.Body)
	if err != nil {
		return err
	}
	if refusal, ok := id.Compare(h); !ok {
		c.Send(link.Frame{Kind: wire.KindRefuse, Body: refusal.Append(nil)})
		c.Flush()
		c.Wait(0)
		return &wire.SkewError{Driver: wire.Identity{Version: h.Version, Build: h.Build}, Worker: refusal}
	}
	inherit.Take(h.Key)
	c.Send(link.Frame{Kind: wire.KindReady, Body: h.Token[:]})
	c.Flush()
	return link.Serve(ctx, c, side(h, c))
}

// greet is the driver's half of the handshake.
func greet(c link.Conn, id wire.Identity, h wire.Hello) error {
	_, _ = rand.Read(h.Token[:]) // never fails: see its documentation
	h.Key = inherit.Make()
	c.Send(link.Frame{Kind: wire.KindHello, Body: h.Append(nil)})
	c.Flush()
	f, _, err := c.Recv()
	if err != nil {
		return err
	}
	switch f.Kind {
	case wire.KindReady:
		if subtle.ConstantTimeCompare(f.Body, h.Token[:]) != 1 {
			return errors.New("it answered a hello that was not sent to it")
		}
		return nil
	case wire.KindRefuse:
		refusal, err := wire.ParseRefusal(f.Body)
		if err != nil {
			return err
		}
		return &wire.SkewError{Driver: id, Worker: refusal}
	default:
		return fmt.Errorf("%v frame in answer to a hello", f.Kind)
	}
}
