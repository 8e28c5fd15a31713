package region

import (
	"slices"
	"unsafe"

	"github.com/xenonmp/xme/internal/sys"
)

// span is where a region is mapped.
type span struct {
	base, end uintptr
	r         *Region
	writable  bool
}

// addSpan notes a mapping. table.mu is held.
func addSpan(r *Region, m *sys.Shared, writable bool) {
	b := m.Bytes()
	base := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	i, _ := slices.BinarySearchFunc(table.mapped, base, func(s span, base uintptr) int { return compare(s.base, base) })
	table.mapped = slices.Insert(table.mapped, i, span{base, base + uintptr(len(b)), r, writable})
}

func compare(a, b uintptr) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// dropSpans forgets where r is mapped. table.mu is held.
func dropSpans(r *Region) {
	table.mapped = slices.DeleteFunc(table.mapped, func(s span) bool { return s.r == r })
}

// spanAt returns the mapping that addr lies in. table.mu is held.
func spanAt(addr uintptr) (span, bool) {
	i, exact := slices.BinarySearchFunc(table.mapped, addr, func(s span, addr uintptr) int { return compare(s.base, addr) })
	if !exact {
		i--
	}
	if i < 0 || addr >= table.mapped[i].end {
		return span{}, false
	}
	return table.mapped[i], true
}

// Containing returns the region in which the n bytes at p lie, with one more reference,
// and at which offset; nil if they lie in none.
func Containing(p unsafe.Pointer, n int) (r *Region, offset int) {
	addr := uintptr(p)
	table.mu.Lock()
	defer table.mu.Unlock()
	s, ok := spanAt(addr)
	if !ok || uintptr(n) > s.end-addr || !s.r.RetainLive() {
		return nil, 0
	}
	return s.r, int(addr - s.base)
}

// Mark remembers a region, and a place in it, without holding it.
type Mark struct {
	r    *Region
	life uint32
	off  int
}

// MarkOf returns a mark of the region that the n bytes at p lie in; the zero one if in none.
func MarkOf(p unsafe.Pointer, n int) (m Mark) {
	r, off := Containing(p, n)
	if r != nil {
		m = r.Mark(off)
		r.Release()
	}
	return m
}

// Mark returns a mark of the region, of which the caller has a reference.
func (r *Region) Mark(off int) Mark { return Mark{r, r.lives.Load(), off} }

// Zero reports whether m marks nothing.
func (m Mark) Zero() bool { return m.r == nil }

// Retain returns the region with one more reference, and the place; nil if it was given up
// meanwhile.
func (m Mark) Retain() (r *Region, off int) {
	if m.r == nil || !m.r.RetainLive() {
		return nil, 0
	}
	if m.r.lives.Load() != m.life {
		m.r.Release()
		return nil, 0
	}
	return m.r, m.off
}

// ReadOnly reports whether addr lies where a region is mapped that cannot be written
// there: what a fault at that address means.
func ReadOnly(addr uintptr) bool {
	table.mu.Lock()
	defer table.mu.Unlock()
	s, ok := spanAt(addr)
	return ok && !s.writable
}
