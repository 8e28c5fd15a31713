package xme

import "context"

// sort notes which calls of f may go where: anywhere, to any worker; the short way, if they are small, as they ask for nothing and no code of the user's encodes
// or decodes them; of these, plain ones are copied as they lie.
func (f *Func[In, Out]) sort() {
	f.anywhere = len(f.opts.On) == 0 && !f.opts.Fresh && !f.opts.Service
	f.short = f.anywhere && f.opts.Timeout == 0 && f.opts.Memory == 0 && f.opts.Retries == 0 && f.in.Exact() && f.out.Exact() && !f.fn.guards
	f.plain = f.short && f.in.PointerFree() && f.out.PointerFree()
}

// callAlone is Call for one that may go the short way (see proc.Pool.CallAlone), in a pool that the caller leads: it does if it is alone there. Its memory is used again
// as it stands, and its context is watched by who waits. args is its size.
func (f *Func[In, Out]) callAlone(ctx context.Context, p *Pool, in In, args int) (Out, error) {
	a, _ := f.fn.alone.Get().(*awaited[In, Out])
	if a == nil {
		a = new(awaited[In, Out])
		a.init(ctx, p, f, in, a)
		owner := (*rowOwner)(&a.Call)
		a.row.Owner, a.row.Func, a.row.Quick = owner, f.fn.index, owner
		if f.plain {
			a.row.Quick = a
		}
		a.awaited, a.pulled, a.led, a.seeded = true, true, true, true
	}
	a.in, a.f, a.opts, a.ctx, a.on, a.args = in, f, &f.opts, ctx, p, args
	a.seed = seedOf(p.opts.Seed, looseSeeds+p.calls.Add(1))
	err := error(nil)
	if f.plain {
		a.row.Body, err = f.in.Append(appendMeta(a.small[:0], -1, a.seed), &a.in, nil)
	} else {
		err = p.encode(&a.Call)
	}
	sent, over := false, false
	if err == nil {
		sent, over = p.p.CallAlone(&a.row)
	}
	switch {
	case over:
	case err != nil:
		a.Finish(nil, err)
		a.over.wait(context.Background(), p, f.fn.index, true)
	case !sent:
		_ = submit(ctx, p, &a.Call)
		a.over.wait(context.Background(), p, f.fn.index, true)
	case !a.over.wait(ctx, p, f.fn.index, true):
		p.rows.Cancel(context.Cause(ctx), &a.row)
		a.over.wait(context.Background(), p, f.fn.index, false)
	}
	out, err := a.out, a.err
	if err == nil && !a.row.Astray && (sent || ctx.Done() == nil) { // nobody else can still look at it
		a.over = event{}
		if a.ended.Load() {
			a.ended.Store(false)
		}
		var none Out
		a.out, a.ctx, a.on = none, nil, nil
		f.fn.alone.Put(a)
	}
	return out, err
}

// EndAtOnce implements link.QuickOwner for plain calls that go the short way.
func (a *awaited[In, Out]) EndAtOnce(body []byte) {
	a.row.Body = nil
	if err := a.f.out.Decode(body, &a.out, nil); err != nil {
		a.call.end(len(body), a.resultError(err))
		return
	}
	a.over.happen(a.on)
}
