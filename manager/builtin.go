package manager

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/xenonmp/xme/internal/wire"
)

// Builtin is a call of one of the manager's own functions, under the name that [BuiltinsKey] lists,
// for [Queue.Append]. Each name goes with some of the other fields:
//
//	Table::update, Monitor::update  Changes  of the value table, of the messages; all or none
//	Table::set                      Changes  one Put
//	Table::get, Monitor::get        Keys     the values of these keys, as Values has them
//	Table::items                    –        all values
//	Table::delete, Monitor::delete  Keys     they are deleted; Monitor::delete without keys clears the messages
//	Monitor::copy_msg               –        see Manager.CopyMsg
//	Lock::update                    Kind     of the manager's lock
//
// A Table::update that puts GuardState{} under [GuardKey] asks the guard to end: see
// [Queue.Append].
type Builtin struct {
	Name    string
	Changes []Change
	Keys    []string
	Kind    Kind
}

type builtinRequest struct {
	Op      Operator
	ID      uint64
	Nested  bool
	Name    string
	Changes []change
	Keys    []string
	Kind    int
}

// check says what is wrong with a call.
func (b *builtinRequest) check() error {
	if !slices.Contains(builtins, b.Name) {
		return errorf("append %q: there is no such built-in function; there are: %s: %w", b.Name, strings.Join(builtins, ", "), ErrNotFound)
	}
	takes := builtinTakes[b.Name]
	for _, f := range []struct {
		name  string
		given bool
		taken bool
	}{{"Changes", len(b.Changes) > 0, takes.changes}, {"Keys", len(b.Keys) > 0, takes.keys}, {"Kind", b.Kind != 0, takes.kind}} {
		if f.given && !f.taken {
			return errorf("append %s: it has no %s", b.Name, f.name)
		}
	}
	switch {
	case b.Name == "Table::set" && (len(b.Changes) != 1 || b.Changes[0].Kind != changePut):
		return errorf("append %s: it takes one Put", b.Name)
	case (b.Name == "Table::delete" || b.Name == "Table::get") && len(b.Keys) == 0:
		return errorf("append %s: it needs Keys", b.Name)
	case takes.changes && len(b.Changes) == 0:
		return errorf("append %s: it needs Changes", b.Name)
	case takes.kind:
		return Kind(b.Kind).check()
	}
	return nil
}

type builtinFields struct{ changes, keys, kind bool }

var builtinTakes = map[string]builtinFields{
	"Table::update": {changes: true}, "Table::set": {changes: true}, "Monitor::update": {changes: true},
	"Table::delete": {keys: true}, "Table::get": {keys: true}, "Monitor::get": {keys: true}, "Monitor::delete": {keys: true},
	"Table::items": {}, "Monitor::copy_msg": {}, "Lock::update": {kind: true},
}

var errNoCollector = errors.New("manager: calls of this process's own do not come as requests")

var opBuiltin = defineStored("append built-in", true, func(ctx context.Context, h *host, c *caller, in builtinRequest) (struct{}, error) {
	defer func() {
		for _, c := range in.Changes {
			c.Value.spend()
		}
	}()
	if c.conn == nil {
		return struct{}{}, errNoCollector
	}
	return struct{}{}, h.appendBuiltin(ctx, in, &queued{from: c.conn, to: c.conn, id: in.ID})
})

// appendBuiltin queues a built-in function. in's values are the request's.
func (h *host) appendBuiltin(ctx context.Context, in builtinRequest, e *queued) error {
	if err := in.check(); err != nil {
		return err
	}
	e.op, e.nested, e.what = in.Op, in.Nested, in.Name
	changes := make([]change, len(in.Changes))
	for i, c := range in.Changes {
		c.Value = c.Value.keep()
		changes[i] = c
		e.size += c.Value.size() + len(c.Key)
	}
	in.Changes = changes
	for _, k := range in.Keys {
		e.size += len(k)
	}
	e.own = func() outcomeOf { return h.builtin(in) }
	e.drop = func() { releaseChanges(changes) }
	return h.appendHere(ctx, e)
}

// builtin runs a built-in function. The values of in's changes are given back.
func (h *host) builtin(in builtinRequest) outcomeOf {
	m := &Manager{id: h.id, at: h, op: in.Op}
	m.lock = m.ownLock(h)
	ctx := context.WithValue(context.Background(), queueKey{}, h.id)
	v, err := h.runBuiltin(ctx, m, in)
	releaseChanges(in.Changes)
	if err != nil {
		return outcomeOf{err: errorf("%s: %w", in.Name, err)}
	}
	s, err := encodeEntries(v)
	return outcomeOf{s, err}
}

