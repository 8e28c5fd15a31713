package proc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Small rows travel in lanes: memory that the driver shares with one worker each. No
// frame tells that a row has begun: the worker claims it in a word that both see, and
// what is not claimed can be taken back at once, without asking. Results are read in
// lots, by whoever waits for some of them (see await.go), else by listen.
//
// A worker gets its lane with its second row: one that runs a single row, because it
// is fresh or a service, needs none. While rows are under way in the lane none are on
// the link, and the other way round.

const (
	// laneAhead is how many rows may be under way in a lane.
	laneAhead = 1024
	// laneLot is how many results are read before their owners are told.
	laneLot = 128
)

// wakeTime is about what it takes to wake a process that sleeps on another CPU.
const wakeTime = 60 * time.Microsecond

// errNoLane says that all goes over the link.
var errNoLane = fmt.Errorf("no shared memory on this link: %w", errors.ErrUnsupported)

// lanes is what a pool has for the lanes of all its workers.
type lanes struct {
	bells [2]*sys.Bell // that of listen, and that of whoever reads for itself
	heard chan struct{}
	off   bool // there is no shared memory, or no descriptors for it
	dead  []*link.Lane
}

// byLane reports whether r is to travel in w's lane, which it may still have to get.
// p.mu is held.
func (p *Pool) byLane(w *worker, r *link.Row) bool {
	if w.lane == nil {
		return !p.lanes.off && !w.noLane && !r.Fresh && !r.Service && r.Files() == 0
	}
	return w.inLane(r)
}

// inLane reports whether r may travel in w's lane. p.mu is held.
func (w *worker) inLane(r *link.Row) bool {
	return w.lane != nil && !w.broken && r.Files() == 0 && !r.Fresh && !r.Service && w.bound == w.limitOf(r) && w.lane.Rows.Fits(r.Inline())
}

// roomInLane reports whether r may follow those that are in w's lane. p.mu is held.
func (w *worker) roomInLane(r *link.Row) bool {
	return w.flight.Len() < laneAhead && w.lane.Rows.Room(r.Inline())
}

// openLane gives w a lane if r could use it. p.mu is held.
func (p *Pool) openLane(b *batch, w *worker, r *link.Row) {
	if w.lane != nil || w.rows == 0 || p.lanes.off || w.noLane || r.Fresh || r.Service {
		return
	}
	if p.lanes.heard == nil && !p.listen() {
		return
	}
	lane, frame, err := w.proc.OpenLane(p.lanes.bells)
	if err != nil {
		w.noLane = true
		return
	}
	w.lane = lane
	w.conn.Send(frame)
	b.flush(w.conn)
	p.lanesChanged()
}

// lanesChanged makes the list that is looked at without p.mu anew. p.mu is held.
func (p *Pool) lanesChanged() {
	var list []*link.Lane
	p.laned = p.laned[:0:0]
	for w := range p.all {
		if w.lane != nil {
			p.laned = append(p.laned, w)
		}
	}
	slices.SortFunc(p.laned, func(a, b *worker) int { return cmp.Compare(a.rank, b.rank) })
	for _, w := range p.laned {
		list = append(list, w.lane)
	}
	p.laneList.Store(&list)
}

// dropLane ends the use of w's lane. p.mu is held.
func (p *Pool) dropLane(w *worker) {
	if w.lane == nil {
		return
	}
	p.lanes.dead = append(p.lanes.dead, w.lane)
	p.deadLanes.Store(true)
	w.lane = nil
	p.lanesChanged()
	p.freeLanes()
}

// freeLanes frees dead lanes, unless somebody looks at lanes without p.mu, who may have
// the list from before; it frees them then. p.mu is held.
func (p *Pool) freeLanes() {
	if len(p.lanes.dead) == 0 || p.looking.Load() > 0 {
		return
	}
	for _, l := range p.lanes.dead {
		_ = l.Close()
	}
	p.lanes.dead = nil
	p.deadLanes.Store(false)
}

// show tells w of the segment that r lies in; false: it cannot be told, for want of
// descriptors. p.mu is held.
func (p *Pool) show(b *batch, w *worker, r *link.Row) bool {
	g := r.Segment
	if g == nil || w.segments[g.ID] {
		return true
	}
	f, err := g.Frame()
	if err != nil {
		return false
	}
	if w.segments == nil {
		w.segments = map[uint64]bool{}
	}
	w.segments[g.ID] = true
	w.conn.Send(f)
	b.flush(w.conn)
	return true
}

