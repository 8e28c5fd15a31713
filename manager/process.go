package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/shm"
)

// supervisor is what the process that opened a manager has of it, if the manager lives in a process of its own: it starts that process, again if it was
// asked to, and passes on to it what comes for the manager.
type supervisor struct {
	id      id
	op      Operator // ADMIN
	pool    *xme.Pool
	restart bool
	ctx     context.Context //nolint:containedctx // the manager's life
	cancel  context.CancelFunc
	stop    func() // listening
	over    chan struct{}

	keeping sync.Mutex // a snapshot is being taken

	mu    sync.Mutex
	begin hostBegin
	sent  *image         // what the process begins with that is started; nil: none is
	at    post.Addr      // of the process that runs; zero: there is none
	lived bool           // the last one was up
	up    chan struct{}  // closed once it is
	queue []post.Message // for the next process
	err   error          // why there will be none
}

// hostBegin is what the manager's process begins with.
type hostBegin struct {
	ID     id
	At     post.Addr // where it listens
	Up     post.Addr // who is told that it does
	Secret int
	Queue  int
	Image  *image // what was kept, or what it has at first

	Life    uint64             // how many there were before
	Numbers *shm.Value[uint64] // see numbers
}

// image is what a manager has, to be kept and brought back.
type image struct {
	Operators   operators
	Objects     []objectImage
	Tables      [2]tableImage
	Collections []collectionImage
	Locks       []lockImage
}

// tableImage is a table: its values, without reserved ones, and its last revision.
type tableImage struct {
	Rev      uint64
	Statuses map[string]string
	Entries  []entry
}

// collectionImage is a list or a map: Keys are a map's, encoded.
type collectionImage struct {
	Number     uint64
	Name, Type string
	Map        bool
	Keys       []string
	Items      []*stored
}

// lockImage is a lock.
type lockImage struct {
	Number     uint32
	Name       string
	Kind       int
	Epoch      uint64
	Authorised []uint32
	Writer     uint32
	Memory     lockMemory
}

// objectImage is one object.
type objectImage struct {
	Number     uint32
	Name, Type string
	Make       string   // how it was made
	Args       *payload // the same
	Value      *payload // nil: it cannot cross, and is made anew
}

// hostRow is the row that a manager's process runs as long as it lives.
var hostRow = xme.Register("host", runHost(handles))

func runHost(bool) func(context.Context, hostBegin) (struct{}, error) { return serveHost }

func serveHost(ctx context.Context, b hostBegin) (struct{}, error) {
	defer b.Image.release()
	h := bareHost(b.Secret, b.Queue)
	h.id, h.keeper, h.numbers.outside = b.ID, true, b.Numbers
	if err := h.load(ctx, b.Image, b.Life); err != nil {
		return struct{}{}, err
	}
	h.open(b.At)
	defer h.close()
	if err := post.Send(post.Message{To: b.Up, From: b.At}); err != nil {
		return struct{}{}, err
	}
	<-ctx.Done()
	return struct{}{}, nil
}

// mostTries is how often in a row a process may die before it is up.
const mostTries = 3

// mostQueued bounds who waits for a process that is being started.
const mostQueued = 1 << 12

// supervise starts a manager's process.
func supervise(ctx context.Context, o Options) (*Manager, error) {
	ops := operators{Size: o.Secret}
	op := ops.alloc()
	b, err := o.Lock.board()
	if err != nil {
		return nil, err
	}
	memory, err := newKeptMemory(o.Lock.Name, o.Lock.Kind, b)
	if err != nil {
		return nil, err
	}
	last, err := shm.NewValue[uint64](0)
	if err != nil {
		memory.close()
		return nil, errorf("%w", err)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 1})
	if err != nil {
		memory.close()
		_ = last.Close()
		return nil, errorf("start its process: %w", err)
	}
	s := &supervisor{id: newID(), op: op, pool: pool, restart: o.Restart, over: make(chan struct{}), up: make(chan struct{})}
	s.begin = hostBegin{ID: s.id, Secret: o.Secret, Queue: o.Queue, Numbers: last, Image: &image{Operators: ops, Locks: []lockImage{{Name: o.Lock.Name, Kind: int(o.Lock.Kind), Writer: admin, Memory: memory}}}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.stop = post.Listen(post.Addr(s.id), s)
	post.Announce(post.Addr(s.id))
	go s.run()
	select {
	case <-s.up:
	case <-s.over:
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), s.close())
	}
	s.mu.Lock()
	err = s.err
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	m := &Manager{id: s.id, at: remoteOf(s.id), op: op, owned: func() error {
		defer memory.close()
		return s.close()
	}}
	if memory, err = memory.retain(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	c := &lockCore{at: m.bare(), number: tableLock, name: o.Lock.Name, lockMemory: memory}
	m.lock = &Lock{c: c, op: op, seat: newSeat()}
	return m, nil
}

