package link

import (
	"errors"
	"fmt"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/wire"
)

// errNoCarry is what a message with descriptors gets where the link carries none.
var errNoCarry = fmt.Errorf("shared memory crosses on links that carry descriptors only: %w", errors.ErrUnsupported)

// NewPost has messages between processes go by c; up: c leads to the driver.
func NewPost(up bool, c Conn) *post.Port {
	return post.NewPort(up, func(body []byte, p *wire.Parcel) error {
		if !p.Empty() && !c.CarriesFiles() {
			p.Close()
			return errNoCarry
		}
		c.Send(Frame{Kind: wire.KindPost, Body: body, Parcel: p})
		c.Flush()
		return nil
	})
}
