package manager

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// Object is a handle on a shared object of type T, which lives where its manager does. It crosses
// as a field of an argument or a result, by pointer, and as a value of a table. Its fields are
// accessible only through methods: see [Method]. It lasts until it is released or the manager ends.
// All methods may be called concurrently, and from any process.
type Object[T any] struct{ ref ref }

// objectType is what a process knows of a type whose objects are shared.
type objectType struct {
	name   string
	decode func(src []byte, p *wire.Parcel) (any, error)           // nil: it cannot cross
	encode func(v any, p *wire.Parcel, dst []byte) ([]byte, error) // the same
	why    error                                                   // it cannot
}

var objectTypes struct {
	sync.Mutex
	byName map[string]*objectType
}

// addType has objects of a type be shared from elsewhere.
func addType[T any]() {
	objectTypes.Lock()
	defer objectTypes.Unlock()
	name := objectName[T]()
	if objectTypes.byName[name] != nil {
		return
	}
	if objectTypes.byName == nil {
		objectTypes.byName = map[string]*objectType{}
	}
	t := &objectType{name: name}
	objectTypes.byName[name] = t
	c, err := wire.CodecFor[T]()
	if err != nil {
		t.why = err
		return
	}
	t.decode = func(src []byte, p *wire.Parcel) (any, error) {
		v := new(T)
		return v, wire.Decode(c, src, v, p)
	}
	t.encode = func(v any, p *wire.Parcel, dst []byte) ([]byte, error) { return wire.Append(c, dst, v.(*T), p) }
}

func typeNamed(name string) *objectType {
	objectTypes.Lock()
	defer objectTypes.Unlock()
	return objectTypes.byName[name]
}

// constructor is a registered constructor without its types.
type constructor struct {
	name, typ, place string
	make             func(ctx context.Context, args []byte, p *wire.Parcel) (any, error)
}

var constructors struct {
	sync.Mutex
	byName map[string]*constructor
}

// ConstructorFunc makes objects of type T where their manager lives.
type ConstructorFunc[T, In any] struct {
	constructor
	in wire.Codec[In]
}

// Constructor registers a function that makes objects where their manager lives, for [ShareNew]:
// the contents of such objects need not be able to cross. Call it at package level. It panics as
// Method does.
func Constructor[T, In any](name string, f func(ctx context.Context, in In) (*T, error)) *ConstructorFunc[T, In] {
	c := &ConstructorFunc[T, In]{}
	c.name, c.typ, c.place = objectName[T]()+"."+name, objectName[T](), callSite()
	fail := func(format string, args ...any) {
		panic(fmt.Sprintf("manager: Constructor(%q) of %s at %s: %s", name, c.typ, c.place, fmt.Sprintf(format, args...)))
	}
	if name == "" || f == nil {
		fail("it needs a name and a function")
	}
	var err error
	if c.in, err = wire.CodecFor[In](); err != nil {
		fail("the argument cannot cross: %v", err)
	}
	c.make = func(ctx context.Context, args []byte, p *wire.Parcel) (any, error) {
		var in In
		if err := wire.Decode(c.in, args, &in, p); err != nil {
			return nil, err
		}
		v, err := f(ctx, in)
		if err == nil && v == nil {
			err = errorf("the constructor %s returned nil", c.name)
		}
		return v, err
	}
	constructors.Lock()
	defer constructors.Unlock()
	if old := constructors.byName[c.name]; old != nil {
		fail("it is registered already, at %s: give one of them another name", old.place)
	}
	if constructors.byName == nil {
		constructors.byName = map[string]*constructor{}
	}
	constructors.byName[c.name] = &c.constructor
	addType[T]()
	return c
}

// newObject asks for an object.
type newObject struct {
	Name string
	Type string
	Make string // the constructor; empty: Args is the object
	Args *payload
}

