package monitor

import (
	"bytes"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// The format of a sealed message is described in docs/messages.md.
const (
	magic      = "XMEM"
	version    = 1
	compressed = 1 // a flag; the others are 0

	saltSize   = 32
	headerSize = len(magic) + 2 + idSize + 8 + 8 + saltSize
	tagSize    = 16
	nonceSize  = 12

	// Overhead is the most by which a sealed message is longer than what it expands to.
	Overhead = headerSize + tagSize

	defaultLimit = 64 << 20
	latest       = 253402300799999 // the last millisecond of the year 9999
)

// Sealer seals texts for those who have the key. Sealers may be copied and used concurrently.
type Sealer struct {
	// Keys are the keys, of which the first is used to seal. nil: the key that processes of a pool
	// inherit.
	Keys *Keys
	// Context is what messages are for: those who open one must give the same.
	Context string
	// Limit bounds a text, in bytes. 0: 64 MiB.
	Limit int
	// Plain turns off compression: the length of a compressed text depends on its content.
	Plain bool
}

// Header is what a sealed message says about itself to everybody. Only opening the message shows
// whether that is true.
type Header struct {
	Version    int
	Compressed bool
	KeyID      string    // in hexadecimal, as returned by Key.ID
	Length     int64     // of the text, in bytes
	SealedAt   time.Time // to the millisecond
	Sealed     int       // the length of the message itself
}

type header struct {
	flags  byte
	key    keyID
	length uint64
	at     uint64 // milliseconds since 1970
	salt   [saltSize]byte
}

func (h *header) append(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, version, h.flags)
	b = append(b, h.key[:]...)
	b = binary.BigEndian.AppendUint64(b, h.length)
	b = binary.BigEndian.AppendUint64(b, h.at)
	return append(b, h.salt[:]...)
}

func parseHeader(sealed []byte) (h header, err error) {
	switch {
	case len(sealed) < Overhead:
		return h, fmt.Errorf("%w: %d bytes are no sealed message", ErrMalformed, len(sealed))
	case string(sealed[:len(magic)]) != magic:
		return h, fmt.Errorf("%w: it is no sealed message", ErrMalformed)
	case sealed[4] != version:
		return h, fmt.Errorf("%w: a sealed message of version %d; this program knows %d", ErrMalformed, sealed[4], version)
	case sealed[5] > compressed:
		return h, fmt.Errorf("%w: a sealed message with unknown flags %#x", ErrMalformed, sealed[5])
	}
	h.flags = sealed[5]
	b := sealed[6:]
	copy(h.key[:], b)
	b = b[idSize:]
	h.length, h.at = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	copy(h.salt[:], b[16:])
	if h.at > latest || h.length > 1<<62 {
		return h, fmt.Errorf("%w: a sealed message with an impossible length or time", ErrMalformed)
	}
	return h, nil
}

func (h *header) time() time.Time { return time.UnixMilli(int64(h.at)) }

// Inspect reads the header of a sealed message, without a key. The error wraps ErrMalformed.
func Inspect(sealed []byte) (Header, error) {
	h, err := parseHeader(sealed)
	if err != nil {
		return Header{}, err
	}
	return Header{version, h.flags&compressed != 0, fmt.Sprintf("%x", h.key), int64(h.length), h.time(), len(sealed)}, nil
}

// limitOf returns a limit as it holds.
func limitOf(limit int) (int, error) {
	if limit < 0 {
		return 0, fmt.Errorf("monitor: Limit is %d bytes: make it 1 or more, or 0 for %d", limit, defaultLimit)
	}
	if limit == 0 {
		return defaultLimit, nil
	}
	return limit, nil
}

func tooLarge(what string, n uint64, limit int) error {
	return fmt.Errorf("%w: %s of %d bytes, above the limit of %d", ErrTooLarge, what, n, limit)
}

// Seal seals a text. The error wraps ErrKey or ErrTooLarge.
func (s Sealer) Seal(plaintext []byte) ([]byte, error) {
	limit, err := limitOf(s.Limit)
	if err != nil {
		return nil, err
	}
	if len(plaintext) > limit {
		return nil, tooLarge("a message", uint64(len(plaintext)), limit)
	}
	keys, err := s.Keys.usable()
	if err != nil {
		return nil, err
	}
	h := header{key: keys[0].id(), length: uint64(len(plaintext)), at: uint64(max(time.Now().UnixMilli(), 0))}
	_, _ = rand.Read(h.salt[:]) // never fails: see its documentation
	body := plaintext
	if !s.Plain {
		if c := compress(plaintext); len(c) < len(plaintext) {
			body, h.flags = c, compressed
		}
	}
	aead, nonce, err := h.cipher(keys[0])
	if err != nil {
		return nil, err
	}
	out := h.append(make([]byte, 0, Overhead+len(body)))
	return aead.Seal(out, nonce, body, h.authenticated(s.Context)), nil
}

// authenticated is what is authenticated with the ciphertext.
func (h *header) authenticated(context string) []byte {
	return append(h.append(make([]byte, 0, headerSize+len(context))), context...)
}

// cipher returns the cipher of this message alone.
func (h *header) cipher(k Key) (aead cipher.AEAD, nonce []byte, err error) {
	okm := derive(k, h.salt[:], "xme message 1", keySize+nonceSize)
	block, err := aes.NewCipher(okm[:keySize])
	if err != nil {
		return nil, nil, err
	}
	aead, err = cipher.NewGCM(block)
	return aead, okm[keySize:], err
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = w.Write(b) // to memory: it cannot fail
	_ = w.Close()
	return out.Bytes()
}

// expand is compress's other end: of what expands to exactly n bytes.
func expand(b []byte, n uint64) ([]byte, error) {
	src := bytes.NewReader(b)
	r, err := zlib.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("%w: what was compressed: %w", ErrMalformed, err)
	}
	var out bytes.Buffer
	got, err := io.Copy(&out, io.LimitReader(r, int64(n)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: what was compressed: %w", ErrMalformed, err)
	case uint64(got) != n:
		return nil, fmt.Errorf("%w: it claims to expand to %d bytes, and does not", ErrMalformed, n)
	case src.Len() > 0:
		return nil, fmt.Errorf("%w: %d bytes behind what was compressed", ErrMalformed, src.Len())
	}
	return out.Bytes(), nil
}
