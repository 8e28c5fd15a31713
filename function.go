package xme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// Func is a registered function: the handle for calling it, on any executor. It may be
// used from any goroutine. A Func is made only by [Register], [Lookup] and [Func.With];
// calls of a zero Func panic.
type Func[In, Out any] struct {
	fn   *function
	f    func(context.Context, In) (Out, error)
	in   wire.Codec[In]
	out  wire.Codec[Out]
	opts CallOptions
	ways ways
}

// function is a Func without its types.
type function struct {
	name, bare string
	place      string // file:line of its registration
	index      uint16 // in the frozen table
	id         string // what the handshake compares
	types      string // "func(context.Context, In) (Out, error)"
	handle     any    // *Func[In, Out]
	guards     bool   // In is a proc.Guard
	result     reflect.Type
	in, out    *wire.Plan

	awaited sync.Pool // of *awaited[In, Out], zeroed, to be used again
	alone   sync.Pool // the same, as callAlone leaves them
	idle    sync.Pool // of *idleCalls

	// invoke decodes args, runs the function, and appends its result to dst. The
	// parcel that it returns holds the result's files; nil: there are none. at says
	// what an error means.
	// space, if not nil, is link.Frame's.
	invoke func(ctx context.Context, args []byte, in *wire.Parcel, dst []byte, space func(int) []byte, limit int) (body []byte, out *wire.Parcel, at Cause, err error)
}

// functionTable is what a process can run. It is filled by package-level
// registrations and frozen by Init, so that driver and workers hold the same.
type functionTable struct {
	mu     sync.RWMutex
	byName map[string]*function
	byBare map[string][]*function
	list   []*function // by name, once frozen
	frozen bool
	ids    []string // what the handshake compares, once frozen
	space  []byte   // for layouts, until then
}

var table = &functionTable{byName: map[string]*function{}, byBare: map[string][]*function{}}

// Register adds f to the function table and returns its handle. Call it at package level:
//
//	var scatter = xme.Register("scatter", func(ctx context.Context, darts int) (int, error) { … })
//
// The full name is the import path of the registering package, a dot, and name; in
// package main it is "main." and name, also under go test (but the import path if the
// package's tests contain //go:debug lines). Declare a function that calls itself,
// directly or indirectly, as var f *xme.Func[In, Out] and register it in func init().
//
// Pointer-free values and slices of them are copied as they lie in memory; structs,
// strings, slices, maps and pointers by their exported fields and elements; types with
// Binary- or TextMarshaler and -Unmarshaler methods by means of these; any holds plain
// values; *os.File crosses by its descriptor. A field with the tag `xme:"-"` is left out;
// other tags mean nothing. Several pointers to one variable arrive as pointers to
// separate variables; a value that contains itself is an error at the call. Register
// panics, naming the field, if In or Out holds something that cannot cross (a channel, a
// function, an unexported field that would be lost). It also panics if the name is taken,
// and after [Init].
func Register[In, Out any](name string, f func(ctx context.Context, in In) (Out, error)) *Func[In, Out] {
	fu := &Func[In, Out]{f: f}
	fu.fn = &function{bare: name, handle: fu}
	fu.fn.invoke = func(ctx context.Context, args []byte, in *wire.Parcel, dst []byte, space func(int) []byte, limit int) ([]byte, *wire.Parcel, Cause, error) {
		return invoke(ctx, fu, args, in, dst, space, limit)
	}
	_, fu.fn.guards = any(*new(In)).(proc.Guard)
	register(fu.fn, f == nil, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	fu.in.Plan, fu.out.Plan = fu.fn.in, fu.fn.out
	fu.ways = waysOf(fu.fn, &fu.opts)
	return fu
}

// register puts a function into the table whose bare name, handle and how it is invoked are known.
func register(fn *function, null bool, in, out reflect.Type) {
	pkg, place := caller()
	fail := func(format string, args ...any) {
		panic(fmt.Sprintf("xme: Register(%q) at %s: %s", fn.bare, place, fmt.Sprintf(format, args...)))
	}
	switch {
	case fn.bare == "" || strings.ContainsFunc(fn.bare, control) || len(fn.bare) > 200:
		fail("a name has 1 to 200 characters and no control characters")
	case null:
		fail("the function is nil")
	}
	var err error
	if fn.in, err = wire.PlanOf(in); err != nil {
		fail("the argument cannot cross: %v", err)
	}
	if fn.out, err = wire.PlanOf(out); err != nil {
		fail("the result cannot cross: %v", err)
	}
	if why := fn.out.Borrowed(); why != "" {
		fail("the result cannot cross: %s", why)
	}
	fn.name, fn.place, fn.types = pkg+"."+fn.bare, place, typesOf(in, out)
	fn.id = table.identify(fn)
	fn.result = out
	if err := table.add(fn); err != nil {
		fail("%v", err)
	}
}

func typesOf(in, out reflect.Type) string {
	return fmt.Sprintf("func(context.Context, %v) (%v, error)", in, out)
}

// caller returns the import path of the package that called Register, and where.
func caller() (pkg, place string) {
	pc := make([]uintptr, 1)
	if runtime.Callers(4, pc) == 0 {
		return "main", "unknown place"
	}
	frame, _ := runtime.CallersFrames(pc).Next()
	pkg = packageOf(frame.Function)
	if pkg != "main" && pkg == mainPath() {
		pkg = "main"
	}
	return pkg, fmt.Sprintf("%s:%d", frame.File, frame.Line)
}

// mainPath returns the import path of the program's package main. Its functions are
// main's in a program, but go test compiles it as a library: then they bear this
// path. The main package of other tests is one of go test's own making. So it is
// for package main if the tests are built with other settings than the program
// (//go:debug lines); nothing in the binary tells then that its name is main.
var mainPath = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Path
	}
	return ""
})