var opShare = define("share", true, func(ctx context.Context, h *host, _ *caller, in newObject) (uint32, error) {
	if in.Args == nil {
		return 0, errorf("%w", errMalformed)
	}
	defer in.Args.spend()
	o := &object{name: in.Name, typ: in.Type, made: in.Make}
	if in.Name != "" {
		if err := h.free(in.Name); err != nil { // before anything is made
			return 0, err
		}
	}
	var err error
	if in.Make == "" {
		t := typeNamed(in.Type)
		switch {
		case t == nil:
			return 0, errorf("share %q: no method or constructor of %s is registered where the manager lives: %w", in.Name, in.Type, ErrType)
		case t.decode == nil:
			return 0, errorf("share %q: it cannot cross to the manager's process, make it there with ShareNew: %w: %w", in.Name, xme.ErrEncode, t.why)
		}
		if o.v, err = t.decode(in.Args.data, in.Args.held); err != nil {
			return 0, errorf("share %q: %w: %w", in.Name, xme.ErrEncode, err)
		}
		return h.share(o)
	}
	constructors.Lock()
	c := constructors.byName[in.Make]
	constructors.Unlock()
	if c == nil || c.typ != in.Type {
		return 0, errorf("share %q: no constructor %q is registered: %w", in.Name, in.Make, ErrNotFound)
	}
	if o.v, err = construct(ctx, c, in.Args.data, in.Args.held); err != nil {
		return 0, errorf("share %q: %w", in.Name, err)
	}
	if h.keeper {
		o.args = in.Args.keep()
	}
	n, err := h.share(o)
	if err != nil {
		o.close()
	}
	return n, err
})

// construct calls a constructor; a panic is an error.
func construct(ctx context.Context, c *constructor, args []byte, p *wire.Parcel) (v any, err error) {
	m := method{name: c.name}
	e := m.guarded(func() *xme.Error {
		var cerr error
		if v, cerr = c.make(ctx, args, p); cerr != nil {
			return m.threw(xme.CauseReturned, "", "", cerr)
		}
		return nil
	})
	if e != nil {
		return nil, e
	}
	return v, nil
}

// free says that a name is taken; nil: it is not.
func (h *host) free(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.freeLocked(name)
}

func (h *host) freeLocked(name string) error {
	if _, taken := h.named[name]; taken {
		return errorf("an object is called %q already: %w", name, ErrExists)
	}
	return nil
}

// share takes an object in.
func (h *host) share(o *object) (uint32, error) {
	freeze()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, ErrClosed
	}
	if o.name != "" {
		if err := h.freeLocked(o.name); err != nil {
			return 0, err
		}
	}
	number, err := h.numbers.next32()
	if err != nil {
		return 0, err
	}
	o.number = number
	if o.name != "" {
		h.named[o.name] = o.number
	}
	h.objects.Store(o.number, o)
	return o.number, nil
}

func (h *host) object(number uint32) *object {
	if o, ok := h.objects.Load(number); ok {
		return o.(*object)
	}
	return nil
}

// Share makes *v an object of the manager. If the manager lives in this process, v is the object
// itself: do not touch it any more. Otherwise v crosses once, and its type must be able to. The
// name may be empty; if it is taken, the error wraps ErrExists.
func Share[T any](ctx context.Context, m *Manager, name string, v *T) (*Object[T], error) {
	if v == nil {
		return nil, errorf("share %q: it is nil", name)
	}
	typ := objectName[T]()
	if h, err := m.host(); err != nil {
		return nil, errorf("share %q: %w", name, err)
	} else if h != nil {
		n, err := h.share(&object{name: name, typ: typ, v: v})
		if err != nil {
			return nil, err
		}
		return objectAt[T](m, n), nil
	}
	t := typeNamed(typ)
	switch {
	case t == nil:
		return nil, errorf("share %q: no method of %s is registered: write var m = manager.Method(…) at package level", name, typ)
	case t.why != nil:
		return nil, errorf("share %q: the manager is in another process and %s cannot cross to it, make it there with ShareNew: %w: %w", name, typ, xme.ErrEncode, t.why)
	}
	p := &wire.Parcel{}
	defer p.Close()
	data, err := t.encode(v, p, nil)
	if err != nil {
		return nil, errorf("share %q: %w: %w", name, xme.ErrEncode, err)
	}
	return shareAt[T](ctx, m, newObject{Name: name, Type: typ, Args: &payload{data: data, held: p}})
}

// ShareNew makes c construct an object where the manager lives. The name may be empty; if it is
// taken, the error wraps ErrExists. An error that the constructor returns, or a panic in it, is the
// error.
func ShareNew[T, In any](ctx context.Context, m *Manager, name string, c *ConstructorFunc[T, In], in In) (*Object[T], error) {
	p := &wire.Parcel{}
	defer p.Close()
	data, err := wire.Append(c.in, nil, &in, p)
	if err != nil {
		return nil, errorf("share %q: the constructor's argument cannot cross: %w: %w", name, xme.ErrEncode, err)
	}
	return shareAt[T](ctx, m, newObject{Name: name, Type: c.typ, Make: c.name, Args: &payload{data: data, held: p}})
}

func shareAt[T any](ctx context.Context, m *Manager, in newObject) (*Object[T], error) {
	n, err := opShare.call(ctx, m, in)
	if err != nil {
		return nil, err
	}
	return objectAt[T](m, n), nil
}

