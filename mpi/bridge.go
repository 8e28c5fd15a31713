package mpi

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/ring"
)

// Where ranks share no memory, each has a mesh of its own, and a bridge that takes what the rank puts there to the others' by post, through the driver.
//
// A ring from a to b is there twice, and the bridges see to it that it is the same: a's forwards each letter, b's puts it into b's ring, of the same size, at the
// same place. When b has read, its bridge tells a's, which frees the room there. So there is always room in b's ring, and what is on
// its way is bounded by what a ring holds.
type bridge struct {
	w     *world
	me    post.Addr
	ranks []post.Addr
	to    post.Addr // the driver
	stop  func()
	asks  atomic.Uint64 // the driver's last question; it is answered by answered
	over  atomic.Bool
	leave atomic.Bool // the rank has returned

	left  []bool               // by rank: it knows; the pump's
	out   []*ring.LetterReader // what the rank puts; the pump's
	told  []uint64             // heads that the others know; the pump's
	epoch uint64               // that the driver knows this rank to be stuck in, plus 1; the pump's
	ends  uint64               // questions answered; the pump's

	mu sync.Mutex
	in []*ring.LetterWriter // by rank, guarded by mu
	on []uint64             // up to where letters have been sent to each rank
	by map[post.Addr]int
}

// The kinds of message that go by post.
const (
	postLetter  = 1 + iota // type and comm, tag, body
	postRead               // up to where letters were read
	postEnd                // rank, how, text
	postVerdict            // text
	postAsk                // number
	postAnswer             // number, and how it is with a rank
	postStuck              // a rank is stuck
	postLeave              // to a rank, that it has returned: it tells the others, behind what it has sent
)

// Sizes of what goes by post: a letter and its header fit into one message.
const (
	bridgeAreaMost = 128 << 10
	letterHeader   = 1 + 1 + 4 + 4 + 4
)

func newAddr() (a post.Addr) {
	_, _ = rand.Read(a[:]) // never fails: see its documentation
	return a
}

// newBridge makes the mesh of one rank, and what takes letters to and from the others.
func newBridge(in joining, rank int) (*ring.Mesh, *bridge) {
	m := ring.NewMesh(alignedBytes(ring.MeshSize(in.Size, notes(in.Size), in.Area)), in.Size, notes(in.Size), in.Area, park.Waits{})
	m.Relay(rank)
	b := &bridge{
		me: in.Ranks[rank], ranks: in.Ranks, to: in.Driver, by: map[post.Addr]int{},
		out: make([]*ring.LetterReader, in.Size), told: make([]uint64, in.Size), in: make([]*ring.LetterWriter, in.Size), on: make([]uint64, in.Size), left: make([]bool, in.Size),
	}
	for r, a := range in.Ranks {
		b.by[a] = r
		if r != rank {
			b.out[r], b.in[r] = m.Reader(rank, r), m.Writer(r, rank)
		}
	}
	return m, b
}

// run begins to carry.
func (b *bridge) run(w *world) {
	b.w = w
	b.stop = post.Listen(b.me, b)
	post.Announce(b.me)
	go b.pump()
}

// Deliver implements post.Listener.
func (b *bridge) Deliver(m post.Message) {
	m.Parcel.Close()
	if len(m.Body) == 0 {
		return
	}
	w, body := b.w, m.Body[1:]
	if m.From == b.to {
		switch m.Body[0] {
		case postEnd:
			if len(body) >= 5 {
				if rank := int(binary.LittleEndian.Uint32(body)); rank < w.size {
					b.ended(rank, uint64(body[4]), string(body[5:]))
				}
			}
		case postVerdict:
			w.board.condemn(string(body))
		case postLeave:
			b.leave.Store(true)
			w.mesh.Poke(w.size)
			return
		case postAsk:
			if len(body) == 8 {
				b.asks.Store(binary.LittleEndian.Uint64(body))
				w.mesh.Poke(w.size)
			}
			return
		}
		w.mesh.Poke(w.rank)
		return
	}
	from, ok := b.by[m.From]
	if !ok || from == w.rank {
		return
	}
	switch m.Body[0] {
	case postLetter:
		if len(body) < letterHeader-1 || body[0] == 0 || len(body)-(letterHeader-1) > b.in[from].Most() {
			b.broken(from)
			return
		}
		l := ring.Letter{
			Kind: body[0], Type: binary.LittleEndian.Uint32(body[1:]), Comm: binary.LittleEndian.Uint32(body[5:]),
			Tag: int32(binary.LittleEndian.Uint32(body[9:])), Body: body[13:],
		}
		b.mu.Lock()
		ok := b.in[from].Put(&l)
		b.mu.Unlock()
		if !ok {
			b.broken(from)
		}
	case postRead:
		if len(body) != 8 {
			b.broken(from)
			return
		}
		b.read(from, binary.LittleEndian.Uint64(body))
	case postEnd:
		b.ended(from, endReturned, "")
	}
}

// ended notes that a rank has ended, the first time that it is told.
func (b *bridge) ended(rank int, how uint64, text string) {
	b.mu.Lock()
	if b.w.board.ended(rank) == nil {
		b.w.board.end(rank, how, text)
	}
	b.mu.Unlock()
	b.w.mesh.Poke(b.w.rank)
}