// unmap tells the workers that a segment is used no more.
func (p *Pool) unmap(id uint64) {
	b := batch{p: p}
	p.mu.Lock()
	for _, w := range p.laned {
		if w.segments[id] {
			delete(w.segments, id)
			w.conn.Send(link.Frame{Kind: wire.KindUnmap, Call: id})
			b.flush(w.conn)
		}
	}
	p.mu.Unlock()
	b.run()
}

// Segment returns shared memory for n bytes of a row's arguments, nil if they go
// another way. It is the row's from Submit on.
func (p *Pool) Segment(n int) *link.Segment {
	if n < link.SegmentBytes || p.laneList.Load() == nil {
		return nil
	}
	return p.segments.Get(n)
}

// putInLane writes r into w's lane, for publish to show. p.mu is held.
func (p *Pool) putInLane(w *worker, r *link.Row) {
	w.flight.Put(r)
	row := ring.Row{Func: r.Func, Call: r.Call(), Body: r.Body}
	if r.Segment != nil {
		in := r.Segment.In(len(r.Body))
		row.Body, row.Flags = in[:], link.FlagSegment
	}
	if r.Timeout > 0 {
		row.Flags |= link.FlagStart
	}
	if !w.lane.Rows.Put(row) {
		panic("proc: a row sent to a lane without room")
	}
	w.unpublished = true
	if !r.Bulk {
		w.prompts++
	}
}

// left notes that r is no longer in w's lane. p.mu is held.
func (w *worker) left(r *link.Row) {
	if !r.Bulk {
		w.prompts--
	}
}

// publish lets w see what was put in its lane, wakes it if it sleeps, and sees that
// somebody will read what it answers. p.mu is held.
func (p *Pool) publish(b *batch, w *worker) {
	if !w.unpublished {
		return
	}
	w.unpublished = false
	p.setPace(w)
	if err := w.lane.Rows.Publish(); err != nil {
		w.corrupt(err)
		return
	}
	if w.lane.Asleep() {
		b.wake(w.lane)
	}
	p.watchLane(b, w)
}

// corrupt ends a worker that writes rubbish into its lane. p.mu is held.
func (w *worker) corrupt(err error) {
	if w.broken {
		return
	}
	w.broken = true
	if w.why == nil {
		w.why = fmt.Errorf("its shared memory: %w", err)
	}
	w.proc.Kill()
}

// watchLane has w's worker ring when there is enough to read, unless somebody looks
// anyway. p.mu is held.
func (p *Pool) watchLane(b *batch, w *worker) {
	if !w.viaLane || w.flight.Len() == 0 || w.broken || w.elsewhere {
		return
	}
	bell := uint8(ring.First)
	switch p.leader.Load() {
	case leaderLooks:
		return
	case leaderSleeps:
		bell = ring.Second
	case leaderNone:
	}
	if w.lane.Watch.Armed() && w.armed == bell {
		return
	}
	w.armed = bell
	w.lane.Watch.Arm(bell, w.due())
	if w.lane.Results.Ready() {
		b.look = true
	}
}

// due returns the number of the row at whose end the driver is to be woken: the next if
// somebody waits for one, else that which leaves the worker half of what it has. p.mu
// is held.
func (w *worker) due() uint32 {
	n := w.flight.Len()
	if w.prompts == 0 {
		n /= 2
	} else {
		n--
	}
	return w.lane.Rows.Number() - uint32(n)
}

// setPace tells w how to look for its next row before it sleeps: not at all where rows
// are long against waking it, without giving way where there are CPUs enough. p.mu is
// held.
func (p *Pool) setPace(w *worker) {
	busy, rows := p.busy()
	if crowd := uint64(busy)<<32 | uint64(rows); p.crowd.Load() != crowd {
		p.crowd.Store(crowd)
	}
	pace := ring.Pace{Spin: uint32(workerSpin)}
	if busy+1 > p.cpus {
		pace = ring.Pace{Spin: uint32(crowdedSpin), Yield: true}
	}
	if r := w.flight.Front(); r == nil || p.mean(r.Func) > 2*wakeTime {
		pace = ring.Pace{}
	}
	if pace != w.pace {
		w.pace = pace
		w.lane.SetPace(pace)
	}
}

