package region

import (
	"crypto/rand"
	"encoding/binary"
)

// ID names a region in all processes, and says how large it is.
//
//	0     1, and 2 if nobody but its maker can write to it
//	1-6   size in units of 4096 bytes
//	7-15  random: nobody guesses the id of a region that he was not given
type ID [16]byte

const (
	markRegion = 1
	markSealed = 2

	unit = 4096
)

func newID(size int, sealed bool) (id ID) {
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], uint64(size/unit)<<8|markRegion)
	copy(id[:], head[:7])
	_, _ = rand.Read(id[7:]) // never fails: see its documentation
	if sealed {
		id[0] |= markSealed
	}
	return id
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

// Sealed reports whether nobody but the region's maker can write to it.
func (id ID) Sealed() bool { return id[0]&markSealed != 0 }