// findObject asks for an object by its name.
type findObject struct{ Name, Type string }

var opFindObject = define("find", false, func(_ context.Context, h *host, _ *caller, in findObject) (uint32, error) {
	h.mu.Lock()
	n, ok := h.named[in.Name]
	h.mu.Unlock()
	o := h.object(n)
	switch {
	case !ok || o == nil:
		return 0, errorf("no object is called %q: %w", in.Name, ErrNotFound)
	case o.typ != in.Type:
		return 0, errorf("object %q is a %s, asked for as a %s: %w", in.Name, o.typ, in.Type, ErrType)
	}
	return n, nil
})

// Find returns the object with the given name. The error wraps ErrNotFound if there is none,
// ErrType if it is of another type, ErrClosed once the manager is closed, and ErrLost if its
// process is gone; or it is ctx's.
func Find[T any](ctx context.Context, m *Manager, name string) (*Object[T], error) {
	typ := objectName[T]()
	n, err := opFindObject.call(ctx, m, findObject{name, typ})
	if err != nil {
		return nil, err
	}
	return objectAt[T](m, n), nil
}

var opReleaseObject = define("release", true, func(ctx context.Context, h *host, _ *caller, number uint32) (struct{}, error) {
	o := h.object(number)
	if o == nil {
		return struct{}{}, errorf("object %d: %w", number, ErrReleased)
	}
	if runsIn(ctx, func(other *object) bool { return other == o }) {
		return struct{}{}, errorf("release object %s: one of its own methods, which it would wait for, does: %w", o.what(), ErrDeadlock)
	}
	over := make(chan struct{})
	end := func() {
		defer close(over)
		h.forget(o)
		o.close()
	}
	now, err := o.enter(func() *job { return &job{run: end, refuse: func(error) { close(over) }} })
	switch {
	case err != nil:
		return struct{}{}, err
	case now:
		end()
		o.leave()
	default:
		select {
		case <-over:
		case <-ctx.Done():
			return struct{}{}, context.Cause(ctx)
		}
	}
	return struct{}{}, nil
})

// forget takes an object out. Calls that wait for it get ErrReleased.
func (h *host) forget(o *object) {
	o.mu.Lock()
	o.gone = true
	o.mu.Unlock()
	h.objects.Delete(o.number)
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.name != "" && h.named[o.name] == o.number {
		delete(h.named, o.name)
	}
}

// closeObjects ends all objects of a host that is closed, each once the call that runs is over.
func (h *host) closeObjects() {
	h.objects.Range(func(_, v any) bool {
		o := v.(*object)
		if t := o.here.Load(); t != nil {
			t.cancel(context.Canceled)
		}
		if now, err := o.enter(func() *job {
			return &job{run: func() {
				h.forget(o)
				o.close()
			}, refuse: func(error) {}}
		}); now && err == nil {
			h.forget(o)
			o.close()
			o.leave()
		}
		return true
	})
}

// Release ends the object, for all processes, once the calls made before are over; later calls get
// ErrReleased. If T is an io.Closer, the object is closed.
func (o *Object[T]) Release(ctx context.Context) error {
	if _, _, err := o.where("release"); err != nil {
		return err
	}
	_, err := opReleaseObject.call(ctx, o.ref.m, o.ref.short())
	return err
}

func objectAt[T any](m *Manager, n uint32) *Object[T] {
	o := &Object[T]{refOf(m, reflect.TypeFor[Object[T]]())}
	o.ref.number = uint64(n)
	return o
}

// MarshalJSON fails: the contents of an object are read by its methods, not from the handle.
func (o *Object[T]) MarshalJSON() ([]byte, error) { return nil, o.ref.noJSON() }

// Manager returns the object's manager.
func (o *Object[T]) Manager() *Manager { return o.ref.m }

// String describes the handle.
func (o *Object[T]) String() string { return fmt.Sprintf("manager.Object[%v]", reflect.TypeFor[T]()) }

// where returns where the object lives: in this process or elsewhere.
func (o *Object[T]) where(what string) (*host, *remote, error) {
	if o == nil {
		return (*ref)(nil).where(what)
	}
	return o.ref.where(what)
}

// host returns the manager's host if that is in this process.
func (m *Manager) host() (*host, error) {
	if m == nil || m.at == nil {
		return nil, errorf("a zero Manager: managers are made by Open: %w", ErrClosed)
	}
	h, ok := m.at.(*host)
	if !ok {
		return nil, nil
	}
	return h, h.usable()
}
