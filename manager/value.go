package manager

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"slices"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// stored is an encoded value. Its fields do not change once it is made, but for the references that it holds: to have one is to own those, and to give
// them back by release, once. A value that names no memory may be shared by any number.
//
// Who owns one: what a client encodes, it releases when its call has returned; a host that keeps a value of a request's makes its own (keep). What
// came with a request or goes out with an answer is loose: spend gives it back, at the end of the request, or when the answer is encoded.
type stored struct {
	typ     string // typeName; empty: who keeps it knows
	bytes   []byte
	json    []byte      // for who does not know the type; nil: none
	handles bool        // of a type that holds handles
	held    *region.Set // the shared memory that bytes name; nil: none
	loose   bool
}

const (
	// mostJSON is how long a value's JSON may be; longer, it has none.
	mostJSON = 64 << 10
	// mostForJSON is how long an encoded value may be for its JSON to be tried.
	mostForJSON = 4 * mostJSON
)

// encode makes v a value that can be kept. The error wraps xme.ErrEncode.
func encode[T any](v T) (*stored, error) {
	t, err := typeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	s, err := encodeAs(t, &v)
	if err != nil {
		return nil, err
	}
	s.typ = t.name
	if !t.basic && !s.handles && len(s.bytes) <= mostForJSON {
		s.json = shown(v)
	}
	return s, nil
}

// shown makes the JSON that a value is shown by; nil: it is shown by its type.
func shown(v any) (text []byte) {
	defer func() {
		if recover() != nil { // a MarshalJSON of the user's, which need not work for a value to be kept
			text = nil
		}
	}()
	text, err := json.Marshal(v)
	if err != nil || len(text) > mostJSON {
		return nil
	}
	return text
}

// encodeAs makes *v, of whose type t is, a value without a type and JSON.
func encodeAs[T any](t *typed, v *T) (*stored, error) {
	p := t.plan.NewParcel()
	b, err := wire.Append(wire.Codec[T]{Plan: t.plan}, nil, v, p)
	return t.encoded(b, p, err)
}

// encoded makes bytes, and what is in p, a value, unless encoding it failed. It frees p.
func (t *typed) encoded(b []byte, p *wire.Parcel, err error) (*stored, error) {
	defer p.Free()
	switch {
	case err != nil:
		return nil, errorf("%w: %w", xme.ErrEncode, err)
	case p == nil:
		return &stored{bytes: b}, nil
	case len(p.Items) > 0:
		return nil, errorf("%w: a value of type %s holds an open file: a manager does not keep those", xme.ErrEncode, t.name)
	}
	s := &stored{bytes: b, handles: true}
	if p.Regions.Len() > 0 {
		holdOn(p) // a manager in this process keeps it
		set := p.Regions.Take()
		s.held = &set
	}
	return s, nil
}

// holdOn says that what a parcel names is kept, or goes on to who may keep it: whoever has lent or shown it to this process cannot know, and is told.
func holdOn(p *wire.Parcel) {
	if p == nil {
		return
	}
	for r := range p.Regions.All() {
		r.HoldOn()
	}
}

// decode returns the value; what names it in an error. The error wraps ErrType if it was stored as another type. Handles in the value are the caller's.
func decode[T any](s *stored, what string) (v T, err error) {
	if s.typ == valuesType {
		if all, ok := any(&v).(*Values); ok {
			return v, s.entries(all)
		}
	}
	t, err := s.typed(reflect.TypeFor[T](), what)
	if err != nil {
		return v, err
	}
	return decodeAs[T](t, s, what)
}

// entries reads what a built-in function returns.
func (s *stored) entries(all *Values) error {
	p := wire.NewParcel()
	defer p.Free()
	return decodeEntries(s.bytes, all, p)
}

// typed returns what is known of the type that the value is wanted as. The error wraps ErrType if it was stored as another.
func (s *stored) typed(as reflect.Type, what string) (*typed, error) {
	t, err := typeOf(as)
	if err == nil && s.typ != t.name {
		err = errorf("%s has the type %s, not %s: %w", what, s.typ, t.name, ErrType)
	}
	return t, err
}

