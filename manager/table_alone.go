package manager

import (
	"context"

	"github.com/xenonmp/xme"
)

// NewTable makes a table of this process that needs no manager: it is used like a manager's, has no
// reserved keys, and lasts as long as somebody refers to it. It does not cross. Values that refer
// to shared memory, such as shared arrays, locks and managers, are refused with an error that wraps
// xme.ErrEncode, since nobody would say when they end.
func NewTable() *Table { return &Table{alone: newTable()} }

// Guarded returns a handle on the same table whose changes also take the lock l, unless its holder
// already has it. If l is the lock of the table's own manager, it is not taken twice: changes are
// then made as the lock's operator. nil: no lock except the manager's.
func (t *Table) Guarded(l *Lock) *Table {
	c := *t.asTable()
	c.lock = l
	return &c
}

// enter takes the locks that a change needs, and returns the manager whose operator makes it; nil: the table has none.
func (t *Table) enter(ctx context.Context) (m *Manager, leave func(), err error) {
	if t.alone == nil && (t.m == nil || t.m.at == nil) {
		return nil, nil, errorf("a zero Manager: %w", ErrClosed)
	}
	m = t.m
	outer := func() {}
	switch l := t.lock; {
	case l == nil:
	case l.c == nil:
		return nil, nil, errorf("a zero Lock: %w", ErrClosed)
	case m != nil && l.c.number == tableLock && l.c.at.id == m.id:
		m = &Manager{id: m.id, at: m.at, op: l.op, lock: l}
	default:
		if outer, err = l.guard(ctx); err != nil {
			return nil, nil, err
		}
	}
	if m == nil {
		return nil, outer, nil
	}
	inner, err := m.guard(ctx)
	if err != nil {
		outer()
		return nil, nil, err
	}
	return m, func() { inner(); outer() }, nil
}

// updateAlone is update for a table without a manager.
func (t *table) updateAlone(changes []change) (rev uint64, err error) {
	for _, c := range changes {
		if c.Value.names() > 0 {
			return 0, errorf("the value of %q: %w: a %s names shared memory, which a table without a manager does not keep: use a manager's",
				c.Key, xme.ErrEncode, c.Value.typ)
		}
	}
	return t.update(changes, false)
}

// read returns the values of keys; who calls it releases them.
func (t *Table) read(ctx context.Context, keys []string) ([]entry, error) {
	if t.alone != nil {
		return t.alone.values(keys)
	}
	return opValues.call(ctx, t.m, valuesRequest{t.which, keys})
}

func (t *Table) poll(ctx context.Context, in watchRequest) (watchAnswer, error) {
	if t.alone != nil {
		return t.alone.poll(ctx, in)
	}
	return opWatch.call(ctx, t.m, in)
}

func (t *Table) names(ctx context.Context, in keysRequest) (keysAnswer, error) {
	if t.alone != nil {
		return t.alone.keys(in.Patterns)
	}
	return opKeys.call(ctx, t.m, in)
}