// packageOf cuts the import path out of a symbol's name. In it, the linker has
// escaped dots of the last element, and some other bytes, as in a URL.
func packageOf(symbol string) string {
	symbol, _, _ = strings.Cut(symbol, "[") // type arguments may hold slashes
	slash := strings.LastIndexByte(symbol, '/') + 1
	if dot := strings.IndexByte(symbol[slash:], '.'); dot >= 0 {
		symbol = symbol[:slash+dot]
	}
	if path, err := url.PathUnescape(symbol); err == nil {
		return path
	}
	return symbol
}

// identify returns what identifies a function by its name, types, and how its values are laid out. That may be a long text, which is written where the last one was: what
// is registered is paid for by every worker, before it can do anything.
func (t *functionTable) identify(fn *function) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.space = fn.out.AppendLayout(append(fn.in.AppendLayout(t.space[:0]), " -> "...))
	return wire.FuncID(fn.name, fn.types, t.space)
}

func (t *functionTable) add(fn *function) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen {
		return errors.New("xme.Init has run already, and workers would not have this function: register at package level, var f = xme.Register(…), " +
			"or in func init(); a local function or closure cannot cross")
	}
	if old := t.byName[fn.name]; old != nil {
		return fmt.Errorf("%s is registered already, at %s: give one of them another name", fn.name, old.place)
	}
	if len(t.byName) == 1<<16 {
		return errors.New("more than 65536 functions")
	}
	t.byName[fn.name] = fn
	t.byBare[fn.bare] = append(t.byBare[fn.bare], fn)
	return nil
}

// freeze orders the table and lets no more in.
func (t *functionTable) freeze() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen {
		return
	}
	t.frozen = true
	t.space = nil
	for _, fn := range t.byName {
		t.list = append(t.list, fn)
	}
	slices.SortFunc(t.list, func(a, b *function) int { return cmp.Compare(a.name, b.name) })
	for i, fn := range t.list {
		fn.index = uint16(i)
		t.ids = append(t.ids, fn.id)
	}
}