// How long a worker looks for its next row: longer than its driver is likely to be kept
// from its CPU, for to be woken costs both more; where there are fewer CPUs than have
// work, and it gives way, less.
const (
	workerSpin  = 2 * wakeTime
	crowdedSpin = 20 * time.Microsecond
)

// busy returns how many workers have rows, and how many rows they have. p.mu is held.
func (p *Pool) busy() (workers, rows int) {
	for _, s := range p.seats {
		if s.w != nil && s.w.flight.Len() > 0 {
			workers++
			rows += s.w.flight.Len()
		}
	}
	for _, w := range p.extras {
		if w.flight.Len() > 0 {
			workers++
			rows += w.flight.Len()
		}
	}
	return workers, rows
}

// mean returns how long rows of a function take, 0: not known.
func (p *Pool) mean(fn uint16) time.Duration {
	if int(fn) >= len(p.means) {
		return 0
	}
	return time.Duration(p.means[fn].Load())
}

// drain reads the results that are in w's lane, up to a lot, and hands w more rows.
// It reports whether there was any. p.mu is held.
func (p *Pool) drain(b *batch, w *worker) (any bool) {
	for n := 0; w.lane != nil && !w.broken && n < laneLot; n++ {
		if w.elsewhere {
			break // that one's end comes first
		}
		res, ok, err := w.lane.Results.Next()
		if err == nil && ok {
			err = p.laneEvent(b, w, &res)
		}
		if err != nil {
			w.corrupt(err)
			break
		}
		if !ok {
			break
		}
		any = true
	}
	if !any {
		return false
	}
	if w.lane.Release() {
		b.wake(w.lane)
	}
	p.release(b.released)
	b.released = 0
	p.refill(b, w)
	return true
}

// laneEvent applies one record. p.mu is held.
func (p *Pool) laneEvent(b *batch, w *worker, res *ring.Result) error {
	if r := w.flight.Front(); r != nil && wire.Kind(res.Kind) == wire.KindResult && r.Quick != nil && r.Cancelled == nil && r.Segment == nil {
		if _, err := w.flight.Answer(res.Call); err != nil {
			return err
		}
		w.lane.Rows.Ended(1)
		w.left(r)
		p.heard(b, w, r, res.Time)
		p.stats.Done++
		b.released++
		r.Quick.EndAtOnce(res.Body)
		return nil
	}
	f := link.Frame{Kind: wire.Kind(res.Kind), Time: res.Time}
	switch f.Kind {
	case wire.KindResult, wire.KindFail:
	case wire.KindResultIn:
		in, body, err := w.resultIn(f, b.keep(res.Body))
		if err != nil {
			return err
		}
		f.Body, b.in = body, in
	case wire.KindElsewhere, wire.KindStart:
		if r := w.flight.Front(); r == nil || uint32(r.Call()) != res.Call {
			return fmt.Errorf("call %d is not the next", res.Call)
		}
		w.flight.Started()
		if f.Kind == wire.KindStart {
			w.begun(w.flight.Front())
			return nil
		}
		w.elsewhere = true
		return nil
	default:
		return fmt.Errorf("a record of %v", f.Kind)
	}
	r, err := w.flight.Answer(res.Call)
	if err != nil {
		b.dropIn()
		return err
	}
	w.lane.Rows.Ended(1)
	w.left(r)
	if f.Kind != wire.KindResultIn {
		f.Body = b.keep(res.Body)
	}
	p.answered(b, w, r, f)
	return nil
}

// endElsewhere applies the end of a row of w's lane that came on the link. p.mu is
// held.
func (p *Pool) endElsewhere(b *batch, w *worker, f link.Frame) error {
	p.drain(b, w) // up to where the lane says so
	if !w.elsewhere {
		f.Parcel.Close()
		return fmt.Errorf("%v frame for call %d, which is not said to come", f.Kind, f.Call)
	}
	if f.Kind == wire.KindResultIn {
		in, body, err := w.resultIn(f, f.Body)
		if err != nil {
			return err
		}
		b.in, f.Body, f.Parcel = in, body, nil
	}
	r, err := w.flight.Answer(uint32(f.Call))
	if err != nil {
		f.Parcel.Close()
		b.dropIn()
		return err
	}
	w.elsewhere = false
	w.lane.Rows.Ended(1)
	w.left(r)
	p.answered(b, w, r, f)
	p.refill(b, w)
	b.look = true // what came behind it
	return nil
}

