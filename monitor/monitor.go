package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/manager"
)

// Options configures a monitor. The zero value is a table of this process that stands alone.
type Options struct {
	// Manager is the manager whose message table it is. nil: a table in this process.
	Manager *manager.Manager
	// Lock is taken for each change. nil: none except that of the manager's tables.
	Lock *manager.Lock
	// Keys seal and open messages. nil: the key that processes of a pool inherit.
	Keys *Keys
	// Context is what messages are for: those who open them must give the same.
	Context string
	// Limit bounds what is sealed or opened, in bytes. 0: 64 MiB.
	Limit int
	// Plain turns off the compression of what is sealed.
	Plain bool
	// Window, if above 0, makes Unmarshal refuse what it has opened before, and what was sealed
	// longer ago than that: see Opener.
	Window time.Duration
	// Remember is how many messages Unmarshal remembers. 0: 65536.
	Remember int
}

// Monitor is a table of messages, JSON values by key, which can be sealed and into which sealed
// messages can be merged. One with a manager crosses as a field of an argument or a result, with
// its keys: all who have one see the same messages. All methods may be called concurrently.
type Monitor struct {
	o      Options
	table  *manager.Table // nil: a zero Monitor
	opener *Opener

	retained bool // Close ends it
	closed   atomic.Bool
}

// New makes a monitor. Errors in the options are reported by the first call that needs them.
func New(o Options) *Monitor {
	m := &Monitor{o: o, opener: &Opener{Keys: o.Keys, Context: o.Context, Limit: o.Limit, Window: o.Window, Remember: o.Remember}}
	if o.Manager != nil {
		m.table = o.Manager.Messages()
	} else {
		m.table = manager.NewTable()
	}
	m.table = m.table.Guarded(o.Lock)
	return m
}

func (m *Monitor) usable() error {
	if m == nil || m.table == nil {
		return fmt.Errorf("a zero Monitor: make it with New: %w", manager.ErrClosed)
	}
	if m.closed.Load() {
		return fmt.Errorf("a Monitor that its Close has ended: %w", manager.ErrClosed)
	}
	return nil
}

// Update makes all changes at once, or none: nobody sees only some of them. It is an error to
// change a key twice in one update. Without changes it does nothing.
func (m *Monitor) Update(ctx context.Context, changes ...Change) error {
	if err := m.usable(); err != nil || len(changes) == 0 {
		return err
	}
	all := make([]manager.Change, len(changes))
	for i, c := range changes {
		var err error
		if all[i], err = c.make(m); err != nil {
			return err
		}
	}
	return m.table.Update(ctx, all...)
}

// Set sets the value of a key: see Put.
func Set[T any](ctx context.Context, m *Monitor, key string, v T) error {
	return m.Update(ctx, Put(key, v))
}

// Delete deletes keys. If one of them is missing, nothing is deleted and the error wraps ErrNoKey.
// It is an error to give no keys: use Clear to delete all.
func (m *Monitor) Delete(ctx context.Context, keys ...string) error {
	if err := m.usable(); err != nil {
		return err
	}
	return m.table.Delete(ctx, keys...)
}

// Clear deletes all keys.
func (m *Monitor) Clear(ctx context.Context) error {
	if err := m.usable(); err != nil {
		return err
	}
	return m.table.Clear(ctx)
}

// Len returns the number of keys.
func (m *Monitor) Len(ctx context.Context) (int, error) {
	if err := m.usable(); err != nil {
		return 0, err
	}
	return m.table.Len(ctx)
}

// Message is the value of a key.
type Message struct {
	Key     string
	JSON    json.RawMessage // nil: it is deleted
	Rev     uint64          // of the table change that wrote it
	Deleted bool
	Missed  int // in a Watch: how many changes of the key before this one were not yielded
}

// Messages holds messages by key.
type Messages map[string]Message

// Items yields the keys, in order, with their messages.
func (m Messages) Items() iter.Seq2[string, Message] {
	return func(yield func(string, Message) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// Messages returns the messages of keys, all as they were at one moment. For one key that does not
// exist the error is ErrNoKey; of several keys it returns those that exist; without keys, all. The
// contents of shared lists and maps are read after that moment.
func (m *Monitor) Messages(ctx context.Context, keys ...string) (Messages, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	values, err := m.table.Values(ctx, keys...)
	if err != nil {
		return nil, err
	}
	all := make(Messages, len(values))
	for key, v := range values {
		text, err := show(ctx, key, v)
		if err != nil {
			return nil, err
		}
		all[key] = Message{Key: key, JSON: text, Rev: v.Rev()}
	}
	return all, nil
}

// revisions returns the revisions of those of keys that are there.
func (m *Monitor) revisions(ctx context.Context, keys []string) (map[string]uint64, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	values, err := m.table.Values(ctx, keys...)
	if err != nil && !errors.Is(err, ErrNoKey) { // of one key that is not there
		return nil, err
	}
	revs := make(map[string]uint64, len(values))
	for key, v := range values {
		revs[key] = v.Rev()
	}
	return revs, nil
}

// Watch yields the messages that are there, and then every change, as manager.Watch does. It
// watches the given keys; one that ends in "*" stands for all keys with that prefix; if none is
// given, it watches all. The contents of a shared list or map are read when its message is yielded;
// changing them is not a change of the table.
//
// A message that cannot be shown comes with its key and an error, and the watch goes on. The error
// that ends it comes in the last pair, with Rev 0.
func (m *Monitor) Watch(ctx context.Context, keys ...string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if err := m.usable(); err != nil {
			yield(Message{}, err)
			return
		}
		for e, err := range manager.Watch(ctx, m.table, keys...) {
			if err != nil {
				yield(Message{}, err)
				return
			}
			msg := Message{Key: e.Key, Rev: e.Rev, Deleted: e.Deleted, Missed: e.Missed}
			if !e.Deleted {
				msg.JSON, err = show(ctx, e.Key, e.Value)
			}
			if !yield(msg, err) {
				return
			}
		}
	}
}

// Get returns the value of a key as a T. The error wraps ErrNoKey if there is none, ErrType if it
// is not a T, and ErrTooLarge if arrays without elements in it would take far more memory than
// their text.
//
// Slices and arrays of numbers, nested or not, and Arrays are read from what was put with the same
// type and shape, or from untagged JSON arrays; everything else as by encoding/json. Read as any,
// integers are int64, or uint64 if they are too large for that, other numbers float64, and numbers
// beyond those json.Number; numeric arrays of one dimension are slices, such as []float64, and
// others Arrays, such as Array[float64].
//
// *manager.List and *manager.Map are the handles that were put; read as another type, their
// contents.
func Get[T any](ctx context.Context, m *Monitor, key string) (v T, err error) {
	if err := m.usable(); err != nil {
		return v, err
	}
	values, err := m.table.Values(ctx, key)
	if err != nil {
		return v, err
	}
	stored := values[key]
	if got, err := manager.As[T](stored); err == nil {
		return got, nil
	}
	if isShared[T]() {
		return v, fmt.Errorf("the value of %s is of type %s, not %v: %w", briefKey(key), stored.Type(), reflect.TypeFor[T](), ErrType)
	}
	text, err := show(ctx, key, stored)
	if err != nil {
		return v, err
	}
	if err := decode(text, &v); err != nil {
		var none T
		return none, fmt.Errorf("the value of %s as %v: %w", briefKey(key), reflect.TypeFor[T](), err)
	}
	return v, nil
}
