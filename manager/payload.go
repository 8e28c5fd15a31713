package manager

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// payload is an encoded value on its way, with the shared memory that it names: how many regions, their ids, the value. Who owns one is as with stored.
type payload struct {
	data  []byte
	held  *wire.Parcel // the regions, as references
	loose bool
}

func appendPayload(dst []byte, v *payload, p *wire.Parcel) ([]byte, error) {
	defer v.spend()
	if len(v.held.Items) > 0 {
		return dst, errFiles
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

// spend closes what is loose. It may be called on nil.
func (v *payload) spend() {
	if v != nil && v.loose {
		v.close()
	}
}

// keep returns the payload for a host to keep, with references of its own; nil of nil.
func (v *payload) keep() *payload {
	if v == nil {
		return nil
	}
	return &payload{data: v.data, held: &wire.Parcel{Regions: v.held.Regions.Clone()}}
}

// lend returns the payload for an answer; nil of nil.
func (v *payload) lend() *payload {
	c := v.keep()
	if c != nil {
		c.loose = true
	}
	return c
}

// End implements wire.Ender: it came with others of which one failed.
func (v *payload) End() (leaves bool) {
	v.close()
	return false
}

// Leave implements wire.Ender: nothing is left.
func (v *payload) Leave() {}

var (
	errPayload = errors.New("malformed value")
	errFiles   = fmt.Errorf("open files cannot be kept by a manager: %w", xme.ErrEncode)
)

func decodePayload(src []byte, p *wire.Parcel) (*payload, error) {
	n, size := binary.Uvarint(src)
	if size <= 0 || n > uint64(len(src)-size)/uint64(len(region.ID{})) {
		return nil, errPayload
	}
	src = src[size:]
	v := &payload{held: &wire.Parcel{}, loose: true}
	for range n {
		r, _, err := p.Region(region.ID(src[:len(region.ID{})]))
		if err != nil {
			v.held.Close()
			return nil, err
		}
		v.held.Regions.Add(r)
		src = src[len(region.ID{}):]
	}
	if n > 0 {
		p.Hold(v)
	}
	v.data = append([]byte(nil), src...)
	return v, nil
}
