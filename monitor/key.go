package monitor

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unique"

	"github.com/xenonmp/xme/internal/inherit"
	"github.com/xenonmp/xme/internal/wire"
)

// Key is what messages are sealed and opened with: 32 random bytes. Anything printed of one shows
// only its ID; [Key.Text] returns the secret itself. It crosses, with its secret, as a field of an
// argument or a result. The zero value is no key.
//
// Key values may be copied and compared.
type Key struct {
	// secret is behind a pointer that equal secrets share: no verb of fmt follows it.
	secret unique.Handle[secret]
}

// secret is the bytes of a key.
type secret string

const (
	keySize   = inherit.Size
	keyPrefix = "xme1."
	idSize    = 8
)

// keyID tells keys apart without telling of them.
type keyID [idSize]byte

// NewKey makes a key.
func NewKey() Key {
	var b [keySize]byte
	_, _ = rand.Read(b[:]) // never fails: see its documentation
	return keyOf(b[:])
}

func keyOf(b []byte) Key { return Key{unique.Make(secret(b))} }

// ParseKey parses the output of [Key.Text], ignoring space around it. The error wraps ErrKey and
// does not show the text.
func ParseKey(text string) (Key, error) {
	b, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(b)
	if !ok || err != nil || len(raw) != keySize {
		return Key{}, fmt.Errorf("%w: the text is not that of a key, %s and 43 characters: make one with monitor.NewKey or `xme message key`", ErrKey, keyPrefix)
	}
	return keyOf(raw), nil
}

// Text returns the key as text, including the secret; empty: it is no key.
func (k Key) Text() string {
	if k == (Key{}) {
		return ""
	}
	return keyPrefix + base64.RawURLEncoding.EncodeToString(k.bytes())
}

// ID returns the hexadecimal ID by which messages name the key; empty: it is no key.
func (k Key) ID() string {
	if k == (Key{}) {
		return ""
	}
	id := k.id()
	return hex.EncodeToString(id[:])
}

func (k Key) bytes() []byte { return []byte(k.secret.Value()) }

func (k Key) id() (id keyID) {
	copy(id[:], derive(k, nil, "xme key id 1", idSize))
	return id
}

// derive is HKDF-SHA-256 of a key.
func derive(k Key, salt []byte, label string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k.bytes(), salt, label, n)
	if err != nil {
		panic("monitor: " + err.Error()) // n is far below HKDF's bound
	}
	return b
}

// String describes the key by its ID.
func (k Key) String() string {
	if k == (Key{}) {
		return "no key"
	}
	return "key " + k.ID()
}

// Format implements [fmt.Formatter]: no verb shows the secret.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// GoString implements [fmt.GoStringer].
func (k Key) GoString() string { return k.String() }

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON encodes only the ID: a key cannot be read back from JSON.
func (k Key) MarshalJSON() ([]byte, error) { return []byte(`"` + k.ID() + `"`), nil }

// Keys holds keys to seal and open messages with. Keys do not change, may be used concurrently, and
// cross as a [Key] does.
type Keys struct {
	all []Key // the first seals
}

// NewKeys returns Keys that seal with the first key and open what any of them has sealed.
func NewKeys(first Key, more ...Key) *Keys {
	return &Keys{append([]Key{first}, more...)}
}

// String describes the keys by their IDs.
func (k *Keys) String() string {
	if k == nil {
		return "the inherited key"
	}
	return fmt.Sprint(k.all)
}

// Format implements [fmt.Formatter]: no verb shows the secrets.
func (k *Keys) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalJSON encodes only the IDs.
func (k *Keys) MarshalJSON() ([]byte, error) { return []byte(`"` + k.String() + `"`), nil }

// usable returns the keys: nil stands for the one that this process has inherited.
func (k *Keys) usable() ([]Key, error) {
	if k == nil {
		b, ok := inherit.Key()
		if !ok {
			return nil, fmt.Errorf("%w: none was given, and this program has none in common: make one with monitor.NewKey or `xme message key`, "+
				"or open a pool, whose processes inherit one", ErrKey)
		}
		return []Key{keyOf(b[:])}, nil
	}
	if len(k.all) == 0 || slices.Contains(k.all, Key{}) {
		return nil, fmt.Errorf("%w: a zero Key: make one with monitor.NewKey or `xme message key`", ErrKey)
	}
	return k.all, nil
}

// find returns the key of an id.
func (k *Keys) find(id keyID) (Key, error) {
	all, err := k.usable()
	if err != nil {
		return Key{}, err
	}
	for _, one := range all {
		if one.id() == id {
			return one, nil
		}
	}
	const own = "the one that the processes of this program have in common, "
	what := ""
	if k == nil {
		what = own
	}
	return Key{}, fmt.Errorf("%w: the message is sealed with key %x; here is %s%v: whoever sealed it has its text to give", ErrKey, id, what, all)
}

func (k *Keys) encode() (b []byte) {
	for _, one := range k.all {
		b = append(b, one.bytes()...)
	}
	return b
}

func decodeKeys(b []byte) (*Keys, error) {
	if len(b) == 0 || len(b)%keySize != 0 {
		return nil, errors.New("monitor: malformed keys")
	}
	k := &Keys{}
	for one := range slices.Chunk(b, keySize) {
		k.all = append(k.all, keyOf(one))
	}
	return k, nil
}

func init() {
	wire.RegisterHandle(wire.Handle[Key]{
		Append: func(dst []byte, k Key, _ *wire.Parcel) ([]byte, error) {
			if k == (Key{}) {
				return dst, nil
			}
			return append(dst, k.bytes()...), nil
		},
		Decode: func(src []byte, _ *wire.Parcel) (Key, error) {
			if len(src) == 0 {
				return Key{}, nil
			}
			k, err := decodeKeys(src)
			if err != nil || len(k.all) != 1 {
				return Key{}, errors.New("monitor: malformed key")
			}
			return k.all[0], nil
		},
	})
	wire.RegisterHandle(wire.Handle[*Keys]{
		Append: func(dst []byte, k *Keys, _ *wire.Parcel) ([]byte, error) {
			if _, err := k.usable(); err != nil {
				return dst, err
			}
			return append(dst, k.encode()...), nil
		},
		Decode: func(src []byte, _ *wire.Parcel) (*Keys, error) { return decodeKeys(src) },
	})
}
