package xme

import (
	"context"
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// rowRunner is what runs a pool's rows: *proc.Pool. Rows may be submitted again once
// they have ended.
type rowRunner interface {
	Submit(ctx context.Context, rows []*link.Row) (int, error)
	Cancel(why error, rows ...*link.Row)
	CancelUnbegun(why error, rows ...*link.Row)
}

// Submit implements [Executor]. Calls are handed out in order, each to the first worker
// that has room. Submit blocks while Options.Queue calls have not ended, not counting
// those that tasks make.
func (p *Pool) Submit(ctx context.Context, calls []*Call) (int, error) {
	if len(calls) == 1 {
		return p.submitOne(ctx, calls[0])
	}
	rows := make([]*link.Row, 0, len(calls))
	at := make([]int, 0, len(calls)) // rows[i] is calls[at[i]]
	var refused []int
	var errs map[int]error
	for i, c := range calls {
		if err := p.prepare(c); err != nil {
			refused = append(refused, i)
			if errs == nil {
				errs = map[int]error{}
			}
			errs[i] = err
			continue
		}
		rows = append(rows, &c.row)
		at = append(at, i)
	}
	n, err := len(calls), error(nil)
	if len(rows) > 0 {
		var m int
		if m, err = p.rows.Submit(ctx, rows); m < len(rows) {
			n = at[m]
		}
		err = closedError(err)
	}
	for _, i := range refused {
		if i < n {
			calls[i].Finish(nil, errs[i])
		}
	}
	for _, j := range at {
		p.submitted(calls[j], j < n)
	}
	return n, err
}

// submitOne is Submit for one call.
func (p *Pool) submitOne(ctx context.Context, c *Call) (int, error) {
	if err := p.prepare(c); err != nil {
		c.Finish(nil, err)
		return 1, nil
	}
	if c.awaited && !c.led { // not before: a marshaler may take its time
		c.led = p.p.Lead()
	}
	c.rows[0] = &c.row
	n, err := p.rows.Submit(ctx, c.rows[:])
	p.submitted(c, n == 1)
	return n, closedError(err)
}

func closedError(err error) error {
	if err == proc.ErrClosed { //nolint:errorlint // what wraps it is a context's cause: another pool may have been closed
		return ErrClosed
	}
	if _, retired := err.(*proc.RetiredError); retired { //nolint:errorlint // likewise
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// submitted is called when a call has been accepted or not.
func (p *Pool) submitted(c *Call, accepted bool) {
	switch {
	case !accepted:
		if c.watch != nil {
			c.watch.remove(c)
		}
	case c.ctx.Err() != nil: // it may have ended before the pool knew the row
		p.rows.Cancel(context.Cause(c.ctx), &c.row)
	case interrupted(c.ctx):
		p.rows.CancelUnbegun(ErrInterrupted, &c.row)
	}
}

// cancel ends a call early.
func (p *Pool) cancel(c *Call) { p.rows.Cancel(context.Canceled, &c.row) }

// stoppedBy returns why no row shall begin under ctx; nil: it may.
func stoppedBy(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if interrupted(ctx) {
		return ErrInterrupted
	}
	return nil
}

// prepare encodes a call and has its context watched.
func (p *Pool) prepare(c *Call) error {
	if err := stoppedBy(c.ctx); err != nil {
		return err
	}
	if c.row.Body == nil {
		args, files := c.args, c.files
		if err := p.ready(c); err != nil {
			return err
		}
		if err := p.encode(c); err != nil {
			return err
		}
		if c.args != args || c.files != files {
			c.charge(weight(c.args)-weight(args), c.files-files)
		}
	}
	if done := endOf(c.ctx); done != nil {
		p.watchCall(c, done)
	}
	return nil
}

// ready makes the row of a call, but for its arguments, unless its options cannot be
// honoured.
func (p *Pool) ready(c *Call) error {
	if err := c.opts.refused(); err != nil {
		return err
	}
	if len(c.opts.On) > 0 {
		switch err := p.p.CheckRanks(c.opts.On); {
		case err == nil:
		case as(err, new(*proc.RetiredError)): // it may become one while it waits for room, too
			return err
		default:
			return fmt.Errorf("option On: %w", err)
		}
	}
	owner := (*rowOwner)(c)
	c.row.Owner, c.row.Func = owner, c.fn.index
	if c.steady() {
		c.row.Quick = owner
	}
	c.row.On, c.row.Timeout, c.row.Memory = c.opts.On, c.opts.Timeout, c.opts.Memory
	c.row.Fresh, c.row.Service, c.row.Keep = c.opts.Fresh, c.opts.Service, c.opts.Retries > 0
	c.row.Tireless = c.fn.guards
	c.row.Alone = len(c.opts.On) > 0 || c.opts.Timeout > 0 || c.opts.Memory > 0 || c.opts.Fresh || c.opts.Service
	return nil
}

// encode encodes the arguments of a call.
func (p *Pool) encode(c *Call) error {
	if c.args-metaSize > p.opts.MaxMessage && c.exact() {
		return c.encodeError(tooLarge("value", c.args-metaSize, p.opts.MaxMessage))
	}
	if !c.seeded {
		n := uint64(c.index)
		if c.index < 0 {
			n = looseSeeds + p.calls.Add(1)
		}
		c.seed, c.seeded = seedOf(p.opts.Seed, n), true
	}
	body := p.space(c)
	var parcel *wire.Parcel
	if !c.plain() {
		parcel = wire.NewParcel()
		parcel.Most = worthEncoding(p.opts.MaxMessage)
	}
	body, err := c.append(body, parcel)
	if err == nil && len(body)-metaSize > p.opts.MaxMessage {
		err = tooLarge("value", len(body)-metaSize, p.opts.MaxMessage)
	}
	if g := c.row.Segment; g != nil && (err != nil || len(body) > len(g.Bytes())) {
		g.Free() // what was said to be its size was none
		c.row.Segment = nil
	}
	if err != nil {
		parcel.Free()
		return c.encodeError(err)
	}
	c.row.Body = body
	if parcel != nil {
		c.row.Regions = parcel.Regions.Take()
	}
	if c.files > 0 {
		c.row.Parcel = parcel
	} else {
		parcel.Free()
	}
	return nil
}

// space returns where to encode a call's arguments: small ones in the call, big ones in
// memory that the workers see.
func (p *Pool) space(c *Call) []byte {
	if c.args <= smallArgs {
		return c.small[:0:smallArgs]
	}
	if c.exact() && !c.opts.Fresh && !c.opts.Service { // these go by the link
		if c.row.Segment = p.p.Segment(c.args); c.row.Segment != nil {
			return c.row.Segment.Bytes()[:0]
		}
	}
	return make([]byte, 0, min(c.args, metaSize+p.opts.MaxMessage))
}

// submitRows hands out rows of one stream, which its context stands for. Those that
// cannot be accepted end with the error that it returns.
func (p *Pool) submitRows(ctx context.Context, calls []*Call, rows []*link.Row) error {
	err := stoppedBy(ctx)
	n := 0
	for err == nil && n < len(rows) {
		var m int
		m, err = p.rows.Submit(ctx, rows[n:])
		n += m
	}
	err = closedError(err)
	for _, c := range calls[n:] {
		c.refuse(err)
	}
	// It may have ended before the pool knew the rows. Some may be other rows by
	// now, but of the same stream.
	switch {
	case n == 0:
	case ctx.Err() != nil:
		p.rows.Cancel(context.Cause(ctx), rows[:n]...)
	case interrupted(ctx):
		p.rows.CancelUnbegun(ErrInterrupted, rows[:n]...)
	}
	return err
}
