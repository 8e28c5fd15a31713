package manager

import (
	"context"
	"iter"
	"maps"
	"slices"
)

// Event is a change of a key, or a key that was there when the watch began.
type Event struct {
	Key string
	// Rev is the change's revision.
	Rev uint64
	// Value is what the key has had since; no value if Deleted.
	Value   Value
	Deleted bool
	// Missed is how many changes of the key before this one the watch, since it began, did not
	// yield.
	Missed int
}

// Watch yields the keys of a table that are there, each with its value, and then every change, in
// order of revision, until ctx ends or the loop is left. It watches the given keys; one that ends
// in "*" stands for all keys with that prefix; if none is given, it watches all. Reserved keys are
// watched only if they are named, or match a prefix that is not empty.
//
// A watch holds nobody up. If it falls behind, it yields only the last change of each key, and says
// how many it Missed. The revisions of one key strictly increase, and once changes cease the watch
// has yielded the last change of each key, deletions included. The changes of one update may be
// yielded when a later update has already been made: keys that the later one changed as well then
// come with its revision. If it falls behind by more than 65536 deletions, a watch yields the
// forgotten ones first, with a revision not before theirs.
//
// The last pair has the error that ended the watch: ctx's, ErrClosed once the manager is closed, or
// ErrLost. Each range over the result is a watch of its own.
func Watch(ctx context.Context, t Tabler, keys ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watch{table: t.asTable(), patterns: keys, known: map[string]yielded{}}
		for {
			events, err := w.next(ctx)
			for i, e := range events {
				if !yield(e, nil) {
					for _, left := range events[i+1:] {
						left.Value.s.release()
					}
					return
				}
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// watch is a watch under way.
type watch struct {
	table    *Table
	patterns []string
	begun    bool
	start    uint64 // the table's revision when it began
	after    uint64
	seen     uint64
	known    map[string]yielded
	gone     int // how many of known are deleted
}

// yielded is what the watch has yielded of a key.
type yielded struct {
	rev, born, count uint64
	deleted          bool
}

// next returns more events; there may be none.
func (w *watch) next(ctx context.Context) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := w.table.poll(ctx, watchRequest{w.table.which, w.patterns, !w.begun, w.after, w.seen})
	if err != nil {
		return nil, err
	}
	if !w.begun {
		w.begun, w.start, w.seen = true, a.Rev, a.Rev
	}
	w.after = a.After
	if a.Lost {
		return w.resync(ctx)
	}
	events := make([]Event, 0, len(a.Events))
	for _, e := range a.Events {
		if out, fresh := w.take(e); fresh {
			events = append(events, out)
		} else {
			e.Value.release()
		}
	}
	w.prune(a.Dropped)
	return events, nil
}

// take notes an event and says whether it is to be yielded.
func (w *watch) take(e event) (out Event, fresh bool) {
	k, old := w.known[e.Key]
	if old && e.Rev <= k.rev {
		return out, false
	}
	out = Event{Key: e.Key, Rev: e.Rev, Deleted: e.Value == nil}
	switch {
	case old && k.born == e.Born:
		out.Missed = int(e.Count - k.count - 1)
	case e.Born > w.start:
		out.Missed = int(e.Count - 1)
	}
	if old && k.deleted {
		w.gone--
	}
	w.known[e.Key] = yielded{e.Rev, e.Born, e.Count, out.Deleted}
	if out.Deleted {
		w.gone++
		return out, old || e.Rev > w.start
	}
	out.Value = newValue(e.Key, e.Rev, e.Value)
	return out, true
}

// resync returns the deletions of known keys that the host has forgotten.
func (w *watch) resync(ctx context.Context) ([]Event, error) {
	a, err := w.table.names(ctx, keysRequest{w.table.which, w.patterns})
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(a.Keys))
	for _, k := range a.Keys {
		there[k] = true
	}
	var events []Event
	for _, key := range slices.Sorted(maps.Keys(w.known)) {
		k := w.known[key]
		if k.deleted || there[key] {
			continue
		}
		k.deleted, k.rev = true, a.Dropped
		w.known[key] = k
		w.gone++
		events = append(events, Event{Key: key, Rev: a.Dropped, Deleted: true})
	}
	w.seen = max(w.seen, a.Dropped)
	return events, nil
}

// prune forgets deleted keys that the host has forgotten, once they are many.
func (w *watch) prune(dropped uint64) {
	if w.gone <= 2*mostTombs {
		return
	}
	maps.DeleteFunc(w.known, func(_ string, k yielded) bool {
		old := k.deleted && k.rev <= dropped
		if old {
			w.gone--
		}
		return old
	})
}
