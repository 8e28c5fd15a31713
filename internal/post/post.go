// Package post carries messages between the processes of a program: from a worker up to its driver, down to another worker, and through drivers that
// are workers themselves. A message goes to an address, which whoever listens has made up at random, and may bring descriptors along.
//
// Processes form a tree. Each learns on which link an address lies from the messages that come from there, and asks upwards for what it does not know;
// a message that nobody takes is answered by saying that its addressee is gone. When a link ends, all that lay behind it is gone, which everybody is
// told. Nothing is kept of a message, nothing is sent twice, and those of one sender to one address stay in order.
package post

import (
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme/internal/wire"
)

// Addr is who messages are for: 16 random bytes. Who knows one may write to it.
type Addr [16]byte

// Message is one message.
type Message struct {
	To, From Addr
	Body     []byte       // valid until Deliver, or Send, returns
	Parcel   *wire.Parcel // its descriptors, as items; whoever gets the message closes it
}

// Listener takes what comes for an address. Its methods must not block; they are called on goroutines that read links.
type Listener interface {
	Deliver(m Message)
	// Gone is called when an address is no more, whoever's it was.
	Gone(a Addr)
}

// ErrNoWay says that nobody has the address, as far as is known here.
var ErrNoWay = errors.New("there is no way to that address")

// Port is a link, as this package sees it.
type Port struct {
	send  func(f []byte, p *wire.Parcel) error
	up    bool // to the driver
	addrs map[Addr]struct{}
	asked int // addresses above that are noted for what came from here
}

// office is what this process knows.
var office struct {
	sync.Mutex
	listeners map[Addr]Listener
	ways      map[Addr]*Port
	ports     map[*Port]struct{}
	up        *Port
	above     map[Addr]struct{} // what was sent upwards: no worker's
}

// Frames' kinds.
const (
	kindMessage = iota
	kindGone
)

const headSize = 1 + 2*len(Addr{})

// MostBody bounds a message's body.
const MostBody = 64 << 10

func encode(kind byte, m Message) []byte {
	b := make([]byte, 0, headSize+len(m.Body))
	b = append(b, kind)
	b = append(b, m.To[:]...)
	b = append(b, m.From[:]...)
	return append(b, m.Body...)
}

// NewPort adds a link to a worker; up: to the driver, of which there is one at a time. send must not block, and takes the parcel over.
func NewPort(up bool, send func(f []byte, p *wire.Parcel) error) *Port {
	p := &Port{send: send, up: up, addrs: map[Addr]struct{}{}}
	office.Lock()
	defer office.Unlock()
	if up {
		office.up = p
		return p
	}
	if office.ports == nil {
		office.ports = map[*Port]struct{}{}
	}
	office.ports[p] = struct{}{}
	return p
}

// Close says that the link has ended.
func (p *Port) Close() {
	office.Lock()
	delete(office.ports, p)
	if office.up == p {
		office.up = nil
		clear(office.above)
	}
	lost := p.addrs
	p.addrs = map[Addr]struct{}{}
	office.Unlock()
	for a := range lost {
		spread(a, p)
	}
}

// Listen has l take what comes for a; stop ends it, and tells everybody that a is gone.
func Listen(a Addr, l Listener) (stop func()) {
	office.Lock()
	defer office.Unlock()
	if office.listeners == nil {
		office.listeners = map[Addr]Listener{}
	}
	office.listeners[a] = l
	return sync.OnceFunc(func() {
		office.Lock()
		if office.listeners[a] == l {
			delete(office.listeners, a)
		}
		office.Unlock()
		spread(a, nil)
	})
}

// Announce tells the processes above this one on which way a lies.
func Announce(a Addr) {
	office.Lock()
	up := office.up
	office.Unlock()
	if up != nil {
		_ = up.send(encode(kindMessage, Message{From: a}), nil) // without it nobody finds a
	}
}

// Send sends a message on its way. It does not block.
func Send(m Message) error { return forward(m, nil) }

