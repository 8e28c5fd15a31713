package xme

import (
	"context"

	"github.com/xenonmp/xme/internal/wire"
)

// sort notes which calls of f may go where: anywhere, to any worker; plain ones, which ask for nothing, and whose arguments and results are small and copied as they
// lie, the short way; small ones, whatever their results, by packs; those that hand over shared memory, and ask for nothing, the short way too, but for files. What takes time to encode
// has a worker woken first.
func (f *Func[In, Out]) sort() {
	f.anywhere = len(f.opts.On) == 0 && !f.opts.Fresh && !f.opts.Service
	asksNothing := f.anywhere && f.opts.Timeout == 0 && f.opts.Memory == 0 && f.opts.Retries == 0
	f.small = asksNothing && f.in.Plan.PointerFree() && metaSize+wire.Size(f.in, new(In)) <= smallArgs
	f.plain = f.small && f.out.Plan.PointerFree()
	f.hands = asksNothing && f.in.Plan.Handles() && !f.in.Plan.Foreign() && !f.fn.guards && f.out.Plan.PointerFree()
	f.rouses = f.anywhere && !(f.hands && f.in.Plan.Quick())
}

// callAlone is Call for a plain function in a pool that the caller leads. If it is alone there it goes the short way (see proc.Pool.CallAlone): its memory is used again
// as it stands, and its context is watched by who waits.
func (f *Func[In, Out]) callAlone(ctx context.Context, p *Pool, in In) (Out, error) {
	a := f.aloneFor(ctx, p, in)
	a.row.Body, _ = wire.Append(f.in, appendMeta(a.small[:0], -1, a.seed), &a.in, nil) // no error: it is plain
	return f.runAlone(ctx, p, a)
}

// callHanding is callAlone for a function whose argument holds handles. To encode one may take long, as a view's does, or wait for a lock: so that comes before the lead
// is taken. A call that cannot go the short way goes on as it is, for handles are encoded once.
func (f *Func[In, Out]) callHanding(ctx context.Context, p *Pool, in In) (Out, error) {
	a := f.aloneFor(ctx, p, in)
	parcel := a.parcel
	if a.parcel = nil; parcel == nil {
		parcel = wire.NewParcel()
	}
	body, err := wire.Append(f.in, appendMeta(a.small[:0], -1, a.seed), &a.in, parcel)
	if err == nil && len(body)-metaSize > p.opts.MaxMessage {
		err = tooLarge("value", len(body)-metaSize, p.opts.MaxMessage)
	}
	if err != nil {
		parcel.Free()
		var none Out
		return none, a.encodeError(err)
	}
	a.row.Body, a.row.Regions = body, parcel.Regions.Take()
	a.args, a.files = len(body), len(parcel.Items)
	if a.files > 0 {
		a.row.Parcel = parcel
	} else {
		a.parcel = parcel // nothing is left in it
	}
	if a.files == 0 && p.p.LeadAlone() {
		return f.runAlone(ctx, p, a)
	}
	return f.runLong(ctx, p, a)
}

// aloneFor returns what a call is made of that goes the short way.
func (f *Func[In, Out]) aloneFor(ctx context.Context, p *Pool, in In) *awaited[In, Out] {
	a, _ := f.fn.alone.Get().(*awaited[In, Out])
	if a == nil {
		if a, _ = f.fn.awaited.Get().(*awaited[In, Out]); a == nil {
			a = new(awaited[In, Out])
		}
		a.init(ctx, p, f, in, a)
		a.row.Owner, a.row.Func, a.row.Quick = (*rowOwner)(&a.Call), f.fn.index, a
		a.awaited, a.pulled, a.seeded = true, true, true
	}
	a.in, a.f, a.opts, a.ctx, a.on = in, f, &f.opts, ctx, p
	a.seed = seedOf(p.opts.Seed, looseSeeds+p.calls.Add(1))
	return a
}

// runAlone runs a call that has been encoded. The caller leads.
func (f *Func[In, Out]) runAlone(ctx context.Context, p *Pool, a *awaited[In, Out]) (Out, error) {
	sent, over := p.p.CallAlone(&a.row)
	again := true // nobody else can still look at a
	switch {
	case over:
	case !sent:
		return f.runLong(ctx, p, a)
	case !a.over.wait(ctx, p, f.fn.index, true):
		again = false
		p.rows.Cancel(context.Cause(ctx), &a.row)
		a.over.wait(context.Background(), p, f.fn.index, false)
	default:
		again = !a.row.Astray
	}
	out, err := a.out, a.err
	if err == nil && again {
		a.over = event{}
		if a.ended.Load() {
			a.ended.Store(false)
		}
		a.ctx, a.on = nil, nil
		if !f.plain {
			var none In
			a.in = none
		}
		f.fn.alone.Put(a)
	}
	return out, err
}

// runLong runs a call that has been encoded as any other. The caller does not lead.
func (f *Func[In, Out]) runLong(ctx context.Context, p *Pool, a *awaited[In, Out]) (Out, error) {
	a.row.Quick = (*rowOwner)(&a.Call) // its context may be watched from now on
	_ = submit(ctx, p, &a.Call)
	a.over.wait(context.Background(), p, f.fn.index, a.led)
	out, err := a.out, a.err
	if err == nil && a.reusable() {
		a.parcel.Free()
		*a = awaited[In, Out]{}
		f.fn.awaited.Put(a)
	}
	return out, err
}

// EndAtOnce implements link.QuickOwner for calls that went the short way.
func (a *awaited[In, Out]) EndAtOnce(body []byte) {
	a.row.Body = nil
	if err := wire.Decode(a.f.out, body, &a.out, nil); err != nil {
		a.call.end(len(body), a.resultError(err))
		return
	}
	a.over.happen(a.on)
}
