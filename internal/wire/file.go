package wire

import (
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme/internal/sys"
)

// openFile is how *os.File crosses: its encoding is an id and the file's name; the file itself, or rather a duplicate that shares
// its offset, goes into the parcel under that id. So a file crosses only where something carries the parcel, and each id once.
var openFile = Handle[*os.File]{Append: appendFile, Decode: decodeFile}

func init() { RegisterHandle(openFile) }

func appendFile(dst []byte, f *os.File, p *Parcel) ([]byte, error) {
	switch {
	case p == nil:
		return dst, errNotCarried
	case len(p.Items)-p.mark.items >= maxFiles:
		return dst, fmt.Errorf("more than %d open files in one value", maxFiles)
	}
	dup, err := sys.Hold(f, f.Name())
	if err != nil {
		return dst, err
	}
	id := p.put(dup)
	return append(append(dst, id[:]...), f.Name()...), nil
}

func decodeFile(src []byte, p *Parcel) (*os.File, error) {
	var id [16]byte
	if len(src) < len(id) {
		return nil, errors.New("too short for an open file")
	}
	it, err := p.take([16]byte(src))
	if err != nil {
		return nil, err
	}
	// The link that received the descriptor did not know the file's name, and a file keeps the name that it was made with.
	f, err := sys.Usable(it.File, string(src[len(id):]))
	if err != nil {
		return nil, err
	}
	it.File = f
	return f, nil
}
