package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// ErrClosed is returned by the methods of a handle of this package that is closed, or
// that was given to a task that has ended.
var ErrClosed = xme.RegisterError("github.com/xenonmp/xme/shm.ErrClosed", errors.New("shm: closed, or its task has ended"))

// core is what all handles are: a part of a region, and how long it may be used.
type core struct {
	noCopy noCopy

	region    *region.Region
	off, size int  // bytes
	readOnly  bool // for this handle
	kept      bool // it outlives the encoding of a result
	lent      bool // another process sees to the memory while the task runs
	counted   bool // and the region was told
	second    bool // of a pipe: the other end

	parent *core  // whose life it shares; nil: it has a reference of its own
	leaves func() // called before the reference goes; nil: nothing is to be done
	stays  func() // called when a use outlives the task; nil: nothing is to be done

	state atomic.Int64                  // users, and the bits below
	idle  atomic.Pointer[chan struct{}] // closed once the reference is gone; made when somebody waits
	life  atomic.Pointer[life]          // ends when it is closed; made when somebody waits
}

// What a handle's state says beside how many use it.
const (
	closedBit = 1 << 62
	takenBit  = 1 << 61 // it is closed and without users, and somebody gives its reference back
	goneBit   = 1 << 60 // and has done so
)

func (c *core) closed() bool { return c.state.Load()&closedBit != 0 }

// life is a context that ends with a handle.
type life struct {
	ctx    context.Context //nolint:containedctx // the handle's own
	cancel context.CancelCauseFunc
}

// noCopy has go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// open makes a region and a handle on it.
func open(c *core, size int, k region.Kind) error {
	r, err := region.New(size, k, true)
	if err != nil {
		return memoryError(err)
	}
	c.region, c.size = r, size
	return nil
}

// memoryError makes what region.New returns a user's.
func memoryError(err error) error {
	if errors.Is(err, region.ErrFull) || errors.As(err, new(*link.SharedError)) {
		return fmt.Errorf("shm: %w: %w", xme.ErrMemory, err)
	}
	return fmt.Errorf("shm: %w", err)
}

// root is the handle that holds the reference.
func (c *core) root() *core {
	for c.parent != nil {
		c = c.parent
	}
	return c
}

// bytes returns the memory, or ErrClosed. It is mapped when it is first asked for. It is the caller's to
// see to that the handle stays open.
func (c *core) bytes() (mem []byte, err error) {
	if c.region != nil && !c.root().closed() {
		if all := c.region.Mapped(!c.readOnly); all != nil {
			return c.part(all), nil
		}
	}
	r, err := c.enterRoot()
	if err == nil {
		mem, err = c.mapped()
		r.unuse()
	}
	return mem, err
}

// enterRoot keeps the handle open that holds the reference, until its unuse.
func (c *core) enterRoot() (r *core, err error) {
	r = c.root()
	if c.region == nil {
		return nil, zeroError{}
	}
	if r.state.Add(1)&closedBit == 0 {
		return r, nil
	}
	r.unuse()
	return nil, ErrClosed
}

// mapped returns the memory of a handle that is open.
func (c *core) mapped() ([]byte, error) {
	all, err := c.region.Bytes(!c.readOnly)
	if err != nil {
		return nil, fmt.Errorf("shm: %w", err)
	}
	return c.part(all), nil
}

func (c *core) part(all []byte) []byte { return all[c.off : c.off+c.size : c.off+c.size] }

// hold returns the region of a handle that is open with one more reference.
func (c *core) hold() (*region.Region, error) {
	if c.region == nil {
		return nil, zeroError{}
	}
	if !c.region.RetainLive() {
		return nil, ErrClosed
	}
	if c.root().closed() { // seen after: what was open then has a reference, and so it is this region still
		c.region.Release()
		return nil, ErrClosed
	}
	return c.region, nil
}