// broken ends a connection that says what it must not.
func (b *bridge) broken(from int) {
	b.failed(fmt.Errorf("from rank %d: %w", from, ring.ErrCorrupt))
}

// failed ends all that this rank says and hears.
func (b *bridge) failed(err error) {
	b.w.mu.Lock()
	b.w.fail(err)
	b.w.mu.Unlock()
	b.w.again.Store(true)
	b.w.mesh.Poke(b.w.rank)
	b.close()
}

// Gone implements post.Listener. Of most ranks the driver has told before.
func (b *bridge) Gone(a post.Addr) {
	if a == b.to {
		b.close()
	} else if rank, ok := b.by[a]; ok && rank != b.w.rank {
		b.gone(rank)
	}
}

// gone notes that a rank's process is no more.
func (b *bridge) gone(rank int) {
	how := uint64(endDied)
	if e := b.w.board.ended(rank); e != nil {
		if e.Why != Returned || b.w.board.left(rank) {
			return
		}
		how = endLeft
	}
	b.mu.Lock()
	b.w.board.end(rank, how, "its process is gone")
	b.mu.Unlock()
	b.w.mesh.Poke(b.w.rank)
}

func (b *bridge) close() {
	if b.over.CompareAndSwap(false, true) {
		b.w.mesh.Poke(b.w.size)
	}
}

// read frees the room of what another rank has read.
func (b *bridge) read(rank int, pos uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if head := b.w.mesh.Head(b.w.rank, rank); pos-head > b.on[rank]-head {
		return // it has not been sent as much
	}
	b.out[rank].ReleaseTo(pos)
}

// pump takes letters out of the rank's mesh, and tells what was read and how it is, until the bridge is closed.
func (b *bridge) pump() {
	w := b.w
	defer b.stop()
	for !b.over.Load() {
		if b.carry() {
			continue
		}
		w.mesh.Nap(w.size, time.Hour, func() bool { return b.over.Load() || b.due() })
	}
}

// due reports whether there is something to carry.
func (b *bridge) due() bool {
	for r, out := range b.out {
		if out != nil && (out.Ready() || b.leaves(r) || b.w.mesh.Head(r, b.w.rank) != b.told[r]) {
			return true
		}
	}
	return b.asks.Load() != b.ends || b.stuck() != 0 && b.stuck() != b.epoch
}

// leaves reports whether the rank has returned, another knows of all that it sends, and is to be told.
func (b *bridge) leaves(to int) bool {
	return to != b.w.rank && !b.left[to] && b.leave.Load() && !b.w.board.queued(b.w.rank, to)
}

// stuck returns 1 and the epoch in which the rank is stuck, 0 if it is not.
func (b *bridge) stuck() uint64 {
	n := b.w.board.ranks[b.w.rank]
	if n[noteStuck].Load() == 0 {
		return 0
	}
	return n[noteEpoch].Load() + 1
}

// carry does what is to be done, and reports whether there was anything.
func (b *bridge) carry() (some bool) {
	var l ring.Letter
	m, rank := b.w.mesh, b.w.rank
	for r, out := range b.out {
		if out == nil {
			continue
		}
		for range mostAtOnce {
			ok, err := out.Next(&l)
			if err != nil {
				b.broken(rank)
				return false
			}
			if !ok {
				break
			}
			b.mu.Lock()
			b.on[r] = out.Pos()
			b.mu.Unlock()
			body := append(make([]byte, 0, letterHeader+len(l.Body)), postLetter, l.Kind)
			body = binary.LittleEndian.AppendUint32(body, l.Type)
			body = binary.LittleEndian.AppendUint32(body, l.Comm)
			body = binary.LittleEndian.AppendUint32(body, uint32(l.Tag))
			b.send(b.ranks[r], append(body, l.Body...))
			some = true
		}
		if head := m.Head(r, rank); head != b.told[r] {
			b.told[r] = head
			b.send(b.ranks[r], binary.LittleEndian.AppendUint64([]byte{postRead}, head))
			some = true
		}
	}
	for r, a := range b.ranks {
		if b.leaves(r) && !b.out[r].Ready() { // all that was there for it has gone
			b.left[r], some = true, true
			b.send(a, []byte{postEnd})
		}
	}
	if n := b.asks.Load(); n != b.ends {
		b.ends = n
		b.send(b.to, b.answer(n))
		some = true
	}
	if s := b.stuck(); s != 0 && s != b.epoch {
		b.epoch = s
		b.send(b.to, []byte{postStuck})
		some = true
	}
	return some
}

func (b *bridge) send(to post.Addr, body []byte) {
	err := post.Send(post.Message{To: to, From: b.me, Body: body})
	if err != nil && !errors.Is(err, post.ErrNoWay) { // who is gone, the driver tells
		b.failed(fmt.Errorf("a message could not be passed on: %w", err))
	}
}

