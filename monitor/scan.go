package monitor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// errBroken is what reading finds in a text that was not valid.
var errBroken = fmt.Errorf("%w: it is no JSON", ErrMalformed)

// checked returns a JSON text without space in it. The error wraps ErrMalformed: it is not valid, nested too deep, or no UTF-8.
func checked(text []byte) (json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: the JSON is no UTF-8", ErrMalformed)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out.Bytes(), nil
}

// scan reads a JSON text that is valid. In one that is not it finds an end or an error, and never reads beyond it.
type scan struct {
	b    []byte
	i    int
	path path // to what a reader of a value could not read
	rows int  // of the arrays without elements that were read: their text does not pay for them
}

// peek returns the next byte that is no space; 0: there is none.
func (s *scan) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return s.b[s.i]
	}
	return 0
}

// next reports whether c is next, and takes it.
func (s *scan) next(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// skip takes the next value and returns its text.
func (s *scan) skip() []byte {
	s.peek()
	from, depth := s.i, 0
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.quoted()
		case c == '[' || c == '{':
			depth++
			s.i++
			continue
		case c == ']' || c == '}':
			if depth == 0 {
				return s.b[from:s.i]
			}
			depth--
			s.i++
		case depth == 0:
			s.literal()
		default:
			s.i++
			continue
		}
		if depth == 0 {
			break
		}
	}
	return s.b[from:s.i]
}

// quoted takes a string with its quotes.
func (s *scan) quoted() []byte {
	from := s.i
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return s.b[from:s.i]
		}
	}
	s.i = len(s.b)
	return s.b[from:]
}

// literal takes what is neither a string nor an array nor an object.
func (s *scan) literal() []byte {
	from := s.i
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case ',', ']', '}', ':', ' ', '\t', '\n', '\r', '"', '[', '{':
			if s.i == from {
				s.i++ // not to stand still in what is not valid
			}
			return s.b[from:s.i]
		}
	}
	return s.b[from:]
}

// str takes a string.
func (s *scan) str() (string, error) {
	if s.peek() != '"' {
		return "", errBroken
	}
	raw := s.quoted()
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", errBroken
	}
	return text, nil
}

// array has f take each element of an array.
func (s *scan) array(f func() error) error {
	if !s.next('[') {
		return errBroken
	}
	for first := true; !s.next(']'); first = false {
		if !first && !s.next(',') || s.peek() == 0 {
			return errBroken
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// object has f take the value of each key of an object.
func (s *scan) object(f func(key string) error) error {
	if !s.next('{') {
		return errBroken
	}
	for first := true; !s.next('}'); first = false {
		if !first && !s.next(',') {
			return errBroken
		}
		key, err := s.str()
		if err != nil {
			return err
		}
		if !s.next(':') || s.peek() == 0 {
			return errBroken
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return nil
}