// enter keeps the handle open until unuse.
func (c *core) enter() error {
	if c.state.Add(1)&closedBit != 0 {
		c.unuse()
		return ErrClosed
	}
	if c.region == nil {
		c.state.Add(-1)
		return zeroError{}
	}
	return nil
}

// zeroError is the error of a handle that nobody made.
type zeroError struct{}

func (zeroError) Error() string {
	return "shm: a zero value: values of this type are made by New functions, as NewMutex"
}

func (zeroError) Is(target error) bool { return target == ErrClosed }

// bound returns a context that ends with ctx, and when the handle is closed.
func (c *core) bound(ctx context.Context) (bound context.Context, stop func()) {
	bound, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(c.lifetime(), func() { cancel(ErrClosed) })
	return bound, func() {
		unhook()
		cancel(nil)
	}
}

// lifetime returns a context that ends when the handle is closed.
func (c *core) lifetime() context.Context {
	l := c.life.Load()
	if l == nil {
		l = &life{}
		l.ctx, l.cancel = context.WithCancelCause(context.Background())
		if !c.life.CompareAndSwap(nil, l) {
			l.cancel(nil)
			l = c.life.Load()
		}
	}
	if c.closed() { // who closes it meanwhile finds it
		l.cancel(ErrClosed)
	}
	return l.ctx
}

// use has f called with the memory, which stays until f has returned.
func (c *core) use(f func([]byte) error) error {
	r, err := c.enterRoot()
	if err != nil {
		return err
	}
	defer r.unuse()
	mem, err := c.mapped()
	if err != nil {
		return err
	}
	return f(mem)
}

func (c *core) unuse() {
	if c.state.Add(-1) == closedBit && c.take() {
		c.giveBack()
	}
}

// take reports whether the caller is to give the reference back: the handle is closed and nobody uses it, but
// that one may have looked in for a moment to find it closed, who then takes it.
func (c *core) take() bool { return c.state.CompareAndSwap(closedBit, closedBit|takenBit) }

// giveBack gives the reference back. The caller has taken it.
func (c *core) giveBack() {
	if c.leaves != nil {
		c.leaves()
	}
	if c.counted {
		c.region.Unlend()
	}
	c.region.Release()
	c.state.Or(goneBit)
	if idle := c.idle.Load(); idle != nil {
		close(*idle)
	}
}

// ender ends a handle with its task, or because it went along with a result.
type ender core

// End implements wire.Ender. It does not wait for uses, the last of which gives the memory back. What others wait for, who learn that the task is over,
// it gives back itself.
func (e *ender) End() (leaves bool) {
	c := (*core)(e)
	if !c.end() {
		return false
	}
	if c.leaves == nil {
		return true
	}
	c.giveBack()
	return false
}

// Leave implements wire.Ender.
func (e *ender) Leave() { (*core)(e).giveBack() }

// endNow closes the handle. If it has uses the last of them gives the memory back.
func (c *core) endNow() {
	if c.end() {
		c.giveBack()
	}
}

// end closes the handle and reports whether the caller is to give the reference back.
func (c *core) end() (taken bool) {
	if c.parent != nil || c.region == nil {
		return false
	}
	if c.state.CompareAndSwap(0, closedBit|takenBit) {
		c.endLife()
		return true
	}
	c.state.Add(1) // whose use ends meanwhile is not the last: what is said below is said before the reference goes
	users := c.state.Or(closedBit) - 1
	if users&closedBit != 0 {
		c.unuse()
		return false
	}
	if users > 0 && c.lent {
		c.region.HoldOn() // a use outlives the task
		if c.stays != nil {
			c.stays()
		}
	}
	c.endLife()
	return c.state.Add(-1) == closedBit && c.take()
}

// endLife tells those who wait by the handle that it is closed.
func (c *core) endLife() {
	if l := c.life.Load(); l != nil { // who makes one meanwhile finds it closed
		l.cancel(ErrClosed)
	}
}

func (c *core) gone() bool { return c.state.Load()&goneBit != 0 }

