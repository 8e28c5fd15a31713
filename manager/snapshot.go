package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// snapshot is what [Manager.Snapshot] shows.
type snapshot struct {
	Operators []int                      `json:"operators"`
	Guard     bool                       `json:"guard"`
	Queued    int                        `json:"queued"`
	Status    map[string]string          `json:"status"`
	Values    map[string]json.RawMessage `json:"values"`
	Messages  map[string]json.RawMessage `json:"messages"`
	Lists     []shownCollection          `json:"lists"`
	Maps      []shownCollection          `json:"maps"`
}

type shownCollection struct {
	Number uint64 `json:"number"`
	Name   string `json:"name,omitempty"`
	Type   string `json:"type"`
	Len    int    `json:"len"`
}

// opaque is what is shown of a value that has no JSON.
type opaque struct {
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

var opSnapshot = define("snapshot", false, func(_ context.Context, h *host, _ *caller, _ struct{}) ([]byte, error) {
	q := h.queue.state()
	s := snapshot{Guard: q.Guarded, Queued: q.Len}
	h.mu.Lock()
	for i := range h.ops.Hashes {
		s.Operators = append(s.Operators, i+1)
	}
	h.mu.Unlock()
	h.tables.mu.Lock()
	s.Status = maps.Clone(h.tables.status)
	h.tables.mu.Unlock()
	var err error
	if s.Values, err = h.tables.byNumber[valueTable].shown(); err != nil {
		return nil, err
	}
	if s.Messages, err = h.tables.byNumber[messageTable].shown(); err != nil {
		return nil, err
	}
	s.Lists, s.Maps = h.collections.shown()
	return json.Marshal(s)
})

// shown returns the table's values as JSON, but for reserved keys.
func (t *table) shown() (map[string]json.RawMessage, error) {
	all, err := t.values(nil)
	if err != nil {
		return nil, err
	}
	out := make(map[string]json.RawMessage, len(all))
	for _, e := range all {
		e.Value.release()
		if t.reserves(e.Key) {
			continue
		}
		text, ok := e.Value.shown()
		if !ok {
			if text, err = json.Marshal(opaque{e.Value.typ, len(e.Value.bytes)}); err != nil {
				return nil, err
			}
		}
		out[e.Key] = text
	}
	return out, nil
}

// shown returns the lists and maps, by their numbers.
func (c *collections) shown() (lists, tables []shownCollection) {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.all))
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b *collection) int { return int(a.number) - int(b.number) })
	lists, tables = []shownCollection{}, []shownCollection{}
	for _, n := range all {
		n.mu.Lock()
		s := shownCollection{n.number, n.name, n.typ, n.size()}
		n.mu.Unlock()
		if n.table != nil {
			tables = append(tables, s)
		} else {
			lists = append(lists, s)
		}
	}
	return lists, tables
}

// Snapshot returns what the manager keeps as JSON, for people and tools to read:
//
//	operators         their numbers; 1 is ADMIN
//	guard             whether the guard runs
//	queued            how many calls are queued that have not begun
//	status            the operators' texts by their names
//	values, messages  each key's value, reserved keys left out; of one that has no JSON its type and how many bytes it takes
//	lists, maps       number, name, Go type and length of each
//
// Each part is as it was at one moment, but different parts may be of different moments. No
// operator's secret is in it.
func (m *Manager) Snapshot(ctx context.Context) ([]byte, error) {
	return opSnapshot.call(ctx, m, struct{}{})
}

// stringPatience is how long String waits for the manager.
const stringPatience = 5 * time.Second

// String shows what the manager keeps, as [Manager.Snapshot] does, in lines; if that cannot be
// obtained within 5 seconds, it says why.
func (m *Manager) String() string {
	ctx, cancel := context.WithTimeout(context.Background(), stringPatience)
	defer cancel()
	text, err := m.Snapshot(ctx)
	var s snapshot
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return "manager that does not answer: " + err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "manager, operators: %d", len(s.Operators))
	if s.Queued > 0 || s.Guard {
		fmt.Fprintf(&b, ", queued: %d, guarded: %v", s.Queued, s.Guard)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Status)) {
		fmt.Fprintf(&b, "\nstatus %s: %s", k, s.Status[k])
	}
	for _, part := range []struct {
		what string
		of   map[string]json.RawMessage
	}{{"value", s.Values}, {"message", s.Messages}} {
		for _, k := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, "\n%s %q: %s", part.what, k, part.of[k])
		}
	}
	for _, c := range s.Lists {
		fmt.Fprintf(&b, "\nlist %d %q: %d elements, %s", c.Number, c.Name, c.Len, c.Type)
	}
	for _, c := range s.Maps {
		fmt.Fprintf(&b, "\nmap %d %q: %d keys, %s", c.Number, c.Name, c.Len, c.Type)
	}
	return b.String()
}
