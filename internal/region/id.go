package region

import (
	"crypto/rand"
	"encoding/binary"
)

// ID names a region in all processes, and says how large it is.
//
//	0     1, and 2 if nobody but its maker can write to it, 4 if there are locks in it
//	1-6   size in units of 4096 bytes
//	7-15  random: nobody guesses the id of a region that he was not given
type ID [16]byte

const (
	markRegion = 1
	markSealed = 2
	markLocks  = 4

	unit = 4096
)

// Kind is what a region is for.
type Kind uint8

// The kinds of region.
const (
	Plain  Kind = 0
	Sealed Kind = markSealed // no other process can write to it
	Locks  Kind = markLocks  // there are locks in it, which are swept when a process dies
)

func newID(size int, k Kind) (id ID) {
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], uint64(size/unit)<<8|markRegion)
	copy(id[:], head[:7])
	_, _ = rand.Read(id[7:]) // never fails: see its documentation
	id[0] |= byte(k)
	return id
}

// markBits is how many bits of an id's first byte say something.
const markBits = 3

// Append appends the id in as few bytes as it takes, and bits, of which there are five, with it.
//
//	1     the id's first byte, above it bits
//	1-7   its size in units of 4096 bytes, as a varint
//	9     what is random
func (id ID) Append(dst []byte, bits byte) []byte {
	dst = append(dst, id[0]|bits<<markBits)
	dst = binary.AppendUvarint(dst, uint64(id.Size()/unit))
	return append(dst, id[7:]...)
}

// ParseID takes off src what Append has written; false: it has not.
func ParseID(src []byte) (id ID, bits byte, rest []byte, ok bool) {
	if len(src) == 0 {
		return id, 0, nil, false
	}
	pages, n := binary.Uvarint(src[1:])
	if n <= 0 || pages > maxSize/unit || len(src) < 1+n+len(id)-7 {
		return id, 0, nil, false
	}
	binary.LittleEndian.PutUint64(id[:8], pages<<8|uint64(src[0])&(1<<markBits-1))
	copy(id[7:], src[1+n:])
	return id, src[0] >> markBits, src[1+n+len(id)-7:], true
}

// Is reports whether an id is a region's; those of open files are not.
func Is(id [16]byte) bool { return id[0]&markRegion != 0 }

// NotRegion makes an id that is no region's of random bytes.
func NotRegion(id [16]byte) [16]byte {
	id[0] &^= markRegion
	return id
}

// Size returns the region's size in bytes, 0 if that is none.
func (id ID) Size() int {
	n := binary.LittleEndian.Uint64(id[:8]) << 8 >> 16
	if n > maxSize/unit {
		return 0
	}
	return int(n) * unit
}

// maxSize bounds a region, so that no sum of sizes overflows.
const maxSize = 1 << (30 + 16*(^uint(0)>>63))

// Kind returns what the region is for.
func (id ID) Kind() Kind { return Kind(id[0]) & (Sealed | Locks) }

// Sealed reports whether nobody but the region's maker can write to it.
func (id ID) Sealed() bool { return id[0]&markSealed != 0 }
