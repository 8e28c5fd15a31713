package region_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"unsafe"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/sys"
)

func made(t *testing.T, size int, k region.Kind, clean bool) *region.Region {
	t.Helper()
	r, err := region.New(size, k, clean)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bytesOf(t *testing.T, r *region.Region, writable bool) []byte {
	t.Helper()
	b, err := r.Bytes(writable)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestID(t *testing.T) {
	r := made(t, 10_000, region.Sealed, true)
	defer r.Release()
	id := r.ID()
	if !region.Is(id) || !id.Sealed() || id.Size() != 12288 || r.Size() != len(bytesOf(t, r, true)) {
		t.Errorf("%x: sealed %v, %d bytes", id, id.Sealed(), id.Size())
	}
	if region.Is(region.NotRegion(id)) {
		t.Error("an id of no region is one's")
	}
	var hostile region.ID
	for i := range hostile {
		hostile[i] = 0xff
	}
	if hostile.Size() != 0 {
		t.Errorf("a size of %d", hostile.Size())
	}
}

// An id that crosses with bits beside it comes back, and nothing that is cut short or too large is taken for one.
func TestIDCrosses(t *testing.T) {
	for _, size := range []int{4096, 80_000_000, 1 << 30} {
		for _, k := range []region.Kind{region.Plain, region.Sealed, region.Locks} {
			r := made(t, 1, k, false)
			id := r.ID()
			r.Release()
			binary.LittleEndian.PutUint32(id[1:], uint32(size/4096)) // as if it were so large
			for bits := range byte(32) {
				short := id.Append([]byte("x"), bits)[1:]
				got, with, rest, ok := region.ParseID(append(short, "rest"...))
				if !ok || got != id || with != bits || string(rest) != "rest" {
					t.Errorf("%x with %d: %x with %d, %q left, %t", id, bits, got, with, rest, ok)
				}
				for n := range short {
					if got, _, _, ok := region.ParseID(short[:n]); ok {
						t.Errorf("%x of %x is taken for %x", short[:n], short, got)
					}
				}
			}
		}
	}
	huge := append(binary.AppendUvarint([]byte{1}, 1<<60), make([]byte, 9)...)
	if id, _, _, ok := region.ParseID(huge); ok {
		t.Errorf("%x of %d bytes is taken", id, id.Size())
	}
}

// TestReuse gives memory to the next that wants as much, of the same kind, zeroed if asked.
func TestReuse(t *testing.T) {
	defer region.Trim()
	r := made(t, 1<<20, region.Plain, true)
	bytesOf(t, r, true)[5] = 5
	id := r.ID()
	r.Retain()
	r.Release()
	if region.Find(id) == nil {
		t.Fatal("it is lost")
	}
	r.Release()
	r.Release()
	if region.Find(id) != nil {
		t.Error("found though nobody holds it")
	}
	sealed := made(t, 1<<20, region.Sealed, true)
	defer sealed.Release()
	if sealed.ID() == id {
		t.Error("writable memory was reused for sealed")
	}
	again := made(t, 1<<20-5000, region.Plain, false)
	if again.ID() != id || bytesOf(t, again, true)[5] != 5 {
		t.Errorf("other memory, or cleared unasked")
	}
	again.Release()
	clean := made(t, 1<<20, region.Plain, true)
	if clean.ID() != id || bytesOf(t, clean, true)[5] != 0 {
		t.Error("not cleared")
	}
	clean.Keep() // another process goes on with it
	clean.Release()
	last := made(t, 1<<20, region.Plain, true)
	defer last.Release()
	if last.ID() == id {
		t.Error("memory that another process keeps was reused")
	}
}

// TestIdleIsBounded keeps no more than it may.
func TestIdleIsBounded(t *testing.T) {
	defer region.Trim()
	var all []*region.Region
	for range 70 {
		all = append(all, made(t, 1<<20, region.Plain, false))
	}
	used, _ := region.Usage()
	for _, r := range all {
		r.Release()
	}
	now, idle := region.Usage()
	if used-now != 70<<20 || idle != 64<<20 {
		t.Errorf("%d bytes given back, %d lie unused", used-now, idle)
	}
	if n := region.Trim(); n != 64<<20 {
		t.Errorf("freed %d", n)
	}
	if _, idle := region.Usage(); idle != 0 {
		t.Errorf("%d bytes lie unused", idle)
	}
}

func TestForget(t *testing.T) {
	var forgotten []region.ID
	remove := region.OnForget(func(r *region.Region) { forgotten = append(forgotten, r.ID()) })
	shown, hidden := made(t, 100, region.Plain, false), made(t, 100, region.Plain, false)
	f, err := shown.Show()
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	id := shown.ID()
	shown.Release()
	hidden.Release()
	if len(forgotten) != 0 {
		t.Error("told of what lies unused")
	}
	region.Trim()
	if len(forgotten) != 1 || forgotten[0] != id {
		t.Errorf("told of %x, want %x", forgotten, id)
	}
	made(t, 100, region.Plain, false).Release()
	remove()
	if _, idle := region.Usage(); idle != 0 {
		t.Error("the last that went left something unused")
	}
}

// TestAdopt takes over what comes with a descriptor, which may be anything.
func TestAdopt(t *testing.T) {
	defer region.Trim()
	mem, err := sys.NewShared(8192)
	if err != nil {
		t.Skip(err)
	}
	defer mem.Close()
	like := made(t, 8192, region.Plain, false)
	id := like.ID()
	id[15]++
	like.Release()
	dup := func(f *os.File) *os.File {
		t.Helper()
		d, err := sys.Duplicate(f, "again")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r, err := region.Adopt(id, dup(mem.File()))
	if err != nil {
		t.Fatal(err)
	}
	bytesOf(t, r, true)[1] = 7
	if mem.Bytes()[1] != 7 || bytesOf(t, r, false)[1] != 7 {
		t.Error("it is another memory")
	}
	same, err := region.Adopt(id, dup(mem.File()))
	if same != r || err != nil {
		t.Errorf("again: %v", err)
	}
	same.Release()
	r.Release()
	if region.Find(id) != nil {
		t.Error("it is still there")
	}

	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := region.Adopt(id, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Bytes(true); err == nil {
		t.Error("mapped a file that is no shared memory")
	}
	wrong.Release()
	if _, err := region.Adopt(region.ID{}, dup(mem.File())); !errors.Is(err, region.ErrGone) {
		t.Errorf("no id: %v", err)
	}
}

// TestContaining finds the region that memory lies in.
func TestContaining(t *testing.T) {
	r := made(t, 8192, region.Plain, false)
	b := bytesOf(t, r, true)
	ro := bytesOf(t, r, false)
	for name, tc := range map[string]struct {
		p    unsafe.Pointer
		n    int
		want bool
	}{
		"all": {unsafe.Pointer(&b[0]), 8192, true}, "end": {unsafe.Pointer(&b[8191]), 1, true}, "beyond": {unsafe.Pointer(&b[8191]), 2, false},
		"read-only": {unsafe.Pointer(&ro[100]), 10, true}, "heap": {unsafe.Pointer(new(int)), 8, false},
	} {
		got, off := region.Containing(tc.p, tc.n)
		if (got == r) != tc.want {
			t.Errorf("%s: %v at %d", name, got, off)
		}
		if got != nil {
			got.Release()
		}
	}
	at := uintptr(unsafe.Pointer(&ro[5]))
	if !region.ReadOnly(at) || region.ReadOnly(uintptr(unsafe.Pointer(&b[5]))) || region.ReadOnly(1) {
		t.Error("wrong about what is read-only")
	}
	r.Release()
	region.Trim()
	if region.ReadOnly(at) {
		t.Error("it is remembered")
	}
}

// TestBudget asks before it makes, and gives back what it was asked for.
func TestBudget(t *testing.T) {
	left := 10_000
	region.SetBudget(func(n int) error {
		if n > left {
			return errors.New("no more")
		}
		left -= n
		return nil
	})
	defer region.SetBudget(func(int) error { return nil })
	r := made(t, 8192, region.Plain, false)
	if _, err := region.New(8192, region.Plain, false); err == nil || left != 10_000-8192 {
		t.Errorf("%v, %d left", err, left)
	}
	if _, err := region.New(1<<60, region.Plain, false); !errors.Is(err, region.ErrFull) {
		t.Errorf("got %v", err)
	}
	r.Release()
	if left != 10_000 {
		t.Errorf("%d left", left)
	}
	region.Trim()
	if left != 10_000 {
		t.Errorf("%d left", left)
	}
}

func TestSet(t *testing.T) {
	var s region.Set
	s.Release()
	a, b := made(t, 1, region.Plain, false), made(t, 1, region.Plain, false)
	id := a.ID()
	for _, r := range []*region.Region{a, b, a} {
		r.Retain()
		s.Add(r)
	}
	c := s.Clone()
	a.Release()
	b.Release()
	s.Truncate(1)
	if n := s.Len(); n != 1 {
		t.Errorf("%d left", n)
	}
	taken := s.Take()
	if s.Len() != 0 || taken.Len() != 1 || c.Len() != 3 {
		t.Error("wrong number")
	}
	taken.Release()
	n := 0
	for r := range c.All() {
		if n++; r == nil {
			t.Error("nil")
		}
	}
	c.Release()
	if n != 3 || region.Find(id) != nil {
		t.Errorf("%d, or it is still held", n)
	}
	region.Trim()
}

// The region that was asked for last is found by its id as it was encoded, and no other is taken for it.
func TestFindEncoded(t *testing.T) {
	defer region.Trim()
	a, b := made(t, 1, region.Plain, false), made(t, 1, region.Plain, false)
	defer b.Release()
	at := func(r *region.Region, bits byte) []byte { return append(r.AppendID(nil, bits), "rest"...) }
	if string(at(a, 3)) != string(append(a.ID().Append(nil, 3), "rest"...)) {
		t.Errorf("%x, want %x", at(a, 3), a.ID().Append(nil, 3))
	}
	region.Find(a.ID()).Release()
	r, bits, rest := region.FindEncoded(at(a, 3))
	if r != a || bits != 3 || string(rest) != "rest" {
		t.Errorf("%p with %d, %q left; want %p with 3", r, bits, rest, a)
	}
	r.Release()
	for i := range len(a.ID().Append(nil, 0)) {
		for _, bit := range []byte{1, 4} { // of the first byte these are the id's
			other := at(a, 0)
			other[i] ^= bit
			if r, _, _ := region.FindEncoded(other); r != nil {
				t.Errorf("%x is taken for %x", other, at(a, 0))
			}
		}
		if r, _, _ := region.FindEncoded(at(a, 0)[:i]); r != nil {
			t.Errorf("%d bytes of %x are taken for it", i, at(a, 0))
		}
	}
	if r, _, _ := region.FindEncoded(at(b, 0)); r != nil {
		t.Error("another was asked for last")
	}
	a.Release()
	if r, _, _ := region.FindEncoded(at(a, 0)); r != nil {
		t.Error("found though nobody holds it")
	}
}
