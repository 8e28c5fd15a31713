package wire

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/xenonmp/xme/internal/sys"
)

// A Parcel carries what cannot cross as bytes beside an encoded value: open files now. Append fills it, the link moves its items
// to the other process, Decode empties it. Whoever makes one closes it, whatever happens. The zero value is an empty parcel. A nil
// *Parcel stands for an executor that does not carry such things. One goroutine at a time may use it.
type Parcel struct {
	Items []Item // what nobody has taken yet
	taken []Item // what Decode has handed out
	mark  int    // how many of Items (in an Append) or of taken (in a Decode) were there before
}

// An Item is one thing in a parcel.
type Item struct {
	ID   [16]byte // by which the encoded value calls it; random, so that nobody can guess at another value's items
	File *os.File // a duplicate that the parcel owns, see sys.Hold; once taken, usable
}

// maxFiles bounds the open files in one value: the kernel passes at most 253 at a time.
const maxFiles = 250

// errNotCarried is why a handle cannot cross where there is nothing to carry it.
var errNotCarried = fmt.Errorf("this executor does not carry open files: %w", errors.ErrUnsupported)

// Close closes the files that nobody took. It may be called twice, and on nil.
func (p *Parcel) Close() {
	if p == nil {
		return
	}
	p.closeFrom(0)
}

func (p *Parcel) closeFrom(n int) {
	for _, it := range p.Items[n:] {
		if it.File != nil {
			_ = sys.Release(it.File)
		}
	}
	clear(p.Items[n:])
	p.Items = p.Items[:n]
}

// Taken returns the files that Decode has handed out: who runs a task may close them when the task has ended.
func (p *Parcel) Taken() []*os.File {
	if p == nil {
		return nil
	}
	var files []*os.File
	for _, it := range p.taken {
		files = append(files, it.File)
	}
	return files
}

// put adds a file, which the parcel owns from now on, under a new id.
func (p *Parcel) put(f *os.File) (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails: see its documentation
	p.Items = append(p.Items, Item{ID: id, File: f})
	return id
}

// take hands out the item of that id. It stays in the parcel's care until the Decode has succeeded.
func (p *Parcel) take(id [16]byte) (*Item, error) {
	if p == nil {
		return nil, errNotCarried
	}
	for i, it := range p.Items {
		if it.ID == id && it.File != nil {
			p.Items = slices.Delete(p.Items, i, i+1)
			p.taken = append(p.taken, it)
			return &p.taken[len(p.taken)-1], nil
		}
	}
	return nil, fmt.Errorf("the open file %x did not come along: %w", id[:4], errNotCarried)
}

// beginAppend and endAppend enclose an Append: what a failed one put in is closed again.
func (p *Parcel) beginAppend() {
	if p != nil {
		p.mark = len(p.Items)
	}
}

func (p *Parcel) endAppend(ok bool) {
	if p != nil && !ok {
		p.closeFrom(p.mark)
	}
}

// beginDecode and endDecode enclose a Decode: what a failed one took goes back.
func (p *Parcel) beginDecode() {
	if p != nil {
		p.mark = len(p.taken)
	}
}

func (p *Parcel) endDecode(ok bool) {
	if p != nil && !ok {
		p.Items = append(p.Items, p.taken[p.mark:]...)
		clear(p.taken[p.mark:])
		p.taken = p.taken[:p.mark]
	}
}
