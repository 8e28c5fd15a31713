package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/xenonmp/xme"
)

// Function is a registered function that [Serve] serves, with the executor it runs on.
type Function struct {
	name, bare string
	public     bool // the name is As's: the function's own is nobody's business
	in, out    string
	err        error // what is wrong with it

	call func(ctx context.Context, args string) (string, error)
	// stream runs the function on each of rows as it is yielded, and hands on what comes of it, by its place among those yielded.
	stream func(ctx context.Context, rows iter.Seq[string], emit func(row int, result string, err error))
}

// FunctionInfo describes a function in the result of [Client.List].
type FunctionInfo struct {
	Name   string `json:"name"`
	Input  string `json:"input"`  // the Go type of its argument
	Output string `json:"output"` // that of its result
}

// Export lets others call f. The calls run on the executor on, usually a pool, so that a handler
// that crashes costs a worker. The function is exported under its full name, and under its bare
// name if that is unique among those exported. Arguments and results are encoded by encoding/json;
// a field that In does not have is refused.
func Export[In, Out any](f *xme.Func[In, Out], on xme.Executor) Function {
	if f == nil || on == nil {
		return Function{err: errors.New("rpc: Export of a nil function, or on a nil executor")}
	}
	takes := formOf(reflect.TypeFor[In]())
	read := func(args string) (in In, err error) {
		defer recovered(&err)
		if err = takes.decode([]byte(args), &in); err != nil {
			err = &argsError{err}
		}
		return in, err
	}
	return Function{
		name: f.Name(), bare: bareName(f),
		in: reflect.TypeFor[In]().String(), out: reflect.TypeFor[Out]().String(),
		call: func(ctx context.Context, args string) (string, error) {
			in, err := read(args)
			if err != nil {
				return "", err
			}
			out, err := f.Call(ctx, on, in)
			if err != nil {
				return "", err
			}
			return textOf(out)
		},
		stream: func(ctx context.Context, rows iter.Seq[string], emit func(int, string, error)) {
			var mu sync.Mutex
			var at []int // the rows that the function has been given
			given := func(yield func(In) bool) {
				row := 0
				for args := range rows {
					in, err := read(args)
					if err != nil {
						emit(row, "", err)
					} else {
						mu.Lock()
						at = append(at, row)
						mu.Unlock()
						if !yield(in) {
							return
						}
					}
					row++
				}
			}
			for r := range f.Unordered(ctx, on, given) {
				result, err := "", r.Err
				if err == nil {
					result, err = textOf(r.Value)
				}
				mu.Lock()
				row := at[r.Index]
				mu.Unlock()
				emit(row, result, err)
			}
		},
	}
}

// As returns the function under another public name, which replaces its own.
func (f Function) As(name string) Function {
	f.name, f.bare, f.public = name, "", true
	if name == "" || len(name) > 200 || !utf8.ValidString(name) || strings.HasPrefix(name, "messages:") {
		f.err = fmt.Errorf("rpc: a function cannot be exported as %q: a name has 1 to 200 bytes of UTF-8, and another beginning than messages:, which is no function", name)
	}
	return f
}

// bareName returns the name that f was registered with, or a guess.
func bareName[In, Out any](f *xme.Func[In, Out]) string {
	name := f.Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	first := ""
	for {
		_, rest, more := strings.Cut(name, ".")
		if !more {
			return first
		}
		if first == "" {
			first = rest
		}
		if g, err := xme.Lookup[In, Out](rest); err == nil && g.Name() == f.Name() {
			return rest
		}
		name = rest
	}
}

// text makes JSON of an argument or a result.
func text(v any) (string, error) {
	b, err := json.Marshal(v)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("it is not UTF-8")
	}
	return string(b), err
}

// argsError says that the argument is not what the function takes.
type argsError struct{ err error }

func (e *argsError) Error() string { return "argument: " + e.err.Error() }
func (e *argsError) Unwrap() error { return e.err }

// functions is what a server serves, by public name.
type functions struct {
	byName map[string]*Function
	infos  []FunctionInfo // by place in the list
}

func newFunctions(list []Function) (*functions, error) {
	t := &functions{byName: map[string]*Function{}}
	bare := map[string]int{}
	list = slices.Clone(list)
	for i := range list {
		f := &list[i]
		if f.err == nil && f.call == nil {
			f.err = errors.New("rpc: a Function is made by Export")
		}
		if f.err != nil {
			return nil, f.err
		}
		if t.byName[f.name] != nil {
			return nil, fmt.Errorf("rpc: %s is exported twice: give one another name by As", f.name)
		}
		t.byName[f.name] = f
		bare[f.bare]++
		t.infos = append(t.infos, FunctionInfo{f.name, f.in, f.out})
	}
	for i := range list {
		if f := &list[i]; f.bare != "" && bare[f.bare] == 1 && t.byName[f.bare] == nil {
			t.byName[f.bare] = f
		}
	}
	return t, nil
}
