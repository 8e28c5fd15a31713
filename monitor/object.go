package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// arrayKeys are the keys of an array. An object with these three and no other is an array; with others besides, or without one of them, it is an object like any other.
var arrayKeys = []string{"$array", "shape", "data"}

// arrayParts are what an object has behind the keys of an array, in the order of arrayKeys.
type arrayParts struct {
	texts  [3][]byte // nil: there is no such key
	unread [3]bool   // nobody has read what is there yet
	others bool      // there are other keys
	twice  bool      // one of the three comes twice
}

// arrayParts takes an object, whose values f takes, but for those behind the keys of an array that are flat: how they are read depends on whether the object is an
// array. What is not flat is read at once, since no array has it: to skip it first, at each of its levels, would take the square of its text.
func (s *scan) arrayParts(f func(key string) error) (p arrayParts, err error) {
	err = s.object(func(key string) error {
		i := slices.Index(arrayKeys, key)
		if i < 0 {
			p.others = true
			return f(key)
		}
		p.twice = p.twice || p.texts[i] != nil
		s.peek()
		from := s.i
		p.unread[i] = s.flat()
		var err error
		if !p.unread[i] {
			err = f(key)
		}
		p.texts[i] = s.b[from:s.i]
		return err
	})
	return p, err
}

// isArray reports whether an object has the keys of an array, and no other.
func (p *arrayParts) isArray() bool {
	return !p.others && p.texts[0] != nil && p.texts[1] != nil && p.texts[2] != nil
}

var errArray = fmt.Errorf("%w: an array has each of $array, shape and data once", ErrMalformed)

// array makes an array of the parts, its elements unread.
func (p *arrayParts) array() (tagged, error) {
	if p.twice {
		return tagged{}, errArray
	}
	return newTagged(p.texts)
}

// flat takes a string, or an array with neither arrays nor objects in it; false: something else is next, and s stays before it.
func (s *scan) flat() bool {
	switch s.peek() {
	case '"':
		s.quoted()
		return true
	case '[':
	default:
		return false
	}
	from := s.i
	err := s.array(func() error {
		if c := s.peek(); c == '[' || c == '{' {
			return errNested
		}
		s.skip()
		return nil
	})
	if err != nil {
		s.i = from
	}
	return err == nil
}

var errNested = errors.New("something nested, or no array, where an array has none")

// checkArrays says which object of a JSON text has the keys of an array and is none: it could be put, and not be read. The error wraps ErrMalformed.
func checkArrays(text []byte) error {
	if !bytes.Contains(text, []byte("$array")) && !bytes.Contains(text, []byte(`\u00`)) { // a character of it may be written so
		return nil
	}
	s := &scan{b: text}
	return s.path.wrap(s.arrays())
}

// arrays takes a value and looks at the arrays in it.
func (s *scan) arrays() error {
	switch s.peek() {
	case '[':
		n := 0
		return s.array(func() error {
			err := s.arrays()
			if err != nil {
				s.path.element(n)
			}
			n++
			return err
		})
	case '{':
		p, err := s.arrayParts(func(key string) error {
			err := s.arrays()
			if err != nil {
				s.path.key(key)
			}
			return err
		})
		if err == nil && p.isArray() {
			err = p.check()
		}
		return err
	}
	s.skip()
	return nil
}

// checkArray is checkArrays of an object that has the keys of an array, and no other. It does not look into what is nested there: no array has it.
func checkArray(object []byte) error {
	p, err := (&scan{b: object}).arrayParts(func(string) error { return errNested })
	if err != nil {
		return noArray(err)
	}
	return p.check()
}

// check says what is wrong with an array, its elements too. The error wraps ErrMalformed.
func (p *arrayParts) check() error {
	a, err := p.array()
	if err == nil {
		v, data := reflect.New(a.elem).Elem(), &scan{b: a.data}
		err = data.array(func() error { return setNumber(v, data.skip()) })
	}
	return noArray(err)
}

func noArray(err error) error {
	const says = "an object with the keys $array, shape and data and no other is a numeric array, and this is none"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMalformed):
		return fmt.Errorf("%s: %w", says, err)
	}
	return fmt.Errorf("%s: %w: %w", says, ErrMalformed, err)
}
