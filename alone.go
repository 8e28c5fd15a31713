package xme

import "context"

// sort notes which calls of f may go where: anywhere, to any worker; plain ones, which ask for nothing, and whose arguments and results are small and copied as they
// lie, the short way.
func (f *Func[In, Out]) sort() {
	f.anywhere = len(f.opts.On) == 0 && !f.opts.Fresh && !f.opts.Service
	f.small = f.anywhere && f.opts.Timeout == 0 && f.opts.Memory == 0 && f.opts.Retries == 0 && f.in.PointerFree() && metaSize+f.in.Size(new(In)) <= smallArgs
	f.plain = f.small && f.out.PointerFree()
}

// callAlone is Call for a plain function in a pool that the caller leads. If it is alone there it goes the short way (see proc.Pool.CallAlone): its memory is used again
// as it stands, and its context is watched by who waits.
func (f *Func[In, Out]) callAlone(ctx context.Context, p *Pool, in In) (Out, error) {
	a, _ := f.fn.alone.Get().(*awaited[In, Out])
	if a == nil {
		a = new(awaited[In, Out])
		a.init(ctx, p, f, in, a)
		a.row.Owner, a.row.Func, a.row.Quick = (*rowOwner)(&a.Call), f.fn.index, a
		a.awaited, a.pulled, a.seeded = true, true, true
	}
	a.in, a.f, a.opts, a.ctx, a.on = in, f, &f.opts, ctx, p
	a.seed = seedOf(p.opts.Seed, looseSeeds+p.calls.Add(1))
	a.row.Body, _ = f.in.Append(appendMeta(a.small[:0], -1, a.seed), &a.in, nil) // no error: it is plain
	sent, over := p.p.CallAlone(&a.row)
	again := true // nobody else can still look at a
	switch {
	case over:
	case !sent:
		again = false
		a.row.Quick = (*rowOwner)(&a.Call) // its context may be watched from now on
		_ = submit(ctx, p, &a.Call)
		a.over.wait(context.Background(), p, f.fn.index, a.led)
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
		f.fn.alone.Put(a)
	}
	return out, err
}

// EndAtOnce implements link.QuickOwner for plain calls that went the short way.
func (a *awaited[In, Out]) EndAtOnce(body []byte) {
	a.row.Body = nil
	if err := a.f.out.Decode(body, &a.out, nil); err != nil {
		a.call.end(len(body), a.resultError(err))
		return
	}
	a.over.happen(a.on)
}
