package manager

import (
	"context"
	"errors"
	"fmt"
)

// Table is a handle on a table of values that a manager keeps: its value table or its messages.
// Each key has a value, of any type that can be an argument of a task, and a revision: the number
// of the table change that wrote it last. A value may hold handles, such as shared arrays, locks,
// lists and managers; whoever reads it gets separate handles on the same things, and must close
// those of shared memory, locks and managers. Open files are refused.
//
// Tables are used through [Set], [Get], [Load], [CompareAndSwap], [Watch] and their methods, all of
// which may be called concurrently from all processes. Calls that change a table wait for the
// manager's lock, if it has one, for as long as ctx lasts; calls that read do not. A key is any
// string. What a call returns is independent: no later change shows in it.
type Table struct {
	m     *Manager
	which uint8
	alone *table // instead of a manager's; nil: there is none
	lock  *Lock  // that changes take, beside the manager's own; nil: none
}

// Tabler is implemented by a [Table], and by a [Manager], which stands for its value table.
type Tabler interface {
	asTable() *Table
}

func (t *Table) asTable() *Table {
	if t == nil {
		return &Table{}
	}
	return t
}

func (m *Manager) asTable() *Table { return &Table{m: m, which: valueTable} }

// Table returns the manager's value table.
func (m *Manager) Table() *Table { return m.asTable() }

// Set sets the value of a key. The error wraps xme.ErrEncode if the value cannot be kept, and
// ErrReserved if the key is reserved.
func Set[T any](ctx context.Context, t Tabler, key string, v T) error {
	return t.asTable().Update(ctx, Put(key, v))
}

// Get returns the value of a key. The error wraps ErrNoKey if there is none, and ErrType if it was
// stored as another type.
func Get[T any](ctx context.Context, t Tabler, key string) (T, error) {
	v, _, err := Load[T](ctx, t, key)
	return v, err
}

// Load is like Get, but also returns the key's revision.
func Load[T any](ctx context.Context, t Tabler, key string) (v T, rev uint64, err error) {
	tab := t.asTable()
	all, err := tab.read(ctx, []string{key})
	if err != nil {
		return v, 0, err
	}
	if len(all) != 1 || all[0].Value == nil {
		return v, 0, errorf("%w", errMalformed)
	}
	defer all[0].Value.release()
	v, err = decode[T](all[0].Value, fmt.Sprintf("the value of %q", key))
	return v, all[0].Rev, err
}

// CompareAndSwap sets the value of a key if the key's revision is rev, or if rev is 0 and there is
// no such key, and returns the new revision. Otherwise the error wraps ErrConflict and says what
// the key's revision is.
func CompareAndSwap[T any](ctx context.Context, t Tabler, key string, rev uint64, v T) (newRev uint64, err error) {
	return t.asTable().update(ctx, If(key, rev), Put(key, v))
}

// Change is one change in a [Table.Update]. It may be used more than once.
type Change struct {
	c      change
	encode func() (*stored, error)
}

// Put returns a change that sets the value of a key. v is encoded when the update is made.
func Put[T any](key string, v T) Change {
	return Change{change{Kind: changePut, Key: key}, func() (*stored, error) { return encode(v) }}
}

// Drop returns a change that deletes a key. If there is no such key, the update fails with
// ErrNoKey.
func Drop(key string) Change { return Change{c: change{Kind: changeDrop, Key: key}} }

// If returns a condition: before the update, the key's revision must be rev or, if rev is 0, there
// must be no such key. If it does not hold, the update fails with ErrConflict.
func If(key string, rev uint64) Change {
	return Change{c: change{Kind: changeIf, Key: key, Rev: rev}}
}

// Update makes all changes at once, with one revision for all of them, or none: nobody sees only
// some of them. It is an error to change a key twice in one update.
func (t *Table) Update(ctx context.Context, changes ...Change) error {
	_, err := t.update(ctx, changes...)
	return err
}

// Update is [Table.Update] of the value table.
func (m *Manager) Update(ctx context.Context, changes ...Change) error {
	return m.asTable().Update(ctx, changes...)
}

// encodeChanges encodes the values of changes. What it returns is to be released, also if it fails.
func encodeChanges(changes []Change) ([]change, error) {
	all := make([]change, len(changes))
	for i, c := range changes {
		if c.encode != nil {
			var err error
			if c.c.Value, err = c.encode(); err != nil {
				return all, errorf("the value of %q: %w", c.c.Key, err)
			}
		} else if c.c.Kind == changePut {
			return all, errorf("a zero Change: use Put, Drop or If")
		}
		all[i] = c.c
	}
	return all, nil
}

func releaseChanges(all []change) {
	for _, c := range all {
		c.Value.release()
	}
}

func (t *Table) update(ctx context.Context, changes ...Change) (rev uint64, err error) {
	in := updateRequest{Which: t.which}
	in.Changes, err = encodeChanges(changes)
	defer releaseChanges(in.Changes)
	if err != nil {
		return 0, err
	}
	m, leave, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if t.alone != nil {
		return t.alone.updateAlone(in.Changes)
	}
	in.Op = m.op
	return opUpdate.call(ctx, m, in)
}

// Delete deletes keys. If one of them is missing, nothing is deleted and the error wraps ErrNoKey.
// It is an error to give no keys: use Clear to delete all.
func (t *Table) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return errors.New("manager: Delete without keys: to delete all there is Clear")
	}
	changes := make([]Change, len(keys))
	for i, k := range keys {
		changes[i] = Drop(k)
	}
	return t.Update(ctx, changes...)
}

// Clear deletes all keys except the reserved ones.
func (t *Table) Clear(ctx context.Context) error {
	m, leave, err := t.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if t.alone != nil {
		return t.alone.clear()
	}
	_, err = opClear.call(ctx, m, tableRequest{m.op, t.which})
	return err
}

// Len returns the number of keys, not counting reserved ones.
func (t *Table) Len(ctx context.Context) (int, error) {
	if t.alone != nil {
		return t.alone.size()
	}
	if t.m == nil {
		return 0, ErrClosed
	}
	return opLen.call(ctx, t.m, tableRequest{t.m.op, t.which})
}
