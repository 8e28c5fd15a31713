// Package inherit keeps the one key that the processes of a program have in common: made where the first pool is opened, handed to each worker with the
// handshake, and by it to the workers of its own pools.
package inherit

import (
	"crypto/rand"
	"sync"
)

// Size is how many bytes the key has.
const Size = 32

var (
	mu  sync.Mutex
	key [Size]byte
	has bool
)

// Key returns the key; ok says whether there is one.
func Key() (k [Size]byte, ok bool) {
	mu.Lock()
	defer mu.Unlock()
	return key, has
}

// Make returns the key, and makes it if this process has none.
func Make() [Size]byte {
	mu.Lock()
	defer mu.Unlock()
	if !has {
		_, _ = rand.Read(key[:]) // never fails: see its documentation
		has = true
	}
	return key
}

// Take takes over what a worker was handed. A process that has a key already keeps it.
func Take(k [Size]byte) {
	mu.Lock()
	defer mu.Unlock()
	if !has {
		key, has = k, true
	}
}
