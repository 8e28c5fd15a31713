package manager

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// tables are a host's value and message tables.
type tables struct {
	byNumber [2]*table

	mu     sync.Mutex
	status map[string]string
}

const (
	valueTable   = 0
	messageTable = 1
)

func (t *tables) init() error {
	t.byNumber = [2]*table{newTable(), newTable()}
	t.status = map[string]string{}
	return t.byNumber[valueTable].reserve()
}

func (t *tables) close() {
	for _, one := range t.byNumber {
		one.close()
	}
}

func (t *tables) get(which uint8) (*table, error) {
	if int(which) >= len(t.byNumber) {
		return nil, errorf("there is no table %d", which)
	}
	return t.byNumber[which], nil
}

type updateRequest struct {
	Op      Operator
	Which   uint8
	Changes []change
}

var opUpdate = defineStored("update", false, func(_ context.Context, h *host, _ *caller, in updateRequest) (uint64, error) {
	defer func() {
		for _, c := range in.Changes {
			c.Value.spend()
		}
	}()
	if err := h.entitled(in.Op); err != nil {
		return 0, err
	}
	t, err := h.tables.get(in.Which)
	if err != nil {
		return 0, err
	}
	rev, err := t.update(in.Changes, false)
	if err == nil && in.Which == valueTable && slices.ContainsFunc(in.Changes, func(c change) bool { return c.Key == GuardKey && c.Kind == changePut }) {
		h.queue.stopSoon()
	}
	return rev, err
})

type tableRequest struct {
	Op    Operator
	Which uint8
}

var opClear = define("clear", false, func(_ context.Context, h *host, _ *caller, in tableRequest) (struct{}, error) {
	if err := h.entitled(in.Op); err != nil {
		return struct{}{}, err
	}
	t, err := h.tables.get(in.Which)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, t.clear()
})

var opLen = define("len", false, func(_ context.Context, h *host, _ *caller, in tableRequest) (int, error) {
	t, err := h.tables.get(in.Which)
	if err != nil {
		return 0, err
	}
	return t.size()
})

type valuesRequest struct {
	Which uint8
	Keys  []string
}

var opValues = defineStored("values", false, func(_ context.Context, h *host, _ *caller, in valuesRequest) ([]entry, error) {
	t, err := h.tables.get(in.Which)
	if err != nil {
		return nil, err
	}
	return t.values(in.Keys)
})

type operatorRequest struct {
	Op Operator
}

var opCopy = define("copy messages", false, func(_ context.Context, h *host, _ *caller, in operatorRequest) (struct{}, error) {
	if err := h.entitled(in.Op); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, h.tables.copy()
})

// copy clears the messages and puts a copy of the values there, but for reserved keys and what holds handles. Nobody sees less than all of it.
func (t *tables) copy() error {
	from, to := t.byNumber[valueTable], t.byNumber[messageTable]
	from.mu.Lock()
	defer from.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	if from.closed || to.closed {
		return ErrClosed
	}
	copied := map[string]*stored{}
	for _, k := range from.keysLocked() {
		if v := from.rows[k].value; !v.handles {
			copied[k] = v.keep()
		}
	}
	if len(copied) == 0 && to.live == 0 {
		return nil
	}
	gone := to.keysLocked()
	to.rev++
	for _, k := range gone {
		if copied[k] == nil {
			to.set(k, nil)
		}
	}
	for k, v := range copied {
		to.set(k, v)
	}
	to.changed()
	return nil
}

type statusRequest struct {
	Op   Operator
	Text string
}

var opStatus = define("status", false, func(_ context.Context, h *host, _ *caller, in statusRequest) (struct{}, error) {
	if err := h.check(in.Op); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, h.tables.setStatus(in.Op.String(), in.Text)
})

func (t *tables) setStatus(name, text string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status[name] = text
	c, err := own(StatusKey, maps.Clone(t.status))
	if err != nil {
		return err
	}
	_, err = t.byNumber[valueTable].update([]change{c}, true)
	return err
}