// run has the manager's process run until it is to run no more.
func (s *supervisor) run() {
	defer close(s.over)
	for tries := 1; ; tries++ {
		s.mu.Lock()
		b := s.begin
		s.sent = b.Image
		s.begin.Life++ // the next one's
		s.mu.Unlock()
		b.At, b.Up = post.Addr(newID()), post.Addr(newID())
		stop := post.Listen(b.Up, &upListener{s, b.At})
		_, err := hostRow.Call(s.ctx, s.pool, b)
		stop()
		if err == nil && s.ctx.Err() == nil {
			err = errors.New("it ended by itself")
		}
		s.mu.Lock()
		lived := s.lived
		s.at, s.lived = post.Addr{}, false
		s.arrived()
		if lived {
			tries = 0
		}
		// One that dies again and again before it is up would do so for ever.
		last := s.ctx.Err() != nil || !s.restart || tries == mostTries || !errors.Is(err, xme.ErrWorkerLost)
		if last {
			if s.err = ErrClosed; s.ctx.Err() == nil {
				s.err = errorf("%w: %w", ErrLost, err)
			}
		}
		queue := s.queue
		if last {
			s.queue = nil
		}
		s.mu.Unlock()
		if last {
			for _, m := range queue {
				m.Parcel.Close()
			}
		}
		post.Gone(post.Addr(s.id)) // who is connected to it hears of it
		if last {
			return
		}
	}
}

// arrived notes that nobody encodes what the process begins with any more. s.mu is held.
func (s *supervisor) arrived() {
	if s.sent != nil && s.sent != s.begin.Image { // keep has left it
		s.sent.release()
	}
	s.sent = nil
}

// upListener hears that a process is up.
type upListener struct {
	s  *supervisor
	at post.Addr
}

