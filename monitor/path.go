package monitor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xenonmp/xme/internal/text"
)

// A path is where within a value an error was found: the keys and elements around it, innermost first. It keeps the last few, and each is cut: an error that was
// wrapped at each level would be copied once a level, and a value may have 10,000 of them.
type path struct {
	parts []string
	more  bool
}

// mostParts is how many parts of a path an error names.
const mostParts = 3

// key notes that the error is within the value of a key.
func (p *path) key(name string) {
	if p.room() {
		p.parts = append(p.parts, "key "+briefKey(name)+": ")
	}
}

// element notes that the error is within an element.
func (p *path) element(i int) {
	if p.room() {
		p.parts = append(p.parts, "element "+strconv.Itoa(i)+": ")
	}
}

func (p *path) room() bool {
	p.more = len(p.parts) == mostParts
	return !p.more
}

// wrap says where an error was found. It is done once, at the top.
func (p *path) wrap(err error) error {
	if err == nil || len(p.parts) == 0 {
		return err
	}
	parts := slices.Clone(p.parts)
	slices.Reverse(parts)
	where := strings.Join(parts, "")
	if p.more {
		where = "… " + where
	}
	return fmt.Errorf("%s%w", where, err)
}

// mostKey is how much of a key an error shows, in bytes.
const mostKey = 64

// briefKey is a key as %q writes it; of a long one the beginning.
func briefKey(key string) string {
	if len(key) <= mostKey {
		return strconv.Quote(key)
	}
	return strconv.Quote(text.Cut(key, mostKey)) + "…"
}

// mostText is how much of the text of an error of another package's an error shows, in bytes.
const mostText = 256

// cut bounds the text of an error that may repeat what was to be read. What it wraps stays what it is.
func cut(err error) error {
	if err == nil || len(err.Error()) <= mostText {
		return err
	}
	return cutError{err}
}

type cutError struct{ err error }

func (e cutError) Error() string {
	return strings.ToValidUTF8(e.err.Error()[:mostText], "") + "…"
}

func (e cutError) Unwrap() error { return e.err }
