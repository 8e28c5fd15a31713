package manager

import (
	"context"
	"sort"
	"strings"
)

// A watcher asks again and again for what changed after a revision. The answer has the keys that match and whose last change is later, in order of
// revision; a revision is in it whole or not at all. If there are none the request waits.
//
// Deletions are remembered up to a bound. If one was forgotten that the watcher may not have seen, the answer is Lost and nothing else: the watcher asks for
// all keys (opKeys), deletes what it knows and is not among them, and goes on with Seen.

type watchRequest struct {
	Which    uint8
	Patterns []string // none: all keys but reserved ones
	First    bool     // deletions until now do not matter
	After    uint64
	Seen     uint64 // deletions until then were seen
}

type watchAnswer struct {
	Rev     uint64 // the table's
	After   uint64 // for the next request
	Dropped uint64
	Lost    bool
	Events  []event
}

type event struct {
	Key         string
	Rev         uint64
	Born, Count uint64
	Value       *stored // nil: deleted
}

// Bounds of one answer, which one revision alone may exceed.
const (
	mostEvents     = 256
	mostEventBytes = 1 << 20
	mostEventNames = 200 // of shared memory: a message carries so many descriptors
	eventBytes     = 32  // what an event takes beside its key and value
)

var opWatch = defineStored("watch", true, func(ctx context.Context, h *host, _ *caller, in watchRequest) (watchAnswer, error) {
	t, err := h.tables.get(in.Which)
	if err != nil {
		return watchAnswer{}, err
	}
	return t.poll(ctx, in)
})

// poll waits for changes. It ends with ctx, and when the table is closed.
func (t *table) poll(ctx context.Context, in watchRequest) (watchAnswer, error) {
	match := t.matcher(in.Patterns)
	for {
		a, wake, err := t.look(&in, match)
		if err != nil || wake == nil {
			return a, err
		}
		select {
		case <-ctx.Done():
			return watchAnswer{}, ctx.Err()
		case <-wake:
		}
	}
}

// look answers, or returns what is closed at the next change.
func (t *table) look(in *watchRequest, match func(key string) bool) (a watchAnswer, wake <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return a, nil, ErrClosed
	}
	if in.First {
		in.Seen = t.rev
	}
	a = watchAnswer{Rev: t.rev, After: in.After, Dropped: t.dropped}
	if t.dropped > max(in.Seen, in.After) {
		a.Lost = true
		return a, nil, nil
	}
	t.since(&a, func(key string) bool {
		if match == nil {
			return !t.reserves(key)
		}
		return match(key)
	})
	if len(a.Events) == 0 && !in.First {
		in.After = a.After
		return a, t.wakes(), nil
	}
	return a, nil, nil
}

// since fills in the events after a.After, up to the bounds. mu is held.
func (t *table) since(a *watchAnswer, match func(key string) bool) {
	i := sort.Search(len(t.log), func(i int) bool { return t.log[i].rev > a.After })
	events, bytes, names := 0, 0, 0
	for i < len(t.log) {
		end, n, size, named := t.revision(i, match)
		if n > 0 && events > 0 && (events+n > mostEvents || bytes+size > mostEventBytes || names+named > mostEventNames) {
			return
		}
		for _, l := range t.log[i:end] {
			if !l.stale() && match(l.row.key) {
				r := l.row
				a.Events = append(a.Events, event{r.key, r.rev, r.born, r.count, r.value.lend()})
			}
		}
		a.After = t.log[i].rev
		events, bytes, names = events+n, bytes+size, names+named
		i = end
	}
	a.After = max(a.After, t.rev)
}

// revision returns where in the log the revision at i ends, and how much of it matches.
func (t *table) revision(i int, match func(key string) bool) (end, n, size, names int) {
	for end = i; end < len(t.log) && t.log[end].rev == t.log[i].rev; end++ {
		if l := t.log[end]; !l.stale() && match(l.row.key) {
			n++
			size += len(l.row.key) + l.row.value.size() + eventBytes
			names += l.row.value.names()
		}
	}
	return end, n, size, names
}

// matcher returns what tells keys that one of the patterns means; nil: there are none.
func (t *table) matcher(patterns []string) func(key string) bool {
	if len(patterns) == 0 {
		return nil
	}
	exact := map[string]bool{}
	var prefixes []string
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			prefixes = append(prefixes, prefix)
		} else {
			exact[p] = true
		}
	}
	return func(key string) bool {
		if exact[key] {
			return true
		}
		for _, p := range prefixes {
			if strings.HasPrefix(key, p) && (p != "" || !t.reserves(key)) {
				return true
			}
		}
		return false
	}
}

type keysRequest struct {
	Which    uint8
	Patterns []string
}

type keysAnswer struct {
	Keys    []string // that have a value, or whose deletion is remembered
	Dropped uint64
}

var opKeys = define("keys", false, func(_ context.Context, h *host, _ *caller, in keysRequest) (keysAnswer, error) {
	t, err := h.tables.get(in.Which)
	if err != nil {
		return keysAnswer{}, err
	}
	return t.keys(in.Patterns)
})

// keys returns the keys that match patterns.
func (t *table) keys(patterns []string) (keysAnswer, error) {
	match := t.matcher(patterns)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return keysAnswer{}, ErrClosed
	}
	a := keysAnswer{Dropped: t.dropped}
	for k := range t.rows {
		if match == nil || match(k) {
			a.Keys = append(a.Keys, k)
		}
	}
	return a, nil
}