// answer tells the driver how it is with the rank.
func (b *bridge) answer(n uint64) []byte {
	w := b.w
	note := w.board.ranks[w.rank]
	body := binary.LittleEndian.AppendUint64([]byte{postAnswer}, n)
	body = binary.LittleEndian.AppendUint64(body, note[noteEpoch].Load())
	body = append(body, byte(note[noteStuck].Load()))
	body = binary.LittleEndian.AppendUint64(body, note[noteOwes].Load())
	body = binary.LittleEndian.AppendUint64(body, note[noteKnows].Load())
	for r := range w.size {
		tail := uint64(0)
		if r != w.rank {
			tail = w.mesh.Tail(w.rank, r)
		}
		body = binary.LittleEndian.AppendUint64(body, tail)
		body = binary.LittleEndian.AppendUint64(body, note[notePos+r].Load())
	}
	return append(body, getText(note[noteWaits:], waitWords)...)
}

// posted is the driver's end where ranks share no memory.
type posted struct {
	me    post.Addr
	ranks []post.Addr
	stop  func()

	answered chan struct{} // a question
	stirred  chan struct{} // by a rank that is stuck, or has ended

	mu      sync.Mutex
	asked   uint64
	answers map[int][]byte // of the last question
	ended   []uint64
	by      map[post.Addr]int
}

func newPosted(size int) *posted {
	p := &posted{me: newAddr(), answered: make(chan struct{}, 1), stirred: make(chan struct{}, 1), ended: make([]uint64, size), by: map[post.Addr]int{}, answers: map[int][]byte{}}
	for r := range size {
		p.ranks = append(p.ranks, newAddr())
		p.by[p.ranks[r]] = r
	}
	p.stop = post.Listen(p.me, p)
	return p
}

// Deliver implements post.Listener.
func (p *posted) Deliver(m post.Message) {
	m.Parcel.Close()
	rank, ok := p.by[m.From]
	if !ok || len(m.Body) == 0 {
		return
	}
	if m.Body[0] != postAnswer {
		wake(p.stirred)
		return
	}
	p.mu.Lock()
	if len(m.Body) >= answerSize(len(p.ranks)) && binary.LittleEndian.Uint64(m.Body[1:]) == p.asked {
		p.answers[rank] = append([]byte(nil), m.Body[9:]...)
	}
	p.mu.Unlock()
	wake(p.answered)
}

// Gone implements post.Listener.
func (p *posted) Gone(post.Addr) {}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func answerSize(size int) int { return 1 + 8 + 8 + 1 + 8 + 8 + 16*size }

func (p *posted) all(body []byte) {
	for _, a := range p.ranks {
		_ = post.Send(post.Message{To: a, From: p.me, Body: body}) // who is gone needs to know nothing
	}
}

func (p *posted) end(rank int, why uint64, text string) {
	p.mu.Lock()
	p.ended[rank] = why
	p.mu.Unlock()
	if why == endReturned {
		_ = post.Send(post.Message{To: p.ranks[rank], From: p.me, Body: []byte{postLeave}}) // if it is gone, the others are told that
	} else if why != endLeft { // which all are told by its link's end
		p.all(append(append(binary.LittleEndian.AppendUint32([]byte{postEnd}, uint32(rank)), byte(why)), cut(text, endWords*8)...))
	}
	wake(p.stirred)
}

func (p *posted) condemn(text string) {
	p.all(append([]byte{postVerdict}, cut(text, post.MostBody-1)...))
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

// look asks all ranks how it is with them. Those that are gone do not answer; the others do at once.
func (p *posted) look(over <-chan struct{}) ([]look, error) {
	p.mu.Lock()
	p.asked++
	clear(p.answers)
	n := p.asked
	p.mu.Unlock()
	p.all(binary.LittleEndian.AppendUint64([]byte{postAsk}, n))
	size := len(p.ranks)
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for {
		p.mu.Lock()
		all, missing := make([]look, size), 0
		for r := range all {
			all[r] = look{end: end{how: p.ended[r]}.weight(), ended: p.ended[r] != 0, dead: p.ended[r] >= endDied, tails: make([]uint64, size), read: make([]uint64, size)}
			a, ok := p.answers[r]
			if !ok {
				if !all[r].dead {
					missing++
				}
				continue
			}
			all[r].epoch, all[r].stuck, all[r].owes, all[r].knows = binary.LittleEndian.Uint64(a), a[8] == 1, binary.LittleEndian.Uint64(a[9:]), binary.LittleEndian.Uint64(a[17:])
			for o := range size {
				all[r].tails[o], all[r].read[o] = binary.LittleEndian.Uint64(a[25+16*o:]), binary.LittleEndian.Uint64(a[33+16*o:])
			}
			all[r].waits = string(a[25+16*size:])
		}
		p.mu.Unlock()
		if missing == 0 {
			return all, nil
		}
		select {
		case <-p.answered:
		case <-over:
			return nil, errNoAnswer
		case <-late.C:
			return nil, errNoAnswer
		}
	}
}

// alignedBytes is memory that begins at a multiple of 64.
func alignedBytes(n int) []byte {
	if n > math.MaxInt-64 {
		panic("mpi: too much memory")
	}
	return align64(make([]byte, n+64), n)
}
