package region

import "iter"

// Set holds references, of each region any number. The zero value is empty; one
// goroutine at a time may use it. Most sets have one member and take no memory.
type Set struct {
	one  *Region
	more []*Region
}

// Add takes over a reference.
func (s *Set) Add(r *Region) {
	if s.one == nil {
		s.one = r
		return
	}
	s.more = append(s.more, r)
}

// Len returns how many references there are.
func (s *Set) Len() int {
	if s.one == nil {
		return 0
	}
	return 1 + len(s.more)
}

// Only reports whether r, which may be nil, is the only one.
func (s *Set) Only(r *Region) bool { return s.one == r && len(s.more) == 0 && r != nil }

// All yields the regions.
func (s *Set) All() iter.Seq[*Region] {
	return func(yield func(*Region) bool) {
		if s.one == nil || !yield(s.one) {
			return
		}
		for _, r := range s.more {
			if !yield(r) {
				return
			}
		}
	}
}

// Truncate releases all but the first n.
func (s *Set) Truncate(n int) {
	for i := max(n-1, 0); i < len(s.more); i++ {
		s.more[i].Release()
		s.more[i] = nil
	}
	if n <= 0 {
		if s.one != nil {
			s.one.Release()
		}
		*s = Set{}
		return
	}
	s.more = s.more[:min(n-1, len(s.more))]
}

// Release releases all.
func (s *Set) Release() {
	if s.one != nil {
		s.Truncate(0)
	}
}

// Take empties s into the set that it returns.
func (s *Set) Take() Set {
	t := *s
	*s = Set{}
	return t
}

// Clone returns as many references once more.
func (s *Set) Clone() Set {
	var c Set
	for r := range s.All() {
		r.Retain()
		c.Add(r)
	}
	return c
}