// close ends the handle and waits for its uses.
func (c *core) close() error {
	if c.parent != nil || c.region == nil {
		return nil
	}
	if c.endNow(); c.gone() {
		return nil
	}
	idle := make(chan struct{})
	if !c.idle.CompareAndSwap(nil, &idle) {
		idle = *c.idle.Load()
	}
	if !c.gone() { // whoever gives it back now finds that somebody waits
		<-idle
	}
	return nil
}

// retain makes d a handle of its own on what c is one on.
func (c *core) retain(d *core) error {
	r, err := c.enterRoot()
	if err != nil {
		return err
	}
	defer r.unuse()
	c.region.Hold()
	d.region, d.off, d.size, d.readOnly, d.second, d.kept = c.region, c.off, c.size, c.readOnly, c.second, true
	return nil
}

const (
	flagReadOnly = 1
	flagSecond   = 2
	flagOffset   = 4 // of what is encoded: it says where the part begins
)

func (c *core) flags() (f byte) {
	if c.readOnly {
		f |= flagReadOnly
	}
	if c.second {
		f |= flagSecond
	}
	return f
}

// append encodes a handle, by appendPart.
func (c *core) append(dst []byte, p *wire.Parcel) ([]byte, error) {
	r, err := c.hold()
	if err == nil {
		err = p.Give(r)
	}
	if err != nil {
		return dst, err
	}
	if p.Result {
		root := c.root()
		if root.lent {
			p.Lent(r)
		}
		if !root.kept {
			p.Hold((*ender)(root))
		}
	}
	return appendPart(dst, r, c.flags(), c.off, c.size), nil
}

// appendPart encodes a part of a region: its id with flags, where the part begins, unless it is at the region's begin, and how many bytes lie behind it. All of an
// array takes 13 to 18 bytes so: in a lane, a row with nothing else lies in one cache line with the word that announces it.
func appendPart(dst []byte, r *region.Region, flags byte, off, size int) []byte {
	if off > 0 {
		flags |= flagOffset
	}
	dst = r.AppendID(dst, flags)
	if off > 0 {
		dst = binary.AppendUvarint(dst, uint64(off))
	}
	return binary.AppendUvarint(dst, uint64(r.Size()-off-size))
}

// decode makes c, which is zero, a handle that was encoded. elem is what the size must
// be a multiple of, and the offset aligned to.
func (c *core) decode(src []byte, p *wire.Parcel, elem, align int) error {
	r, lent, flags, rest, err := p.RegionIn(src)
	if err != nil {
		return err
	}
	off, size, ok := parsePart(rest, flags, r.Size())
	if !ok || off%max(align, 1) != 0 || size%max(elem, 1) != 0 {
		r.Release()
		return region.ErrMalformed
	}
	c.region, c.off, c.size, c.readOnly = r, off, size, flags&flagReadOnly != 0 || r.ID().Sealed()
	c.second = flags&flagSecond != 0
	if _, err = r.Bytes(!c.readOnly); err != nil { // now: it is an argument's error, not a panic of Slice
		r.Release()
		return err
	}
	if c.readOnly {
		p.CatchFaults(true)
	}
	if c.lent = lent; lent {
		c.counted = r.Lend()
	} else {
		r.HoldOn() // what a call of a task's own gives back outlives the task
	}
	p.Hold((*ender)(c))
	return nil
}

// parsePart reads what appendPart has written behind the id of a region of so many bytes.
func parsePart(src []byte, flags byte, all int) (off, size int, ok bool) {
	if flags&^(flagReadOnly|flagSecond|flagOffset) != 0 {
		return 0, 0, false
	}
	begin, n := uint64(0), 0
	if flags&flagOffset != 0 {
		if begin, n = binary.Uvarint(src); n <= 0 || begin > uint64(all) {
			return 0, 0, false
		}
		src = src[n:]
	}
	behind, n := binary.Uvarint(src)
	if n != len(src) || n == 0 || behind > uint64(all)-begin {
		return 0, 0, false
	}
	return int(begin), all - int(begin) - int(behind), true
}
