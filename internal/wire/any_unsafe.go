package wire

import "unsafe"

// An anyNode is an interface without methods: a length, 0 for nil, and the value's CBOR item.
type anyNode struct{}

func (anyNode) size(_ *sizer, p unsafe.Pointer) int { return 2 + anySize(*(*any)(p)) }
func (anyNode) least() int                          { return 1 }

func (anyNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	v := *(*any)(p)
	if v == nil {
		return append(dst, 0), nil
	}
	dst, mark := openBlob(dst)
	dst, verr := appendAny(e, dst, v, 0)
	if verr != nil {
		return dst, verr
	}
	return closeBlob(dst, mark, 0), nil
}

func (anyNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	n, verr := d.length(1)
	if verr != nil || n == 0 {
		*(*any)(p) = nil
		return verr
	}
	src, verr := d.take(n)
	if verr != nil {
		return verr
	}
	v, verr := decodeAny(append(make([]byte, 0, n), src...))
	*(*any)(p) = v
	return verr
}

// appendMemory appends a byte string of the elements as they lie in memory.
func appendMemory[T memorable](dst []byte, s []T) []byte {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
	return append(appendHead(dst, cborBytes, uint64(len(b))), b...)
}

// memoryOf copies such a byte string into elements.
func memoryOf[T memorable](content any) ([]T, bool) {
	b, ok := content.([]byte)
	size := int(unsafe.Sizeof(*new(T)))
	if !ok || len(b)%size != 0 {
		return nil, false
	}
	if _, isBool := any(*new(T)).(bool); isBool {
		for i := range b {
			b[i] = min(b[i], 1)
		}
	}
	s := make([]T, len(b)/size)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(b)), b)
	return s, true
}
