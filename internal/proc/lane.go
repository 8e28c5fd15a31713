package proc

import (
	"cmp"
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
// A worker gets its lane with its second row, or with a big one: one that runs a single
// row, because it is fresh or a service, needs none. While rows are under way in the
// lane none are on the link, and the other way round.

const (
	// laneAhead is how many rows may be under way in a lane.
	laneAhead = 2048
	// laneLot is how many results are read before their owners are told.
	laneLot = 128
)

// wakeTime is about what it takes to wake a process that sleeps on another CPU.
const wakeTime = 60 * time.Microsecond

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
	if w.lane != nil || w.rows == 0 && r.Segment == nil || p.lanes.off || w.noLane || r.Fresh || r.Service {
		return
	}
	if !w.proc.Lanes() {
		w.noLane = true
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
	if p.leading.Load() != leadsAwake {
		p.freeLanesOfOthers()
	}
}

// freeLanesOfOthers is freeLanes for when the leader does not look: he calls it himself, sleeps, or is not there. p.mu is held.
func (p *Pool) freeLanesOfOthers() {
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
	if n < link.SegmentBytes || !p.hasLanes.Load() {
		return nil
	}
	return p.segments.Get(n)
}

// putInLane writes r into w's lane, for publish to show. p.mu is held.
func (p *Pool) putInLane(w *worker, r *link.Row) {
	r.Quiet = false
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
	busy, rows := p.busy()
	p.setPace(w, busy, rows)
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
func (p *Pool) watchLane(b *batch, w *worker) { p.watchFrom(b, w, false) }

// watchFrom is watchLane; fresh says that what was there has just been read, and that nothing needs to be by an earlier
// mark. p.mu is held.
func (p *Pool) watchFrom(b *batch, w *worker, fresh bool) {
	if !w.viaLane || w.flight.Len() == 0 || w.broken || w.elsewhere {
		return
	}
	bell := uint8(ring.First)
	switch p.leader.Load() {
	case leaderLooks:
		if p.leading.Load() != leadsNone {
			return
		}
	case leaderSleeps:
		bell = ring.Second
	case leaderNone:
	}
	due := w.due()
	if later := int32(due - w.armedAt); w.armed == bell && (later == 0 || later > 0 && !fresh) && w.lane.Watch.Armed() {
		return
	}
	w.armed, w.armedAt = bell, due
	w.lane.Watch.Arm(bell, due)
	if w.lane.Results.Ready() {
		b.look = true
	}
}

// due returns the number of the row at whose end the driver is to be woken: the next if
// somebody waits for one, else that which leaves the worker work for as long as it takes
// the driver to be awake. p.mu is held.
func (w *worker) due() uint32 {
	n := w.flight.Len()
	if w.prompts > 0 {
		return w.lane.Rows.Number() - uint32(n-1)
	}
	left := 2
	if w.later && w.ahead/uint64(2*left) >= leastWork {
		left *= 2
	}
	return w.lane.Rows.Number() - uint32(max(n/left, min(n-1, 1)))
}

// watchAll has the workers ring for a leader that is about to sleep and has read what they have answered. All are handed more
// when one rings: so the one that has least rings first, and the others only if nobody comes. p.mu is held.
func (p *Pool) watchAll(b *batch) {
	var first *worker
	for _, w := range p.laned {
		w.later = true
		if w.viaLane && w.flight.Len() > 1 && (first == nil || w.ahead < first.ahead) {
			first = w
		}
	}
	if first != nil {
		first.later = false
	}
	for _, w := range p.laned {
		p.watchFrom(b, w, true)
	}
}

// setPace tells w how to look for its next row before it sleeps: not at all where rows
// are long against waking it, without giving way where there are CPUs enough for that many
// busy workers. p.mu is held.
func (p *Pool) setPace(w *worker, busy, rows int) {
	if crowd := uint64(busy)<<32 | uint64(rows); p.crowd.Load() != crowd {
		p.crowd.Store(crowd)
	}
	pace := ring.Pace{Spin: uint32(workerSpin)}
	if busy+1 > p.cpus {
		pace = ring.Pace{Spin: uint32(crowdedSpin), Yield: true}
	}
	if fn, ok := w.flight.FrontFunc(); !ok || p.mean(fn) > 2*wakeTime {
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

// listen starts the goroutine that reads lanes while nobody reads for itself. p.mu is
// held.
func (p *Pool) listen() bool {
	for i := range p.lanes.bells {
		bell, err := sys.NewBell()
		if err == nil {
			err = bell.Listen()
		}
		if err != nil {
			for _, b := range []*sys.Bell{bell, p.lanes.bells[0]} {
				if b != nil {
					_ = b.Close()
				}
			}
			p.lanes.off = true
			p.hasLanes.Store(false)
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

// wake has a worker woken once p.mu is released.
func (b *batch) wake(l *link.Lane) {
	if !slices.Contains(b.lanes, l) {
		b.lanes = append(b.lanes, l)
	}
}