// decodeAs returns a value that was encoded as a T, of whose type t is. what names it in an error; empty: it is an element.
func decodeAs[T any](t *typed, s *stored, what string) (v T, err error) {
	if s == nil {
		return v, errorf("%w", errMalformed)
	}
	p := t.plan.NewParcel()
	err = wire.Decode(wire.Codec[T]{Plan: t.plan}, s.bytes, &v, p)
	if err = t.decoded(s, p, err, what); err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// decoded frees p, once a value has been decoded, and says what is wrong if it could not be.
func (t *typed) decoded(s *stored, p *wire.Parcel, err error, what string) error {
	p.Free()
	runtime.KeepAlive(s) // its memory is held until here
	switch {
	case err == nil:
		return nil
	case what == "":
		what = "an element of type " + t.of.String()
	}
	return errorf("%s: %w", what, err)
}

// decodeAny is decode for a type that is not known when the program is compiled.
func decodeAny(s *stored, as reflect.Type, what string) (reflect.Value, error) {
	t, err := s.typed(as, what)
	if err != nil {
		return reflect.Value{}, err
	}
	return t.decodeAny(s, what)
}

func (t *typed) decodeAny(s *stored, what string) (reflect.Value, error) {
	if s == nil {
		return reflect.Value{}, errorf("%w", errMalformed)
	}
	p := t.plan.NewParcel()
	v, err := t.plan.DecodeAny(s.bytes, p)
	return v, t.decoded(s, p, err, what)
}

// size is about how many bytes the value takes on its way.
func (s *stored) size() int {
	if s == nil {
		return 0
	}
	return len(s.typ) + len(s.bytes) + len(s.json)
}

// names says how many times memory is named.
func (s *stored) names() int {
	if s == nil || s.held == nil {
		return 0
	}
	return s.held.Len()
}

// release gives the references back.
func (s *stored) release() {
	if s != nil && s.held != nil {
		s.held.Release()
	}
}

// spend releases what is loose.
func (s *stored) spend() {
	if s != nil && s.loose {
		s.release()
	}
}

func spendAll(all []*stored) {
	for _, s := range all {
		s.spend()
	}
}

// keep returns the value for a host to keep, with references of its own.
func (s *stored) keep() *stored {
	if s == nil || s.held == nil {
		return s
	}
	c := *s
	var set region.Set
	for r := range s.held.All() {
		r.Hold()
		set.Add(r)
	}
	c.held, c.loose = &set, false
	return &c
}

// lend returns the value for an answer.
func (s *stored) lend() *stored {
	c := s.keep()
	if c != s {
		c.loose = true
	}
	return c
}

// forget has the references given back when nobody has the value any more.
func (s *stored) forget() {
	if s != nil && s.held != nil {
		runtime.AddCleanup(s, (*region.Set).Release, s.held)
	}
}

// storedCrosses is set before the codecs of ops are made: see defineStored.
var storedCrosses = func() bool {
	wire.RegisterHandle(wire.Handle[*stored]{Append: appendStored, Decode: decodeStored})
	return true
}()

// defineStored is define for ops whose requests or answers hold values: Go initialises what it refers to first.
func defineStored[In, Out any](name string, waits bool, do func(ctx context.Context, h *host, c *caller, in In) (Out, error)) *op[In, Out] {
	if !storedCrosses {
		panic("manager: values do not cross yet")
	}
	return define(name, waits, do)
}

// appendStored encodes a value: flags; lengths of type and JSON, number of regions; the regions' ids; type, JSON, bytes.
func appendStored(dst []byte, s *stored, p *wire.Parcel) ([]byte, error) {
	defer s.spend()
	flags := byte(0)
	if s.handles {
		flags = 1
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(len(s.typ)))
	dst = binary.AppendUvarint(dst, uint64(len(s.json)))
	dst = binary.AppendUvarint(dst, uint64(s.names()))
	if s.held != nil {
		for r := range s.held.All() {
			if err := p.Put(r); err != nil {
				return dst, err
			}
			id := r.ID()
			dst = append(dst, id[:]...)
		}
	}
	return append(append(append(dst, s.typ...), s.json...), s.bytes...), nil
}

// errMalformed is a codec's: what leaves the package is made of it by errorf.
var errMalformed = errors.New("malformed value")

func decodeStored(src []byte, p *wire.Parcel) (*stored, error) {
	if len(src) == 0 || src[0] > 1 {
		return nil, errMalformed
	}
	s := &stored{handles: src[0] == 1, loose: true}
	src = src[1:]
	var lengths [3]int // of type, JSON, regions' ids
	for i := range lengths {
		n, used := binary.Uvarint(src)
		if used <= 0 || n > uint64(len(src)) {
			return nil, errMalformed
		}
		lengths[i], src = int(n), src[used:]
	}
	const idSize = len(region.ID{})
	lengths[2] *= idSize
	if lengths[0]+lengths[1]+lengths[2] > len(src) || lengths[1] > mostJSON {
		return nil, errMalformed
	}
	ids, src := src[:lengths[2]], src[lengths[2]:]
	if err := s.take(ids, p); err != nil {
		return nil, err
	}
	s.typ = string(src[:lengths[0]])
	if n := lengths[1]; n > 0 {
		s.json = slices.Clone(src[lengths[0]:][:n])
		if !json.Valid(s.json) {
			s.release()
			return nil, errMalformed
		}
	}
	s.bytes = slices.Clone(src[lengths[0]+lengths[1]:])
	return s, nil
}

// take takes references to the regions of these ids.
func (s *stored) take(ids []byte, p *wire.Parcel) error {
	if len(ids) == 0 {
		return nil
	}
	var set region.Set
	for id := range slices.Chunk(ids, len(region.ID{})) {
		r, _, err := p.Region(region.ID(id))
		if err != nil {
			set.Release()
			return err
		}
		set.Add(r)
	}
	s.held = &set
	p.Hold((*takenBack)(s))
	return nil
}

// takenBack ends a value that came with others of which one failed.
type takenBack stored

// End implements wire.Ender.
func (b *takenBack) End() (leaves bool) {
	(*stored)(b).release()
	return false
}

// Leave implements wire.Ender: nothing is left.
func (b *takenBack) Leave() {}

// shown returns the value as JSON: its own, or that of a type that every process knows; ok says whether there is one.
func (s *stored) shown() (text []byte, ok bool) {
	if s.json != nil {
		return s.json, true
	}
	t := basics[s.typ]
	if t == nil {
		return nil, false
	}
	v, err := decodeAny(s, t, "")
	if err == nil {
		text, err = json.Marshal(v.Interface())
	}
	return text, err == nil
}

// number is what AddTo adds.
type number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}
