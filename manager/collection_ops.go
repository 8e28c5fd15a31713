package manager

import (
	"context"
	"encoding/binary"
	"math"
	"reflect"
)

type makeRequest struct {
	Op    Operator
	Name  string
	Type  string
	Map   bool
	Items []*stored // of a list
}

var opMake = defineStored("make a collection", false, func(_ context.Context, h *host, _ *caller, in makeRequest) (uint64, error) {
	defer spendAll(in.Items)
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	n := &collection{name: in.Name, typ: in.Type}
	if in.Map {
		n.table = map[string]*stored{}
	}
	if _, err := n.splice(0, 0, in.Items); err != nil {
		return 0, err
	}
	if err := h.collections.add(n); err != nil {
		n.release()
		return 0, err
	}
	return n.number, nil
})

type findRequest struct{ Name, Type string }

var opFind = define("find a collection", false, func(_ context.Context, h *host, _ *caller, in findRequest) (uint64, error) {
	return h.collections.find(in.Name, in.Type)
})

type targetRequest struct {
	Op  Operator
	At  target
	Map bool
}

var opRelease = define("release", false, func(_ context.Context, h *host, _ *caller, in targetRequest) (struct{}, error) {
	if err := h.check(in.Op); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, h.collections.drop(in.At)
})

var opSize = define("length", false, func(_ context.Context, h *host, _ *caller, in targetRequest) (size int, err error) {
	err = h.collections.use(in.At, in.Map, func(n *collection) error {
		size = n.size()
		return nil
	})
	return size, err
})

type spliceRequest struct {
	Op      Operator
	At      target
	Lo, Del int
	Items   []*stored
}

var opSplice = defineStored("change a list", false, func(_ context.Context, h *host, _ *caller, in spliceRequest) (size int, err error) {
	defer spendAll(in.Items)
	if err := h.check(in.Op); err != nil {
		return 0, err
	}
	err = h.collections.use(in.At, false, func(n *collection) error {
		size, err = n.splice(in.Lo, in.Del, in.Items)
		return err
	})
	return size, err
})

type sliceRequest struct {
	At     target
	Lo, Hi int
}

var opSlice = defineStored("read a list", false, func(_ context.Context, h *host, _ *caller, in sliceRequest) (items []*stored, err error) {
	err = h.collections.use(in.At, false, func(n *collection) error {
		items, err = n.slice(in.Lo, in.Hi)
		return err
	})
	return items, err
})

var opPop = defineStored("pop", false, func(_ context.Context, h *host, _ *caller, in targetRequest) (item *stored, err error) {
	if err := h.check(in.Op); err != nil {
		return nil, err
	}
	err = h.collections.use(in.At, false, func(n *collection) error {
		item, err = n.pop()
		return err
	})
	return item, err
})

type putRequest struct {
	Op    Operator
	At    target
	Keys  []string
	Items []*stored
	Old   bool // what the last key had is asked for
}

var opPut = defineStored("change a map", false, func(_ context.Context, h *host, _ *caller, in putRequest) (old *stored, err error) {
	defer spendAll(in.Items)
	if err := h.check(in.Op); err != nil {
		return nil, err
	}
	err = h.collections.use(in.At, true, func(n *collection) error {
		old, err = n.put(in.Keys, in.Items)
		return err
	})
	if old != nil && !in.Old {
		old.spend()
		old = nil
	}
	return old, err
})

type keyRequest struct {
	Op  Operator
	At  target
	Key string
}

var opMapGet = defineStored("read a map", false, func(_ context.Context, h *host, _ *caller, in keyRequest) (item *stored, err error) {
	err = h.collections.use(in.At, true, func(n *collection) error {
		if s := n.table[in.Key]; s != nil {
			item = s.lend()
		}
		return nil
	})
	return item, err
})

var opMapDelete = define("delete from a map", false, func(_ context.Context, h *host, _ *caller, in keyRequest) (had bool, err error) {
	if err := h.check(in.Op); err != nil {
		return false, err
	}
	err = h.collections.use(in.At, true, func(n *collection) error {
		s, ok := n.table[in.Key]
		delete(n.table, in.Key)
		s.release()
		had = ok
		return nil
	})
	return had, err
})

type pairsRequest struct {
	At   target
	Keys bool // only those
}

type pairsAnswer struct {
	Keys  []string
	Items []*stored
}

var opPairs = defineStored("read all of a map", false, func(_ context.Context, h *host, _ *caller, in pairsRequest) (a pairsAnswer, err error) {
	err = h.collections.use(in.At, true, func(n *collection) error {
		a.Keys, a.Items = n.pairs()
		if in.Keys {
			spendAll(a.Items)
			a.Items = nil
		}
		return nil
	})
	return a, err
})

type addRequest struct {
	Op    Operator
	At    target
	Key   string
	Kind  uint8 // a reflect.Kind
	Delta []byte
}

var opAdd = define("add", false, func(_ context.Context, h *host, _ *caller, in addRequest) (sum []byte, err error) {
	if err := h.check(in.Op); err != nil {
		return nil, err
	}
	err = h.collections.use(in.At, true, func(n *collection) error {
		have := make([]byte, len(in.Delta)) // zero
		if s := n.table[in.Key]; s != nil {
			have = s.bytes
		}
		if sum, err = addNumbers(reflect.Kind(in.Kind), have, in.Delta); err == nil {
			n.table[in.Key].release()
			n.table[in.Key] = &stored{bytes: sum}
		}
		return err
	})
	return sum, err
})

// addNumbers adds two numbers as they lie in memory. Integers wrap around.
func addNumbers(k reflect.Kind, a, b []byte) ([]byte, error) {
	ne := binary.NativeEndian
	if len(a) != len(b) {
		return nil, errNotNumber
	}
	switch {
	case k == reflect.Float32 && len(a) == 4:
		return ne.AppendUint32(nil, math.Float32bits(math.Float32frombits(ne.Uint32(a))+math.Float32frombits(ne.Uint32(b)))), nil
	case k == reflect.Float64 && len(a) == 8:
		return ne.AppendUint64(nil, math.Float64bits(math.Float64frombits(ne.Uint64(a))+math.Float64frombits(ne.Uint64(b)))), nil
	case k < reflect.Int || k > reflect.Uint64:
		return nil, errNotNumber
	}
	switch len(a) { // two's complement: signed and unsigned alike
	case 1:
		return []byte{a[0] + b[0]}, nil
	case 2:
		return ne.AppendUint16(nil, ne.Uint16(a)+ne.Uint16(b)), nil
	case 4:
		return ne.AppendUint32(nil, ne.Uint32(a)+ne.Uint32(b)), nil
	case 8:
		return ne.AppendUint64(nil, ne.Uint64(a)+ne.Uint64(b)), nil
	}
	return nil, errNotNumber
}
