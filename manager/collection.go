package manager

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// collections are a host's lists and maps. What they hold is encoded: a host knows of their elements' type the name only.
type collections struct {
	mu     sync.Mutex
	closed bool
	number *numbers
	all    map[uint64]*collection
	names  map[string]*collection
}

// collection is a list or a map.
type collection struct {
	number uint64
	name   string // empty: none
	typ    string // the Go type's name

	mu       sync.Mutex
	released bool
	list     []*stored
	table    map[string]*stored // nil: it is a list
}

func (c *collections) init(n *numbers) {
	c.number = n
	c.all, c.names = map[uint64]*collection{}, map[string]*collection{}
}

// close releases all. It may be called twice.
func (c *collections) close() {
	c.mu.Lock()
	c.closed = true
	all := c.all
	c.all, c.names = nil, nil
	c.mu.Unlock()
	for _, one := range all {
		one.release()
	}
}

// add makes a collection of what has no number yet.
func (c *collections) add(n *collection) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if n.name != "" {
		if c.names[n.name] != nil {
			return errorf("%q: %w", n.name, ErrExists)
		}
		c.names[n.name] = n
	}
	n.number = c.number.next()
	c.all[n.number] = n
	return nil
}

// find returns the number of what has a name.
func (c *collections) find(name, typ string) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.names[name]
	switch {
	case c.closed:
		return 0, ErrClosed
	case n == nil:
		return 0, errorf("%q: %w", name, ErrNotFound)
	case n.typ != typ:
		return 0, errorf("%q has the type %s, not %s: %w", name, n.typ, typ, ErrType)
	}
	return n.number, nil
}

// target names a collection in a request.
type target struct {
	Number uint64
	Type   string
}

// use has f called with a collection while nobody else uses it.
func (c *collections) use(at target, isMap bool, f func(n *collection) error) error {
	n, err := c.get(at)
	if err != nil {
		return err
	}
	if isMap != (n.table != nil) {
		return errorf("it is a %s: %w", n.typ, ErrType)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.released {
		return errorf("a %s: %w", n.typ, ErrReleased)
	}
	return f(n)
}

func (c *collections) get(at target) (*collection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[at.Number]
	switch {
	case c.closed:
		return nil, ErrClosed
	case n == nil:
		return nil, errorf("a %s: %w", at.Type, ErrReleased)
	case n.typ != at.Type:
		return nil, errorf("it has the type %s, not %s: %w", n.typ, at.Type, ErrType)
	}
	return n, nil
}

// drop releases a collection.
func (c *collections) drop(at target) error {
	n, err := c.get(at)
	if err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.all, n.number)
	if c.names[n.name] == n {
		delete(c.names, n.name)
	}
	c.mu.Unlock()
	n.release()
	return nil
}

func (n *collection) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.released = true
	for _, s := range n.list {
		s.release()
	}
	for _, s := range n.table {
		s.release()
	}
	n.list = nil
	clear(n.table)
}

// splice puts items in the place of del elements from at on; at -1 is the list's end. It says how many elements there are.
func (n *collection) splice(at, del int, items []*stored) (int, error) {
	have := len(n.list)
	if at == -1 {
		at = have
	}
	if at < 0 || at > have || del < 0 || del > have-at {
		return 0, outside(at, del, have)
	}
	kept := make([]*stored, len(items))
	for i, s := range items {
		if s == nil {
			return 0, errorf("%w", errMalformed)
		}
		kept[i] = s.keep()
	}
	for _, s := range n.list[at : at+del] {
		s.release()
	}
	n.list = slices.Replace(n.list, at, at+del, kept...)
	return len(n.list), nil
}

func outside(at, count, have int) error {
	if count <= 1 {
		return errorf("element %d of a list of %d: %w", at, have, ErrNoKey)
	}
	return errorf("%d elements from %d on of a list of %d: %w", count, at, have, ErrNoKey)
}

// slice returns elements lo up to hi; hi -1 is the list's end.
func (n *collection) slice(lo, hi int) ([]*stored, error) {
	have := len(n.list)
	if hi == -1 {
		hi = have
	}
	if lo < 0 || hi < lo || hi > have {
		return nil, outside(lo, hi-lo, have)
	}
	return lendAll(n.list[lo:hi]), nil
}

func lendAll(in []*stored) []*stored {
	out := make([]*stored, len(in))
	for i, s := range in {
		out[i] = s.lend()
	}
	return out
}

// errEmpty is Pop's of a list without elements.
var errEmpty = errorf("the list is empty: %w", ErrNoKey)

// pop takes the last element out. It is the answer's.
func (n *collection) pop() (*stored, error) {
	last := len(n.list) - 1
	if last < 0 {
		return nil, errEmpty
	}
	s := n.list[last]
	n.list[last] = nil
	n.list = n.list[:last]
	out := s.lend()
	s.release()
	return out, nil
}

// put sets keys of a map and returns what the last of them had.
func (n *collection) put(keys []string, items []*stored) (old *stored, err error) {
	if len(keys) != len(items) || slices.Contains(items, nil) {
		return nil, errorf("%w", errMalformed)
	}
	for i, k := range keys {
		before := n.table[k]
		if i == len(keys)-1 && before != nil {
			old = before.lend()
		}
		n.table[k] = items[i].keep()
		before.release()
	}
	return old, nil
}

// pairs returns a map's keys in order, and their elements.
func (n *collection) pairs() (keys []string, items []*stored) {
	keys = slices.Sorted(maps.Keys(n.table))
	items = make([]*stored, len(keys))
	for i, k := range keys {
		items[i] = n.table[k].lend()
	}
	return keys, items
}

// size returns how many elements there are.
func (n *collection) size() int {
	if n.table != nil {
		return len(n.table)
	}
	return len(n.list)
}

var errNotNumber = errors.New("manager: it is not a number of that kind")
