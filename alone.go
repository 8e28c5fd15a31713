package xme

import (
	"context"

	"github.com/xenonmp/xme/internal/wire"
)

// ways says which calls of a function, with the same options, may go where.
type ways struct {
	anywhere bool // to any worker
	small    bool // they ask for nothing, and their arguments are small and copied as they lie
	plain    bool // the short way: small ones whose results are copied as they lie too
	hands    bool // the short way too, but for files: those that hand over shared memory, and ask for nothing
	rouses   bool // a worker is woken first, for they may take time to encode
	packs    bool // by packs: small ones whose results are small, and of a size that is known
}

func waysOf(fn *function, o *CallOptions) (w ways) {
	w.anywhere = len(o.On) == 0 && !o.Fresh && !o.Service
	asksNothing := w.anywhere && o.Timeout == 0 && o.Memory == 0 && o.Retries == 0
	w.small = asksNothing && fn.in.PointerFree() && metaSize+fn.in.Bytes() <= smallArgs
	w.plain = w.small && fn.out.PointerFree()
	w.hands = asksNothing && fn.in.Handles() && !fn.in.Foreign() && !fn.guards && fn.out.PointerFree()
	w.rouses = w.anywhere && !(w.hands && fn.in.Quick())
	w.packs = w.small && fn.out.Exact() && fn.result.Size() <= packOut
	return w
}

// awaited is a call whose end one goroutine waits for.
type awaited[In, Out any] struct {
	call call[In, Out]
	wait waiting
}

// waiting is who waits for a call.
type waiting struct {
	call   *Call
	over   event
	point  waitPoint
	parcel *wire.Parcel // an empty one, see callHanding
}

func (w *waiting) end(c *Call, _ int) {
	w.point.end()
	w.over.happen(c.on)
}

// EndAtOnce implements link.QuickOwner for calls that went the short way.
func (w *waiting) EndAtOnce(body []byte) {
	c := w.call
	c.row.Body = nil
	if err := c.value.decode(body, nil); err != nil {
		c.end(len(body), c.resultError(err))
		return
	}
	w.over.happen(c.on)
}

// callAlone is Call for a plain function in a pool that the caller leads. If it is alone there it goes the short way (see proc.Pool.CallAlone): its memory is used again
// as it stands, and its context is watched by who waits.
func callAlone[In, Out any](ctx context.Context, f *Func[In, Out], p *Pool, in In) (Out, error) {
	a := aloneFor(ctx, f, p, in)
	c := &a.call.base
	c.row.Body, _ = wire.Append(f.in, appendMeta(c.small[:0], -1, c.seed), &a.call.in, nil) // no error: it is plain
	if again, done := a.wait.runAlone(ctx, p); done {
		out, err := a.call.out, c.err
		if err == nil && again {
			f.fn.alone.Put(a)
		}
		return out, err
	}
	return runLong(ctx, f, p, a)
}

// callHanding is callAlone for a function whose argument holds handles. To encode one may take long, as a view's does, or wait for a lock: so that comes before the lead
// is taken. A call that cannot go the short way goes on as it is, for handles are encoded once.
func callHanding[In, Out any](ctx context.Context, f *Func[In, Out], p *Pool, in In) (Out, error) {
	a := aloneFor(ctx, f, p, in)
	c := &a.call.base
	parcel := a.wait.parcel
	if a.wait.parcel = nil; parcel == nil {
		parcel = wire.NewParcel()
	}
	body, err := wire.Append(f.in, appendMeta(c.small[:0], -1, c.seed), &a.call.in, parcel)
	if err = a.wait.handsOver(p, body, parcel, err); err != nil {
		var none Out
		return none, err
	}
	if c.files == 0 && p.p.LeadAlone() {
		if again, done := a.wait.runAlone(ctx, p); done {
			out, err := a.call.out, c.err
			if err == nil && again {
				var none In
				a.call.in = none
				f.fn.alone.Put(a)
			}
			return out, err
		}
	}
	return runLong(ctx, f, p, a)
}

// handsOver gives the call's row its arguments, which have been encoded with what lies in the parcel, unless that failed.
func (w *waiting) handsOver(p *Pool, body []byte, parcel *wire.Parcel, err error) error {
	if err == nil && len(body)-metaSize > p.opts.MaxMessage {
		err = tooLarge("value", len(body)-metaSize, p.opts.MaxMessage)
	}
	c := w.call
	if err != nil {
		parcel.Free()
		return c.encodeError(err)
	}
	c.row.Body, c.row.Regions = body, parcel.Regions.Take()
	c.args, c.files = len(body), len(parcel.Items)
	if c.files > 0 {
		c.row.Parcel = parcel
	} else {
		w.parcel = parcel // nothing is left in it
	}
	return nil
}

// aloneFor returns what a call is made of that goes the short way.
func aloneFor[In, Out any](ctx context.Context, f *Func[In, Out], p *Pool, in In) *awaited[In, Out] {
	a, _ := f.fn.alone.Get().(*awaited[In, Out])
	if a == nil {
		if a, _ = f.fn.awaited.Get().(*awaited[In, Out]); a == nil {
			a = new(awaited[In, Out])
		}
		initCall(&a.call, ctx, p, f, in, &a.wait)
		a.wait.prepare(&a.call.base)
	}
	a.call.in, a.call.f = in, f
	c := &a.call.base
	c.opts, c.ctx, c.on = &f.opts, ctx, p
	c.seed = seedOf(p.opts.Seed, looseSeeds+p.calls.Add(1))
	return a
}

// prepare makes c, which w waits for, one that goes the short way.
func (w *waiting) prepare(c *Call) {
	w.call = c
	c.row.Owner, c.row.Func, c.row.Quick = (*rowOwner)(c), c.fn.index, w
	c.awaited, c.pulled, c.seeded = true, true, true
}

// runAlone runs a call that has been encoded, if it can go the short way: done says so. The caller leads, and does not afterwards. again says that the call may be used
// again: nobody else can still look at it.
func (w *waiting) runAlone(ctx context.Context, p *Pool) (again, done bool) {
	c := w.call
	sent, over := p.p.CallAlone(&c.row)
	again = true
	switch {
	case over:
	case !sent:
		return false, false
	case !w.over.wait(ctx, p, c.fn.index, true):
		again = false
		p.rows.Cancel(context.Cause(ctx), &c.row)
		w.over.wait(context.Background(), p, c.fn.index, false)
	default:
		again = !c.row.Astray
	}
	if c.err == nil && again {
		w.over = event{}
		if c.ended.Load() {
			c.ended.Store(false)
		}
		c.ctx, c.on = nil, nil
	}
	return again, true
}

// runLong runs a call that has been encoded as any other. The caller does not lead.
func runLong[In, Out any](ctx context.Context, f *Func[In, Out], p *Pool, a *awaited[In, Out]) (Out, error) {
	a.wait.runLong(ctx, p)
	out, err := a.call.out, a.call.base.err
	if err == nil && a.call.base.reusable() {
		a.wait.parcel.Free()
		*a = awaited[In, Out]{}
		f.fn.awaited.Put(a)
	}
	return out, err
}

func (w *waiting) runLong(ctx context.Context, p *Pool) {
	c := w.call
	c.row.Quick = (*rowOwner)(c) // its context may be watched from now on
	_ = submit(ctx, p, c)
	w.over.wait(context.Background(), p, c.fn.index, c.led)
}