// sync reads what w has sent in its lane and notes which row it runs. p.mu is held.
func (p *Pool) sync(b *batch, w *worker) {
	if !w.viaLane || w.lane == nil || w.broken {
		return
	}
	claimed, err := w.lane.Rows.Claimed()
	if err != nil {
		w.corrupt(err)
		return
	}
	before := w.flight.Len()
	for p.drainOnly(b, w) {
	}
	// Each row's end is there before the next is claimed.
	switch claimed -= before - w.flight.Len(); {
	case w.broken || w.flight.Len() == 0:
	case claimed > 1:
		w.corrupt(fmt.Errorf("%d rows claimed that have not ended", claimed))
	case claimed == 1:
		w.flight.Started()
	}
}

// drainOnly is drain, without handing out more.
func (p *Pool) drainOnly(b *batch, w *worker) bool {
	w.paused++
	defer func() { w.paused-- }()
	return p.drain(b, w)
}

// takeBack takes back what w has not claimed. The rows wait again, or end if that is
// what was wanted. p.mu is held.
func (p *Pool) takeBack(b *batch, w *worker) {
	if w.broken || w.lane == nil {
		return
	}
	n, err := w.lane.Rows.TakeBack()
	if err != nil {
		w.corrupt(err)
		return
	}
	w.unpublished = false
	p.sync(b, w)
	for _, r := range w.flight.TakeBack(n, nil) {
		w.left(r)
		p.givenBack(b, w, r)
	}
	p.settle(b)
}

// listen starts the goroutine that reads lanes while nobody reads for itself. p.mu is
// held.
func (p *Pool) listen() bool {
	for i := range p.lanes.bells {
		bell, err := sys.NewBell()
		if err != nil {
			if i > 0 {
				_ = p.lanes.bells[0].Close()
			}
			p.lanes.off = true
			return false
		}
		p.lanes.bells[i] = bell
	}
	p.lanes.heard = make(chan struct{})
	bell := p.lanes.bells[0]
	go func() {
		defer close(p.lanes.heard)
		b := batch{p: p}
		for bell.Wait() == nil {
			b.look = true
			b.run()
		}
	}()
	return true
}

// readAll reads a lot from each lane, and has the workers ring for the rest. It
// reports whether there was any. p.mu is held.
func (p *Pool) readAll(b *batch) (any bool) {
	for _, w := range p.laned {
		if w.viaLane && p.drain(b, w) {
			any = true
		}
	}
	for _, w := range p.laned {
		p.watchLane(b, w)
	}
	return any
}

// stopListening ends listen and frees what the lanes held, once all workers are gone.
func (p *Pool) stopListening() {
	p.mu.Lock()
	heard := p.lanes.heard
	p.lanes.off = true
	p.mu.Unlock()
	if heard == nil {
		return
	}
	_ = p.lanes.bells[0].Close()
	<-heard
	_ = p.lanes.bells[1].Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freeLanes()
}

// keep copies a record's body to where it stays until its owner has been told.
func (b *batch) keep(body []byte) []byte {
	if len(body) > cap(b.arena)-len(b.arena) {
		b.arena = make([]byte, 0, max(16<<10, len(body)))
	}
	n := len(b.arena)
	b.arena = append(b.arena, body...)
	return b.arena[n:len(b.arena):len(b.arena)]
}

// wake has a worker woken once p.mu is released.
func (b *batch) wake(l *link.Lane) {
	if !slices.Contains(b.lanes, l) {
		b.lanes = append(b.lanes, l)
	}
}

// cancelInLane ends a row of w's lane early: at once if it has not begun. p.mu is held.
func (p *Pool) cancelInLane(b *batch, w *worker, r *link.Row) {
	p.takeBack(b, w)
	if r.State() == link.Started {
		if f, ok := w.flight.Recall(r, wire.KindCancel); ok {
			w.conn.Send(f)
			b.flush(w.conn)
		}
		w.armGrace(r)
	}
}

// steal has an idle worker share what another has not claimed: no row waits behind a
// slow one while somebody could run it. p.mu is held.
func (p *Pool) steal(b *batch, idle *worker) {
	if p.over || !idle.ready || idle.lent {
		return
	}
	var victim *worker
	for _, w := range p.laned {
		if w.viaLane && !w.broken && w.flight.Len() > 2 && (victim == nil || w.flight.Len() > victim.flight.Len()) {
			victim = w
		}
	}
	if victim != nil {
		p.takeBack(b, victim)
	}
}
