package manager

import (
	"slices"
	"sort"
	"sync"
)

// table is a table of values by key, with a revision for each change. It needs no host. All methods may be called concurrently.
//
// The log has an entry for each change, in order of revision. The entry of a key's last change is the live one: rows[key].rev is its revision. Others are
// stale, and go when they are more than half. So what changed after a revision is found by a binary search.
type table struct {
	guarded bool // it has reserved keys

	mu      sync.Mutex
	closed  bool
	rev     uint64
	rows    map[string]*row
	live    int // rows with a value
	log     []logged
	tombs   []logged // of deletions, in order, stale ones too
	dropped uint64   // the highest revision of a deletion that is forgotten
	wake    chan struct{}
}

// row is a key's value, or the mark that it was deleted.
type row struct {
	key   string
	value *stored // nil: deleted
	rev   uint64  // of the last change
	born  uint64  // of the first since the table knows the key
	count uint64  // how many changes since
}

type logged struct {
	rev uint64
	row *row
}

func (l logged) stale() bool { return l.rev != l.row.rev }

// mostTombs is how many deletions a table remembers.
const mostTombs = 1 << 16

// change is a part of an update.
type change struct {
	Kind  changeKind
	Key   string
	Rev   uint64  // of a condition
	Value *stored // of a put
}

type changeKind uint8

const (
	changePut changeKind = iota
	changeDrop
	changeIf
)

// entry is a key with its value.
type entry struct {
	Key   string
	Rev   uint64
	Value *stored
}

func newTable() *table { return &table{rows: map[string]*row{}} }

// update makes all changes, or none. own: it is the host's own, who may write to reserved keys.
func (t *table) update(changes []change, own bool) (rev uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, ErrClosed
	}
	writes, err := t.check(changes, own)
	if err != nil || writes == 0 {
		return t.rev, err
	}
	t.rev++
	for _, c := range changes {
		switch c.Kind {
		case changePut:
			t.set(c.Key, c.Value.keep())
		case changeDrop:
			t.set(c.Key, nil)
		case changeIf:
		}
	}
	t.changed()
	return t.rev, nil
}

// check says what keeps changes from being made, or how many write. mu is held.
func (t *table) check(changes []change, own bool) (writes int, err error) {
	var seen map[string]bool
	for _, c := range changes {
		r := t.rows[c.Key]
		present := r != nil && r.value != nil
		if t.guarded && !own && reserved(c.Key) && !allowed(c) {
			return 0, errorf("%q is written by the manager itself: %w", c.Key, ErrReserved)
		}
		switch {
		case c.Kind == changeIf:
			have := uint64(0)
			if present {
				have = r.rev
			}
			if have != c.Rev {
				return 0, conflict(c.Key, have, c.Rev)
			}
			continue
		case c.Kind > changeIf || c.Kind == changePut && c.Value == nil:
			return 0, errorf("%w", errMalformed)
		case c.Kind == changeDrop && !present:
			return 0, noKey(c.Key)
		}
		writes++
		if len(changes) == 1 {
			continue
		}
		if seen == nil {
			seen = make(map[string]bool, len(changes))
		}
		if seen[c.Key] {
			return 0, errorf("an update changes %q twice", c.Key)
		}
		seen[c.Key] = true
	}
	return writes, nil
}

func noKey(key string) error { return errorf("%q: %w", key, ErrNoKey) }

func conflict(key string, have, want uint64) error {
	switch {
	case want == 0:
		return errorf("%q exists, at revision %d: %w", key, have, ErrConflict)
	case have == 0:
		return errorf("%q does not exist, revision %d was asked for: %w", key, want, ErrConflict)
	}
	return errorf("%q is at revision %d, not %d: %w", key, have, want, ErrConflict)
}

// set gives a key a value, whose references it takes over, or deletes it, at the table's revision. mu is held.
func (t *table) set(key string, value *stored) {
	r := t.rows[key]
	if r == nil {
		r = &row{key: key, born: t.rev}
		t.rows[key] = r
	}
	if r.value != nil {
		r.value.release()
		t.live--
	}
	if value != nil {
		t.live++
	}
	r.value, r.rev = value, t.rev
	r.count++
	t.log = append(t.log, logged{t.rev, r})
	if value == nil {
		t.tombs = append(t.tombs, logged{t.rev, r})
	}
}

// changed bounds what is remembered and wakes who waits. mu is held.
func (t *table) changed() {
	dead := len(t.rows) - t.live
	for dead > mostTombs {
		l := t.tombs[0]
		t.tombs = t.tombs[1:]
		if l.stale() {
			continue
		}
		t.dropped = max(t.dropped, l.rev)
		delete(t.rows, l.row.key)
		l.row.rev = 0 // its entry in the log is stale too
		dead--
	}
	const few = 64
	if len(t.log) > 2*len(t.rows)+few {
		t.log = slices.DeleteFunc(t.log, logged.stale)
	}
	if len(t.tombs) > 2*dead+few {
		t.tombs = slices.DeleteFunc(slices.Clone(t.tombs), logged.stale)
	}
	t.broadcast()
}

// broadcast wakes who waits for changes. mu is held.
func (t *table) broadcast() {
	if t.wake != nil {
		close(t.wake)
		t.wake = nil
	}
}

// wakes returns what is closed at the next change. mu is held.
func (t *table) wakes() <-chan struct{} {
	if t.wake == nil {
		t.wake = make(chan struct{})
	}
	return t.wake
}

// values returns those of keys that are there, all if none is named; one that is missing alone is an error.
func (t *table) values(keys []string) (all []entry, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	lend := func(r *row) {
		if r != nil && r.value != nil {
			all = append(all, entry{r.key, r.rev, r.value.lend()})
		}
	}
	if len(keys) == 0 {
		all = make([]entry, 0, t.live)
		for _, r := range t.rows {
			lend(r)
		}
		return all, nil
	}
	if len(keys) > 1 {
		keys = slices.Clone(keys)
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	for _, k := range keys {
		lend(t.rows[k])
	}
	if len(keys) == 1 && len(all) == 0 {
		return nil, noKey(keys[0])
	}
	return all, nil
}

// clear deletes all keys but reserved ones.
func (t *table) clear() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.clearLocked()
	return nil
}

func (t *table) clearLocked() {
	keys := t.keysLocked()
	if len(keys) == 0 {
		return
	}
	t.rev++
	for _, k := range keys {
		t.set(k, nil)
	}
	t.changed()
}

// keysLocked returns the keys that have a value, but reserved ones, sorted. mu is held.
func (t *table) keysLocked() []string {
	keys := make([]string, 0, t.live)
	for k, r := range t.rows {
		if r.value != nil && !t.reserves(k) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

// reserves reports whether a key is reserved in this table.
func (t *table) reserves(key string) bool { return t.guarded && reserved(key) }

// size returns how many keys have a value, reserved ones not counted.
func (t *table) size() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, ErrClosed
	}
	if t.guarded {
		return t.live - len(reservedKeys), nil
	}
	return t.live, nil
}

// close gives the values back and ends who waits. It may be called twice.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, r := range t.rows {
		r.value.release()
	}
	t.rows, t.log, t.tombs, t.live = nil, nil, nil, 0
	t.broadcast()
}
