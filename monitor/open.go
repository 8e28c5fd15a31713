package monitor

import (
	"container/heap"
	"fmt"
	"sync"
	"time"
)

// Opener opens what a [Sealer] with the same key and context has sealed. Its fields must not change
// once it is used; it is used by pointer, and may be used concurrently.
//
// With a Window it opens each message only once: it refuses, with ErrReplay, a message that it has
// opened before, one that was sealed longer ago than the window, and one sealed more than a minute
// ahead of this machine's clock. It remembers as many messages as Remember says. Once there are
// more, it forgets those that were sealed first, and from then on refuses messages that were not
// sealed later than they. What it remembers ends with it.
type Opener struct {
	// Keys open messages. nil: the key that processes of a pool inherit.
	Keys *Keys
	// Context is what messages are for, as given by the sealer.
	Context string
	// Limit bounds what a message expands to, in bytes. 0: 64 MiB. No memory is taken for anything
	// above it.
	Limit int
	// Window is how long ago a message may have been sealed. 0: any time, and any number of times.
	Window time.Duration
	// Remember is how many messages are remembered. 0: 65536.
	Remember int

	mu    sync.Mutex
	seen  map[[saltSize]byte]struct{}
	order sealings
	floor uint64 // what was sealed at that time or before is refused
}

const (
	defaultRemember = 1 << 16
	ahead           = time.Minute
)

// Open opens a message and says when it was sealed. The error wraps ErrKey, ErrMalformed,
// ErrTampered, ErrReplay or ErrTooLarge. A message that it has returned counts as opened, whatever
// is then done with it.
func (o *Opener) Open(sealed []byte) (plaintext []byte, sealedAt time.Time, err error) {
	limit, err := o.check()
	if err != nil {
		return nil, sealedAt, err
	}
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, sealedAt, err
	}
	body := sealed[headerSize:]
	switch {
	case len(body)-tagSize > limit:
		return nil, sealedAt, tooLarge("a sealed message", uint64(len(sealed)), limit)
	case h.length > uint64(limit):
		return nil, sealedAt, tooLarge("a message", h.length, limit)
	case h.flags == 0 && h.length != uint64(len(body)-tagSize):
		return nil, sealedAt, fmt.Errorf("%w: it claims %d bytes and holds %d", ErrMalformed, h.length, len(body)-tagSize)
	}
	key, err := o.Keys.find(h.key)
	if err != nil {
		return nil, sealedAt, err
	}
	if o.Window > 0 && o.knows(&h) {
		return nil, sealedAt, errSeen
	}
	aead, nonce, err := h.cipher(key)
	if err != nil {
		return nil, sealedAt, err
	}
	if plaintext, err = aead.Open(nil, nonce, body, h.authenticated(o.Context)); err != nil {
		return nil, sealedAt, ErrTampered
	}
	if h.flags&compressed != 0 {
		if plaintext, err = expand(plaintext, h.length); err != nil {
			return nil, sealedAt, err
		}
	}
	if o.Window > 0 {
		if err := o.admit(&h); err != nil {
			return nil, sealedAt, err
		}
	}
	return plaintext, h.time(), nil
}

func (o *Opener) check() (limit int, err error) {
	switch {
	case o.Window < 0:
		return 0, fmt.Errorf("monitor: Window is %v: make it more than 0, or 0 to remember nothing", o.Window)
	case o.Remember < 0:
		return 0, fmt.Errorf("monitor: Remember is %d messages: make it 1 or more, or 0 for %d", o.Remember, defaultRemember)
	}
	return limitOf(o.Limit)
}

var errSeen = fmt.Errorf("%w: it was opened before", ErrReplay)

func (o *Opener) knows(h *header) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.seen[h.salt]
	return known
}

// admit remembers a message that is authentic, or says why it is refused.
func (o *Opener) admit(h *header) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	first := uint64(max(now.Add(-o.Window).UnixMilli(), 0))
	_, known := o.seen[h.salt]
	switch {
	case known:
		return errSeen
	case h.at < first:
		return fmt.Errorf("%w: it was sealed %v ago, and the window is %v", ErrReplay, now.Sub(h.time()).Round(time.Millisecond), o.Window)
	case h.time().After(now.Add(ahead)):
		return fmt.Errorf("%w: it was sealed %v from now", ErrReplay, h.time().Sub(now).Round(time.Millisecond))
	case h.at <= o.floor:
		return fmt.Errorf("%w: it was sealed no later than messages that are remembered no more", ErrReplay)
	}
	if o.seen == nil {
		o.seen = map[[saltSize]byte]struct{}{}
	}
	o.seen[h.salt] = struct{}{}
	heap.Push(&o.order, sealing{h.at, h.salt})
	most := o.Remember
	if most == 0 {
		most = defaultRemember
	}
	for len(o.order) > most || len(o.order) > 0 && o.order[0].at < first {
		s := heap.Pop(&o.order).(sealing)
		delete(o.seen, s.salt)
		o.floor = max(o.floor, s.at)
	}
	return nil
}

// sealing is a message that was opened.
type sealing struct {
	at   uint64
	salt [saltSize]byte
}

// sealings are a heap: the one that was sealed first is first.
type sealings []sealing

func (s sealings) Len() int           { return len(s) }
func (s sealings) Less(i, j int) bool { return s[i].at < s[j].at }
func (s sealings) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sealings) Push(x any)        { *s = append(*s, x.(sealing)) }

func (s *sealings) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}