func (h *host) runBuiltin(ctx context.Context, m *Manager, in builtinRequest) ([]entry, error) {
	t := m.Table()
	if strings.HasPrefix(in.Name, "Monitor::") {
		t = m.Messages()
	}
	switch in.Name {
	case "Table::update", "Table::set", "Monitor::update":
		changes, stops := in.Changes, false
		if t.which == valueTable {
			changes = slices.DeleteFunc(slices.Clone(changes), func(c change) bool {
				stop := c.Key == GuardKey && allowed(c)
				stops = stops || stop
				return stop
			})
		}
		if stops {
			if err := h.entitled(in.Op); err != nil {
				return nil, err
			}
		}
		if len(changes) > 0 {
			_, leave, err := t.enter(ctx)
			if err != nil {
				return nil, err
			}
			defer leave()
			if _, err := opUpdate.do(ctx, h, &caller{}, updateRequest{in.Op, t.which, changes}); err != nil {
				return nil, err
			}
		}
		if stops {
			h.queue.askStop()
		}
		return nil, nil
	case "Table::delete":
		return nil, t.Delete(ctx, in.Keys...)
	case "Monitor::delete":
		if len(in.Keys) == 0 {
			return nil, t.Clear(ctx)
		}
		return nil, t.Delete(ctx, in.Keys...)
	case "Table::get", "Table::items", "Monitor::get":
		return h.tables.byNumber[t.which].values(in.Keys)
	case "Monitor::copy_msg":
		return nil, m.CopyMsg(ctx)
	case "Lock::update":
		return nil, m.Lock().SetKind(ctx, Kind(in.Kind))
	}
	return nil, ErrNotFound
}

// entries encodes what a built-in function returns.
var entries = func() func() wire.Codec[[]entry] {
	if !storedCrosses {
		panic("manager: values do not cross yet")
	}
	return lazyCodec[[]entry]()
}()

// valuesType is the type of what a built-in function returns.
var valuesType = typeName(reflect.TypeFor[Values]())

// encodeEntries encodes entries, whose values are lent.
func encodeEntries(v []entry) (*stored, error) {
	s := &stored{typ: valuesType, handles: true}
	p := wire.NewParcel()
	defer p.Free()
	var err error
	if s.bytes, err = wire.Append(entries(), nil, &v, p); err != nil {
		return nil, err
	}
	if p.Regions.Len() > 0 {
		set := p.Regions.Take()
		s.held = &set
	}
	return s, nil
}

// decodeEntries is its other end.
func decodeEntries(src []byte, v *Values, p *wire.Parcel) error {
	var all []entry
	if err := wire.Decode(entries(), src, &all, p); err != nil {
		return err
	}
	*v = make(Values, len(all))
	for _, e := range all {
		(*v)[e.Key] = newValue(e.Key, e.Rev, e.Value)
	}
	return nil
}

// Append queues a call of one of the manager's own functions: [Builtin] lists them, and
// [MethodFunc.Append] says how a call is queued. Its result holds the values that the function
// reads, and is empty for functions that read none. It acts as the handle's operator, who must be
// entitled to what it does when it runs. A name that does not exist is an error that wraps
// ErrNotFound; fields that do not go with the name are also an error.
//
// A queued Table::update that puts GuardState{} under [GuardKey] says that whoever appended it is
// done: the guard ends once what is queued has run and the other rows of its table have ended; if
// it guards no table, it ends at once unless a heartbeat is alive.
func (q *Queue) Append(ctx context.Context, b Builtin) (*Future[Values], error) {
	m := q.m
	in := builtinRequest{Op: m.Operator(), Nested: queueOf(ctx) == m.id, Name: b.Name, Keys: b.Keys, Kind: int(b.Kind)}
	var err error
	in.Changes, err = encodeChanges(b.Changes)
	defer releaseChanges(in.Changes)
	if err != nil {
		return nil, errorf("append %s: %w", b.Name, err)
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	h, err := m.host()
	if err != nil {
		return nil, errorf("append %s: %w", b.Name, err)
	}
	f := newQueued(m.id, false, decodeEntries)
	if h != nil {
		if err := h.appendBuiltin(ctx, in, &queued{to: f}); err != nil {
			return nil, err
		}
		return f, nil
	}
	c, err := m.at.(*remote).conn()
	if err != nil {
		return nil, err
	}
	defer c.unuse()
	if in.ID, err = c.queued.add(f); err != nil {
		return nil, err
	}
	f.queued.conn = c
	p := wire.NewParcel()
	defer p.Free()
	if err := askBy(ctx, c, opBuiltin, in, p); err != nil {
		c.queued.take(in.ID)
		return nil, err
	}
	return f, nil
}
