package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Identity is what two processes compare before they talk.
type Identity struct {
	Version uint32   // of the protocol
	Build   string   // of the program: BuildID
	Funcs   []string // the function table: a name and a type each, sorted
}

// Fingerprint is a hash over the function table.
func (id Identity) Fingerprint() string {
	h := sha256.New()
	for _, f := range id.Funcs {
		_ = binary.Write(h, binary.LittleEndian, uint32(len(f)))
		_, _ = io.WriteString(h, f)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Hello opens the handshake: what the driver is and what the worker shall be.
type Hello struct {
	Version     uint32
	Build       string
	Fingerprint string
	Rank        uint32
	MaxMessage  uint64
	Shared      uint64 // bytes of shared memory that the pool may use; 0: no bound
	Umask       int32  // what files that the worker makes are without; -1: what it inherited says
	Token       Token
	Key         Key // that the processes of a program have in common
}

// Token is random and this link's alone: who answers a Hello with it holds the
// descriptor that the worker inherited.
type Token [16]byte

// Key is a secret: fmt does not show it.
type Key [32]byte

// Format implements fmt.Formatter.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(secret)") }

// Refusal is a worker's answer to a Hello that does not fit it: what it is
// itself.
type Refusal struct {
	Version uint32
	Build   string
	Funcs   []string
}

// Compare reports whether a worker with identity id may serve h.
func (id Identity) Compare(h Hello) (Refusal, bool) {
	if id.Version == h.Version && id.Build == h.Build && id.Fingerprint() == h.Fingerprint {
		return Refusal{}, true
	}
	return Refusal(id), false
}

// SkewError says that driver and worker are not the same program.
type SkewError struct {
	Driver Identity
	Worker Refusal
}

func (e *SkewError) Error() string {
	d, w := e.Driver, Identity(e.Worker)
	switch {
	case d.Version != w.Version:
		return fmt.Sprintf("driver speaks protocol %d, worker protocol %d: the program's file was replaced by another version while it ran; restart the program",
			d.Version, w.Version)
	case d.Build != w.Build:
		return fmt.Sprintf("driver is build %s, worker is build %s: the program's file was replaced while it ran; restart the program", d.Build, w.Build)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "function tables differ (driver %d functions, %s; worker %d, %s)", len(d.Funcs), d.Fingerprint(), len(w.Funcs), w.Fingerprint())
	for _, f := range d.Funcs {
		if !slices.Contains(w.Funcs, f) {
			fmt.Fprintf(&b, "; only in the driver: %s", f)
			break
		}
	}
	for _, f := range w.Funcs {
		if !slices.Contains(d.Funcs, f) {
			fmt.Fprintf(&b, "; only in the worker: %s", f)
			break
		}
	}
	b.WriteString(": register every function at package level, on no condition (no flag, environment variable or file)")
	return b.String()
}

// Bounds of what a handshake may hold.
const (
	maxText  = 1 << 12
	maxFuncs = 1 << 16
)

var errHandshake = errors.New("malformed handshake")

// Append adds h's encoding to b.
func (h Hello) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.Version)
	b = appendText(b, h.Build)
	b = appendText(b, h.Fingerprint)
	b = binary.LittleEndian.AppendUint32(b, h.Rank)
	b = binary.LittleEndian.AppendUint64(b, h.MaxMessage)
	b = binary.LittleEndian.AppendUint64(b, h.Shared)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Umask))
	b = append(b, h.Token[:]...)
	return append(b, h.Key[:]...)
}

// ParseHello reads a Hello.
func ParseHello(b []byte) (Hello, error) {
	r := reader{b: b}
	h := Hello{Version: r.uint32(), Build: r.text(), Fingerprint: r.text(), Rank: r.uint32(), MaxMessage: r.uint64(), Shared: r.uint64(), Umask: int32(r.uint32())}
	copy(h.Token[:], r.take(len(h.Token)))
	copy(h.Key[:], r.take(len(h.Key)))
	if !r.done() {
		return Hello{}, errHandshake
	}
	return h, nil
}

// Append adds f's encoding to b.
func (f Refusal) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, f.Version)
	b = appendText(b, f.Build)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Funcs)))
	for _, s := range f.Funcs {
		b = appendText(b, s)
	}
	return b
}

// ParseRefusal reads a Refusal.
func ParseRefusal(b []byte) (Refusal, error) {
	r := reader{b: b}
	f := Refusal{Version: r.uint32(), Build: r.text()}
	n := r.uint32()
	if n > maxFuncs || int(n) > len(r.b)/2 {
		return Refusal{}, errHandshake
	}
	for range n {
		f.Funcs = append(f.Funcs, r.text())
	}
	if !r.done() {
		return Refusal{}, errHandshake
	}
	return f, nil
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// reader takes fixed-size fields off a slice; once short, it stays bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uint32() uint32 {
	if p := r.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if p := r.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (r *reader) text() string {
	p := r.take(2)
	if p == nil {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(p))
	if n > maxText {
		r.bad = true
		return ""
	}
	return string(r.take(n))
}

func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

// BuildID identifies the program in the executable file: a hash over the file's
// size and its first 16 KiB, where Go's linker writes its own build id (itself a
// hash of all that was built) and the system's loader finds the layout.
func BuildID(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	head := make([]byte, 16<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(head[:n], uint64(st.Size())))
	return hex.EncodeToString(sum[:8]), nil
}

// FuncID is what identifies one function of the table: its name and types as
// text, and a hash of how its values are laid out.
func FuncID(name, types string, layout []byte) string {
	sum := sha256.Sum256(layout)
	id := name + " " + types
	return id[:min(len(id), maxText-17)] + " " + hex.EncodeToString(sum[:8])
}