// Deliver implements post.Listener.
func (l *upListener) Deliver(m post.Message) {
	m.Parcel.Close()
	if m.From != l.at {
		return
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.lived = l.at, true
	s.arrived()
	select {
	case <-s.up:
	default:
		close(s.up)
	}
	for _, m := range s.queue {
		m.To = s.at
		_ = post.Send(m) // should it be gone already, so is who asked told
	}
	s.queue = nil
}

// Gone implements post.Listener.
func (l *upListener) Gone(post.Addr) {}

// Deliver implements post.Listener.
func (s *supervisor) Deliver(m post.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(m.Body) == 5 && m.Body[0] == postKeep {
		m.Parcel.Close()
		if m.From == s.at { // the manager's process, nobody else
			go s.keep(binary.LittleEndian.Uint32(m.Body[1:]))
		}
		return
	}
	if s.at != (post.Addr{}) {
		m.To = s.at
		if post.Send(m) != nil {
			go post.Gone(post.Addr(s.id))
		}
		return
	}
	if s.err != nil || len(s.queue) >= mostQueued {
		m.Parcel.Close()
		go post.Gone(post.Addr(s.id))
		return
	}
	m.Body = append([]byte(nil), m.Body...)
	s.queue = append(s.queue, m)
}

// Gone implements post.Listener.
func (s *supervisor) Gone(a post.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a == s.at {
		s.at = post.Addr{}
	}
	s.queue = slices.DeleteFunc(s.queue, func(m post.Message) bool {
		if m.From == a { // the next process would never hear that it is gone
			m.Parcel.Close()
		}
		return m.From == a
	})
}

// close ends the process.
func (s *supervisor) close() error {
	s.cancel()
	<-s.over
	remoteOf(s.id).close()
	s.mu.Lock()
	img := s.begin.Image
	s.begin.Image = &image{}
	s.mu.Unlock()
	for i := range img.Locks {
		img.Locks[i].Memory.end()
	}
	img.release()
	_ = s.begin.Numbers.Close()
	s.stop()
	return s.pool.Close()
}

// keep takes a snapshot, and tells the process so, by the number it asked under.
func (s *supervisor) keep(number uint32) {
	s.keeping.Lock() // the last one taken is the last one kept
	defer s.keeping.Unlock()
	m := &Manager{id: s.id, at: remoteOf(s.id)}
	img, err := opDump.call(s.ctx, m, s.op)
	if err != nil {
		_, _ = opKept.call(s.ctx, m, kept{s.op, number, err.Error()}) // if that fails too, the process is gone
		return
	}
	img.keep()
	s.mu.Lock()
	old := s.begin.Image
	if s.ctx.Err() == nil {
		s.begin.Image = &img
	} else { // close has taken the image, or will
		old = &img
	}
	if old == s.sent {
		old = &image{} // the process that is started has it still: see arrived
	}
	s.mu.Unlock()
	old.release()
	_, _ = opKept.call(s.ctx, m, kept{s.op, number, ""})
}

// kept tells who asked for a snapshot that it was kept.
type kept struct {
	Op     Operator
	Number uint32
	Err    string
}

var opKept = define("kept", false, func(_ context.Context, h *host, _ *caller, in kept) (struct{}, error) {
	if err := h.admin(in.Op); err != nil {
		return struct{}{}, err
	}
	h.mu.Lock()
	ch := h.keeps[in.Number]
	delete(h.keeps, in.Number)
	h.mu.Unlock()
	if ch != nil {
		ch <- in.Err
	}
	return struct{}{}, nil
})

var opKeep = define("keep", true, func(ctx context.Context, h *host, _ *caller, _ struct{}) (struct{}, error) {
	if !h.keeper {
		return struct{}{}, errorf("keep: it lives in the process that opened it, and would be lost with it: set Options.Process: %w", errors.ErrUnsupported)
	}
	if runsIn(ctx, func(o *object) bool { return h.object(o.number) == o }) {
		return struct{}{}, errorf("keep: a method of one of its objects asks, which it would wait for: %w", ErrDeadlock)
	}
	ch := make(chan string, 1)
	h.mu.Lock()
	h.lastKeep++
	n := h.lastKeep
	h.keeps[n] = ch
	h.mu.Unlock()
	err := post.Send(post.Message{To: post.Addr(h.id), From: h.at, Body: binary.LittleEndian.AppendUint32([]byte{postKeep}, n)})
	if err != nil {
		return struct{}{}, err
	}
	select {
	case text := <-ch:
		if text != "" {
			return struct{}{}, errorf("%w", errors.New(text))
		}
		return struct{}{}, nil
	case <-ctx.Done():
		h.mu.Lock()
		delete(h.keeps, n)
		h.mu.Unlock()
		return struct{}{}, ctx.Err()
	}
})

// Keep saves the current contents of a manager that lives in a process of its own, in the process
// that opened it: if the manager's process dies and Options.Restart is set, the manager comes back
// with these. Objects come back as they were if their types can cross; otherwise their constructors
// make them again. Objects for which neither is possible are gone. Calls under way come before or
// after the saving, for each object separately.
//
// The error wraps errors.ErrUnsupported if the manager lives in the process that opened it,
// ErrClosed once it is closed, and ErrLost if its process is gone. If the error is ctx's, the
// contents may have been saved nevertheless. Otherwise it says what could not be saved, and the
// contents saved last remain. A method of one of the manager's objects, for which Keep would have
// to wait, gets ErrDeadlock, as does a goroutine that uses the method's context meanwhile.
func (m *Manager) Keep(ctx context.Context) error {
	_, err := opKeep.call(ctx, m, struct{}{})
	return err
}