// find returns the function with the full name, or the bare name if only one has
// it.
func (t *functionTable) find(name string) (*function, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if fn := t.byName[name]; fn != nil {
		return fn, nil
	}
	switch list := t.byBare[name]; len(list) {
	case 1:
		return list[0], nil
	case 0:
		var names []string
		for n := range t.byName {
			names = append(names, n)
		}
		slices.Sort(names)
		if len(names) > 20 {
			names = append(names[:20], "…")
		}
		return nil, fmt.Errorf("no function %q is registered; there are: %s", name, strings.Join(names, ", "))
	default:
		var names []string
		for _, fn := range list {
			names = append(names, fn.name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%q is the name of several functions: use one of %s", name, strings.Join(names, ", "))
	}
}

// Lookup finds a registered function by its full name, or by its bare name if that is
// unique. It returns an error if there is no such function, if the name is ambiguous, or
// if the function has other types.
func Lookup[In, Out any](name string) (*Func[In, Out], error) {
	fn, err := table.find(name)
	if err != nil {
		return nil, fmt.Errorf("xme: Lookup: %w", err)
	}
	fu, ok := fn.handle.(*Func[In, Out])
	if !ok {
		return nil, fmt.Errorf("xme: Lookup: %s is registered at %s as %s, asked for as %s",
			fn.name, fn.place, fn.types, typesOf(reflect.TypeFor[In](), reflect.TypeFor[Out]()))
	}
	return fu, nil
}

// known returns what f stands for. It panics, on the caller's goroutine, if that is
// nothing.
func known[In, Out any](f *Func[In, Out]) *function {
	if f == nil || f.fn == nil {
		panic(unknownFunc(f == nil))
	}
	return f.fn
}

func unknownFunc(null bool) string {
	if null {
		return "xme: use of a nil *Func: assign what Register returned"
	}
	return "xme: use of a zero Func: use the *Func that Register returned"
}

// callOf names a method of f, for texts. A nil f has none: method is all of the name.
func (fn *function) callOf(method string) string {
	if fn == nil {
		return method
	}
	return fn.bare + "." + method
}

func nilContext(name string) string {
	return "xme: " + name + ": nil context: pass the one at hand, or context.Background()"
}

func nilInput(name string) string {
	return "xme: " + name + ": nil sequence: pass what yields the values, slices.Values(list), say"
}

// Name returns the function's full name.
func (f *Func[In, Out]) Name() string { return known(f).name }

// With returns a handle on the same function whose calls have these options in addition
// to those of f.
func (f *Func[In, Out]) With(o ...CallOption) *Func[In, Out] {
	fn := known(f)
	g := *f
	g.opts.with(fn, o)
	g.ways = waysOf(fn, &g.opts)
	return &g
}

// with adds options, for calls of a function, to a copy that may share ranks with another.
func (o *CallOptions) with(fn *function, more []CallOption) {
	o.On = slices.Clone(o.On)
	for i, set := range more {
		if set == nil {
			panic(fmt.Sprintf("xme: %s: option %d is nil", fn.callOf("With"), i+1))
		}
		set(o)
	}
}

// Setup is a call that every worker runs first; see Options.Setup. Its zero value runs
// nothing.
type Setup struct {
	call func(Options) (*setupCall, error)
}

// Setup makes a call of f with in for Options.Setup. The result is dropped. f must have
// no options: Open refuses them with an error that wraps errors.ErrUnsupported. The call
// has no time limit; see Options.Setup.
func (f *Func[In, Out]) Setup(in In) Setup {
	fn := known(f)
	return Setup{call: func(o Options) (*setupCall, error) {
		return newSetupCall(fn, &f.opts, o, func(dst []byte, p *wire.Parcel) ([]byte, error) { return wire.Append(f.in, dst, &in, p) })
	}}
}

// invoke is function.invoke.
func invoke[In, Out any](ctx context.Context, f *Func[In, Out], args []byte, in *wire.Parcel, dst []byte, space func(int) []byte, limit int) ([]byte, *wire.Parcel, Cause, error) {
	var arg In
	if err := wire.Decode(f.in, args, &arg, in); err != nil {
		return nil, nil, CauseEncode, fmt.Errorf("argument: %w", err)
	}
	res, err := f.f(ctx, arg)
	if err != nil {
		at, err := returned(ctx, err)
		return nil, nil, at, err
	}
	if f.out.Plan.Exact() { // an estimate must not refuse what fits
		if dst, err = room(wire.Size(f.out, &res), limit, dst, space); err != nil {
			return nil, nil, CauseEncode, err
		}
	}
	if f.out.Plan.PointerFree() { // nothing of it travels in a parcel
		body, err := wire.Append(f.out, dst, &res, nil)
		return body, nil, 0, err
	}
	return encodeResult(limit, len(dst), func(p *wire.Parcel) ([]byte, error) { return wire.Append(f.out, dst, &res, p) })
}

// returned says what it means that a function has returned an error.
func returned(ctx context.Context, err error) (Cause, error) {
	err = &tamed{err}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return CauseCancelled, err
	}
	return CauseReturned, err
}

// room returns dst with room for a result of n bytes, or other memory.
func room(n, limit int, dst []byte, space func(int) []byte) ([]byte, error) {
	if n > limit {
		return nil, tooLarge("result", n, limit)
	}
	if n >= link.SegmentBytes && space != nil {
		if mem := space(n); mem != nil {
			dst = mem
		}
	}
	return slices.Grow(dst, n), nil
}

// encodeResult has a result encoded that may hold what travels in a parcel, behind that many bytes.
func encodeResult(limit, before int, encode func(p *wire.Parcel) ([]byte, error)) ([]byte, *wire.Parcel, Cause, error) {
	out, kept := &wire.Parcel{Result: true, Most: worthEncoding(limit)}, false
	defer func() {
		if !kept {
			out.EndHeld()
			out.Close()
		}
	}()
	body, err := encode(out)
	switch {
	case err != nil:
		return nil, nil, CauseEncode, fmt.Errorf("result: %w", err)
	case len(body)-before > limit:
		return nil, nil, CauseEncode, tooLarge("result", len(body)-before, limit)
	}
	out.EndHeld() // what the task made is the caller's now
	if out.Empty() {
		return body, nil, 0, nil
	}
	kept = true
	return body, out, 0, nil
}

// worthEncoding is how far a value of limit bytes at most is encoded, so that it can be said how large it is, unless it is endless; 0: as far as
// a frame holds.
func worthEncoding(limit int) int {
	const slack = 1 << 20
	if limit > (math.MaxInt-slack)/2 {
		return 0
	}
	return 2*limit + slack
}

func tooLarge(what string, n, limit int) error {
	return fmt.Errorf("%s of %d bytes is over Options.MaxMessage (%d): raise it, send parts, or share memory", what, n, limit)
}
