package wire_test

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/xenonmp/xme/internal/wire"
)

type (
	inner  struct{ cb func() }
	config struct {
		Name  string
		Inner inner
	}
	counter struct {
		sync.Mutex
		N int
	}
	secret struct {
		Name string
		key  []byte
	}
	point struct{ x, y int }
	shy   struct { // a pointer-free field crosses with its struct only if that is free of pointers too
		Name string
		at   point
	}
	node struct {
		Next *node
		Done chan bool
	}
	stamped struct { // inherits time.Time's marshalers, which must not hide the channel
		time.Time
		C chan int
	}
	half struct{ p *int } // declares one of the two methods only
)

func (half) MarshalBinary() ([]byte, error) { return nil, nil }

func typeError[T any](t *testing.T) *wire.TypeError {
	t.Helper()
	_, err := wire.CodecFor[T]()
	var te *wire.TypeError
	if !errors.As(err, &te) {
		t.Fatalf("%s: error is %v", reflect.TypeFor[T](), err)
	}
	return te
}

// feature: S9
// feature: U1
// feature: U2
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err                *wire.TypeError
		path, what, remedy string
	}{
		"channel":             {typeError[chan int](t), "", "chan int", "slice"},
		"function":            {typeError[func()](t), "", "func()", "xme.Register"},
		"function in field":   {typeError[config](t), "config.Inner.cb", "func()", "pass its name"},
		"behind all kinds":    {typeError[map[string][]*[2]config](t), "[][][].Inner.cb", "func()", "name"},
		"map's key":           {typeError[map[[1]chan int]int](t), "[key][]", "chan int", "slice"},
		"unnamed struct":      {typeError[struct{ A struct{ B uintptr } }](t), "A.B", "uintptr", "uint64"},
		"unsafe pointer":      {typeError[[]unsafe.Pointer](t), "[]", "unsafe.Pointer", "points at"},
		"error":               {typeError[struct{ Err error }](t), "Err", "error", "use a string"},
		"context":             {typeError[struct{ Ctx context.Context }](t), "Ctx", "context.Context", "first argument"},
		"interface":           {typeError[struct{ R io.Reader }](t), "R", "io.Reader", "concrete type"},
		"reflect.Type":        {typeError[reflect.Type](t), "", "reflect.Type", "concrete type"},
		"embedded mutex":      {typeError[counter](t), "counter.Mutex", "sync.Mutex", "package shm"},
		"pointer to a mutex":  {typeError[struct{ L *sync.RWMutex }](t), "L", "sync.RWMutex", "package shm"},
		"atomic":              {typeError[struct{ n atomic.Int64 }](t), "n", "atomic.Int64", "package shm"},
		"generic atomic":      {typeError[[]atomic.Pointer[int]](t), "[]", "atomic.Pointer[int]", "package shm"},
		"sync.Locker":         {typeError[sync.Locker](t), "", "sync.Locker", "package shm"},
		"unexported":          {typeError[secret](t), "secret.key", "[]uint8", "export it"},
		"unexported, flat":    {typeError[shy](t), "shy.at", "wire_test.point", "export it"},
		"recursive":           {typeError[[]node](t), "[].Done", "chan bool", "slice"},
		"promoted marshaler":  {typeError[stamped](t), "stamped.C", "chan int", "slice"},
		"half a marshaler":    {typeError[half](t), "half.p", "*int", "UnmarshalBinary"},
		"file by value":       {typeError[struct{ F os.File }](t), "F", "os.File", "use *os.File"},
		"file in array":       {typeError[[3]os.File](t), "[]", "os.File", "use *os.File"},
		"empty array of func": {typeError[struct{ F [0]func() }](t), "F[]", "func()", "name"},
	} {
		e := c.err
		if e.Path != c.path || !strings.Contains(e.Type, c.what) || !strings.Contains(e.Remedy, c.remedy) {
			t.Errorf("%s: path %q, type %q, remedy %q", name, e.Path, e.Type, e.Remedy)
		}
		for _, part := range []string{e.Path, e.Type, e.Reason, e.Remedy} {
			if !strings.Contains(e.Error(), part) || strings.Contains(e.Error(), "\n") {
				t.Errorf("%s: error %q", name, e)
			}
		}
		if inField := e.Path != ""; strings.Contains(e.Error(), `xme:"-"`) != inField {
			t.Errorf("%s: the tag helps for a field only: %q", name, e)
		}
	}
}

// What looks like a refusal and is none.
func TestNotRefused(t *testing.T) {
	t.Parallel()
	type noCopy struct{}
	kept(t, struct {
		_    [0]func()
		_    noCopy
		lock noCopy
		Name string
	}{Name: "n"}, true)
	type box struct {
		Name string
		At   point // its own struct is free of pointers
	}
	kept(t, box{"n", point{1, 2}}, true)
	kept(t, struct {
		a    int
		done chan int `xme:"-"`
	}{a: 3}, true)
}
