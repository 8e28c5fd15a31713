package rpc

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// NewToken makes a token for a client called name. text is the client's secret, for [WithToken];
// line is what a server keeps, in a file for [LoadTokens]: the name and a hash from which the token
// cannot be found.
func NewToken(name string) (text, line string, err error) {
	if err := checkCaller(name); err != nil {
		return "", "", err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: see its documentation
	text = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := hashToken(text)
	return text, name + " " + hex.EncodeToString(hash[:]), nil
}

const tokenPrefix = "xmet1."

func hashToken(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// checkCaller says what is wrong with a caller's name.
func checkCaller(name string) error {
	if name == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
		return fmt.Errorf("rpc: %q is no name of a caller: it has 1 to 200 characters, no spaces and no #", name)
	}
	return nil
}

// Tokens holds the tokens that a server knows, read from a file by [LoadTokens]. When a call comes,
// but at most once a second, the file is checked again, and read if it has changed: a token whose
// line was removed is refused from then on. If the file cannot be read, the last state remains, and
// [Tokens.Err] returns the error. Tokens may be used by any number of servers.
type Tokens struct {
	file reloader[tokenNames]
}

// tokenNames are the callers, by the hashes of their tokens.
type tokenNames map[[sha256.Size]byte]string

// LoadTokens reads a file with lines as returned by [NewToken]; empty lines and what follows a #
// are ignored. Several lines may name the same caller, so that a token can be replaced. The error
// names the line and what is wrong with it.
func LoadTokens(file string) (*Tokens, error) {
	t := &Tokens{reloader[tokenNames]{files: []string{file}, read: func() (*tokenNames, error) { return readTokens(file) }}}
	if err := t.file.load(); err != nil {
		return nil, err
	}
	return t, nil
}

// Err returns why the file could not be read after its last change; nil: it could.
func (t *Tokens) Err() error { return t.file.err() }

func readTokens(file string) (*tokenNames, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	names := tokenNames{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("rpc: %s, line %d: want a caller's name and the hash of its token", file, n)
		}
		if err := checkCaller(fields[0]); err != nil {
			return nil, fmt.Errorf("%w (%s, line %d)", err, file, n)
		}
		hash, err := hex.DecodeString(fields[1])
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("rpc: %s, line %d: the hash of a token has %d hexadecimal digits", file, n, 2*sha256.Size)
		}
		key := [sha256.Size]byte(hash)
		if other, taken := names[key]; taken && other != fields[0] {
			return nil, fmt.Errorf("rpc: %s, line %d: %s and %s have the same token", file, n, other, fields[0])
		}
		names[key] = fields[0]
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("rpc: %s: %w", file, err)
	}
	return &names, nil
}

var errToken = errors.New("the token is not known")

// caller returns whose token it is. What is looked up is a hash, whose bytes say nothing of the token: how long that takes does not either.
func (t *Tokens) caller(text string) (string, error) {
	name, ok := (*t.file.current())[hashToken(text)]
	if !ok {
		return "", errToken
	}
	return name, nil
}
