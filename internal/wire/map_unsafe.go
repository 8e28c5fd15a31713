package wire

import (
	"encoding/binary"
	"reflect"
	"sync"
	"unsafe"
)

// A mapNode walks and builds maps of any type by reflection, entry by entry, through a scratch key and a scratch element.
type mapNode struct {
	typ       reflect.Type
	key, elem node
	keyUnit   int  // key.least(), known once the whole type is compiled
	elemUnit  int  // elem.least(), likewise
	anyKey    bool // a key holds an interface, so it may turn out not to be hashable
	scratch   sync.Pool
}

// A mapScratch is what one walk over a map needs. It goes back to the pool empty.
type mapScratch struct {
	iter      reflect.MapIter
	key, elem reflect.Value // addressable
	k, e      unsafe.Pointer
}

func (m *mapNode) borrow() *mapScratch {
	if s, ok := m.scratch.Get().(*mapScratch); ok {
		return s
	}
	k, e := reflect.New(m.typ.Key()), reflect.New(m.typ.Elem())
	return &mapScratch{key: k.Elem(), elem: e.Elem(), k: k.UnsafePointer(), e: e.UnsafePointer()}
}

func (m *mapNode) giveBack(s *mapScratch) {
	s.iter.Reset(reflect.Value{})
	s.key.SetZero()
	s.elem.SetZero()
	m.scratch.Put(s)
}

// step leads to entry i, by its key if that can be shown without a method of its own: nobody said that Decode may run such.
func (s *mapScratch) step(i int) step {
	switch k := s.key; {
	case k.Kind() == reflect.String:
		return step{key: keyText(k.String())}
	case k.CanInt():
		return step{key: keyText(k.Int())}
	case k.CanUint():
		return step{key: keyText(k.Uint())}
	}
	return step{index: i}
}

func (m *mapNode) least() int { return 1 }

func (m *mapNode) size(z *sizer, p unsafe.Pointer) int {
	v := reflect.NewAt(m.typ, p).Elem()
	n := v.Len()
	total := uvarintLen(uint64(n) + 1)
	if z.enter() && n > 0 {
		s := m.borrow()
		for s.iter.Reset(v); !z.over && s.iter.Next(); {
			s.key.SetIterKey(&s.iter)
			s.elem.SetIterValue(&s.iter)
			total += m.key.size(z, s.k) + m.elem.size(z, s.e)
		}
		m.giveBack(s)
	}
	z.leave()
	return total
}

func (m *mapNode) append(e *encoder, dst []byte, p unsafe.Pointer) ([]byte, *ValueError) {
	v := reflect.NewAt(m.typ, p).Elem()
	if v.IsNil() {
		return append(dst, 0), nil
	}
	if verr := e.enter(dst); verr != nil {
		return dst, verr
	}
	dst = binary.AppendUvarint(dst, uint64(v.Len())+1)
	s := m.borrow()
	for s.iter.Reset(v); s.iter.Next(); {
		s.key.SetIterKey(&s.iter)
		s.elem.SetIterValue(&s.iter)
		var verr *ValueError
		if dst, verr = m.key.append(e, dst, s.k); verr == nil {
			dst, verr = m.elem.append(e, dst, s.e)
		}
		if verr != nil {
			return dst, verr.within(step{key: keyText(s.key.Interface())})
		}
	}
	m.giveBack(s)
	e.leave()
	return dst, nil
}

func (m *mapNode) decode(d *decoder, p unsafe.Pointer) *ValueError {
	unit := m.keyUnit + m.elemUnit
	n, isNil, verr := d.count(unit)
	if verr != nil {
		return verr
	}
	v := reflect.NewAt(m.typ, p).Elem()
	v.SetZero()
	if isNil {
		return nil
	}
	if unit == 0 && n > 1 {
		return valueErrorf("%d entries of a map whose keys have no size", n)
	}
	if verr := d.enter(); verr != nil {
		return verr
	}
	// A map has room for up to twice the entries that it was made for.
	out := reflect.MakeMapWithSize(m.typ, roomFor(n, unit, 2*(m.typ.Key().Size()+m.typ.Elem().Size())))
	s := m.borrow()
	d.owed += n * unit
	for i := range n {
		d.owed -= m.keyUnit
		s.key.SetZero()
		s.elem.SetZero()
		if verr := m.key.decode(d, s.k); verr != nil {
			return verr.within(step{index: i})
		}
		d.owed -= m.elemUnit
		if verr := m.elem.decode(d, s.e); verr != nil {
			return verr.within(s.step(i))
		}
		if m.anyKey && !s.key.Comparable() {
			return valueErrorf("a map's key that cannot be one").within(step{index: i})
		}
		out.SetMapIndex(s.key, s.elem)
	}
	m.giveBack(s)
	if out.Len() != n {
		return errKeyTwice()
	}
	v.Set(out)
	d.leave()
	return nil
}
