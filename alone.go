package xme

import "context"

// plainMost is the size of arguments up to which a call may go the short way.
const plainMost = smallArgs - metaSize

// plainly notes whether calls of f may go to any worker, and whether the short way: they ask for nothing, and arguments and results are small and copied as they lie.
func (f *Func[In, Out]) plainly() {
	f.anywhere = len(f.opts.On) == 0 && !f.opts.Fresh && !f.opts.Service
	f.plain = f.anywhere && f.opts.Timeout == 0 && f.opts.Memory == 0 && f.opts.Retries == 0 && f.in.PointerFree() && f.in.Size(new(In)) <= plainMost && f.out.PointerFree()
}

// callAlone is Call for a plain function in a pool that the caller leads. If nothing else is in the pool the call goes the short way (see proc.Pool.CallAlone): its memory
// is used again as it stands, and its context is watched by who waits.
func (f *Func[In, Out]) callAlone(ctx context.Context, p *Pool, in In) (Out, error) {
	a, _ := f.fn.alone.Get().(*awaited[In, Out])
	if a == nil {
		a = new(awaited[In, Out])
		a.init(ctx, p, f, in, a)
		a.row.Owner, a.row.Func, a.row.Quick = &a.Call, f.fn.index, a
		a.awaited, a.pulled, a.led, a.seeded = true, true, true, true
	}
	a.in, a.f, a.opts, a.ctx, a.on = in, f, &f.opts, ctx, p
	a.seed = seedOf(p.opts.Seed, looseSeeds+p.calls.Add(1))
	a.row.Body, _ = f.in.Append(appendMeta(a.small[:0], -1, a.seed), &a.in, nil)
	sent, over := p.p.CallAlone(&a.row)
	switch {
	case over:
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
		a.ctx, a.on = nil, nil
		f.fn.alone.Put(a)
	}
	return out, err
}

// EndAtOnce implements link.QuickOwner for calls that go the short way.
func (a *awaited[In, Out]) EndAtOnce(body []byte) {
	a.row.Body = nil
	if err := a.f.out.Decode(body, &a.out, nil); err != nil {
		a.call.end(len(body), a.resultError(err))
		return
	}
	a.over.happen(a.on)
}
