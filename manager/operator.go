package manager

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"unique"
)

// Operator is who acts on a manager: a public number and a secret that proves it. Anything printed
// of one shows its number only. It crosses, with its secret, as a field of an argument or a result:
// whoever is handed it may act as it. The zero value is nobody.
//
// Operator values may be copied and compared.
type Operator struct {
	number uint32 // 0: nobody; 1: ADMIN
	// secret is behind a pointer that equal secrets share: fmt, which asks unexported fields for no method, shows the pointer. It would follow one to a
	// struct where a verb does not fit, but none to a string.
	secret unique.Handle[secret]
}

// secret is a secret of up to mostSecret bytes.
type secret string

const (
	leastSecret = 16
	mostSecret  = 64

	admin = 1
)

func newSecret(n int) secret {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: see its documentation
	return secret(b)
}

// secretBytes returns the secret; nil: it has none.
func (o Operator) secretBytes() []byte {
	if o.secret == (unique.Handle[secret]{}) {
		return nil
	}
	return []byte(o.secret.Value())
}

// secretText returns the secret, without a copy.
func (o Operator) secretText() string {
	if o.secret == (unique.Handle[secret]{}) {
		return ""
	}
	return string(o.secret.Value())
}

// Number returns the operator's public number; 0: it is nobody.
func (o Operator) Number() int { return int(o.number) }

// IsAdmin reports whether the operator claims to be the manager's ADMIN.
func (o Operator) IsAdmin() bool { return o.number == admin }

// String describes the operator by its number.
func (o Operator) String() string {
	switch o.number {
	case 0:
		return "nobody"
	case admin:
		return "ADMIN"
	}
	return "operator " + strconv.Itoa(int(o.number))
}

// Format implements [fmt.Formatter]: no verb shows the secret.
func (o Operator) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, o.String()) }

// GoString implements [fmt.GoStringer].
func (o Operator) GoString() string { return o.String() }

// LogValue implements [slog.LogValuer].
func (o Operator) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalJSON encodes only the number: an operator cannot be read back from JSON.
func (o Operator) MarshalJSON() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(o.number), 10), nil
}

// MarshalBinary encodes the operator, with its secret, for another process.
func (o Operator) MarshalBinary() ([]byte, error) {
	return append(binary.LittleEndian.AppendUint32(nil, o.number), o.secretBytes()...), nil
}

// UnmarshalBinary decodes the output of MarshalBinary.
func (o *Operator) UnmarshalBinary(b []byte) error {
	if len(b) < 4 || len(b) > 4+mostSecret {
		return errors.New("malformed operator")
	}
	*o = Operator{number: binary.LittleEndian.Uint32(b)}
	if len(b) > 4 {
		o.secret = unique.Make(secret(b[4:]))
	}
	return nil
}

// operators are those that a host knows, by the hash of their secrets.
type operators struct {
	Size   int // of a secret
	Hashes [][sha256.Size]byte
}

// alloc makes another operator. The host's mu is held.
func (l *operators) alloc() Operator {
	s := newSecret(l.Size)
	l.Hashes = append(l.Hashes, sha256.Sum256([]byte(s)))
	return Operator{number: uint32(len(l.Hashes)), secret: unique.Make(s)}
}

// check says whether an operator is who it claims to be.
func (l *operators) check(o Operator) error {
	if o.number == 0 || int(o.number) > len(l.Hashes) {
		return errorf("%v is no operator that the manager knows: %w", o, ErrNotAuthorised)
	}
	h := sha256.Sum256(o.secretBytes())
	if subtle.ConstantTimeCompare(h[:], l.Hashes[o.number-1][:]) != 1 {
		return errorf("%v presented a secret that is not its own: %w", o, ErrNotAuthorised)
	}
	return nil
}
