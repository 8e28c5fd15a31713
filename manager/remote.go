package manager

import (
	"context"

	"github.com/xenonmp/xme/internal/wire"
)

// remote is what this process has of a manager elsewhere.
type remote struct{ id id }

func remoteOf(i id) *remote { return &remote{i} }

// hostConn is a host's end of a connection.
type hostConn struct{}

// ask has the manager do op code, and hands read its answer, which is valid until read returns.
func (r *remote) ask(ctx context.Context, code uint8, body []byte, p *wire.Parcel, read func(answer []byte, p *wire.Parcel) error) error {
	return ErrLost
}