// forward hands m to whoever is next; from is where it came from, nil: here.
func forward(m Message, from *Port) error {
	office.Lock()
	l := office.listeners[m.To]
	way := office.ways[m.To]
	if way == nil && office.up != from {
		way = office.up
		if l == nil && way != nil {
			noteAbove(m.To, from)
		}
	}
	office.Unlock()
	switch {
	case l != nil:
		l.Deliver(m)
		return nil
	case way == nil:
		m.Parcel.Close()
		return ErrNoWay
	}
	return way.send(encode(kindMessage, m), m.Parcel)
}

// noteAbove notes that a lies above this process, so that no worker can claim it; from is who sends there. office is locked.
func noteAbove(a Addr, from *Port) {
	if _, known := office.above[a]; known {
		return
	}
	if from != nil {
		if from.asked >= mostAddrs {
			return
		}
		from.asked++
	}
	if office.above == nil {
		office.above = map[Addr]struct{}{}
	}
	office.above[a] = struct{}{}
}

// Arrived takes the body and the parcel of a frame. An error is rubbish: the link is broken.
func (p *Port) Arrived(body []byte, parcel *wire.Parcel) error {
	if len(body) < headSize || len(body) > headSize+MostBody || body[0] > kindGone {
		parcel.Close()
		return fmt.Errorf("a post frame of %d bytes", len(body))
	}
	var m Message
	copy(m.To[:], body[1:])
	copy(m.From[:], body[1+len(Addr{}):])
	m.Body, m.Parcel = body[headSize:], parcel
	if body[0] == kindGone {
		parcel.Close()
		p.gone(m.From)
		return nil
	}
	own, err := p.learn(m.From)
	if err != nil {
		parcel.Close()
		return err
	}
	if m.To == (Addr{}) { // an announcement
		parcel.Close()
		if own && m.From != (Addr{}) {
			Announce(m.From)
		}
		return nil
	}
	to := m.To
	if err := forward(m, p); err != nil {
		return p.send(encode(kindGone, Message{From: to}), nil)
	}
	return nil
}

// mostAddrs bounds what a worker has a driver remember.
const mostAddrs = 1 << 16

// learn notes that a lies behind p; false: it is known to be somebody else's, and stays so. Who knows that one may send in its name: the process of a
// manager does, whose address its supervisor listens at.
func (p *Port) learn(a Addr) (own bool, err error) {
	office.Lock()
	defer office.Unlock()
	if _, known := p.addrs[a]; p.up || known || a == (Addr{}) {
		return true, nil
	}
	if _, above := office.above[a]; above || office.listeners[a] != nil || office.ways[a] != nil {
		return false, nil
	}
	if len(p.addrs) >= mostAddrs {
		return false, fmt.Errorf("more than %d addresses behind one worker", mostAddrs)
	}
	if office.ways == nil {
		office.ways = map[Addr]*Port{}
	}
	office.ways[a] = p
	p.addrs[a] = struct{}{}
	return true, nil
}

// gone takes word from p that an address is no more: from a worker it counts for what lies behind it only.
func (p *Port) gone(a Addr) {
	office.Lock()
	_, behind := p.addrs[a]
	delete(p.addrs, a)
	office.Unlock()
	if behind || p.up {
		spread(a, p)
	}
}

// Gone tells everybody that a is no more, though who listens goes on to.
func Gone(a Addr) { spread(a, nil) }

// spread tells everybody but from that a is no more.
func spread(a Addr, from *Port) {
	office.Lock()
	if way := office.ways[a]; way != nil {
		delete(way.addrs, a)
	}
	delete(office.ways, a)
	delete(office.above, a)
	listeners := make([]Listener, 0, len(office.listeners))
	for _, l := range office.listeners {
		listeners = append(listeners, l)
	}
	ports := make([]*Port, 0, len(office.ports)+1)
	for p := range office.ports {
		if p != from && len(p.addrs) > 0 { // others never asked
			ports = append(ports, p)
		}
	}
	if office.up != nil && office.up != from {
		ports = append(ports, office.up)
	}
	office.Unlock()
	for _, l := range listeners {
		l.Gone(a)
	}
	for _, p := range ports {
		_ = p.send(encode(kindGone, Message{From: a}), nil) // a link that fails ends by itself
	}
}
