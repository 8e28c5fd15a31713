package manager

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// payload is an encoded value on its way, with the shared memory that it names: how many regions, their ids, the value.
type payload struct {
	data []byte
	held *wire.Parcel // the regions, as references
}

func appendPayload(dst []byte, v *payload, p *wire.Parcel) ([]byte, error) {
	if len(v.held.Items) > 0 {
		return dst, fmt.Errorf("open files cannot be kept by a manager: %w", xme.ErrEncode)
	}
	dst = binary.AppendUvarint(dst, uint64(v.held.Regions.Len()))
	for r := range v.held.Regions.All() {
		if err := p.Put(r); err != nil {
			return dst, err
		}
		id := r.ID()
		dst = append(dst, id[:]...)
	}
	return append(dst, v.data...), nil
}

// close gives the memory up. It may be called on nil.
func (v *payload) close() {
	if v != nil {
		v.held.Close()
	}
}

var errPayload = errors.New("malformed value")

func decodePayload(src []byte, p *wire.Parcel) (*payload, error) {
	n, size := binary.Uvarint(src)
	if size <= 0 || n > uint64(len(src)-size)/uint64(len(region.ID{})) {
		return nil, errPayload
	}
	src = src[size:]
	v := &payload{held: &wire.Parcel{}}
	for range n {
		r, _, err := p.Region(region.ID(src[:len(region.ID{})]))
		if err != nil {
			v.held.Close()
			return nil, err
		}
		v.held.Regions.Add(r)
		src = src[len(region.ID{}):]
	}
	v.data = append([]byte(nil), src...)
	return v, nil
}
