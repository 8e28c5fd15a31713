package manager

import (
	"context"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

var opDump = defineStored("dump", true, func(ctx context.Context, h *host, _ *caller, o Operator) (image, error) {
	if err := h.admin(o); err != nil {
		return image{}, err
	}
	return h.dump(ctx)
})

// dump makes an image of what the manager has.
func (h *host) dump(ctx context.Context) (img image, err error) {
	h.mu.Lock()
	img.Operators.Size = h.ops.Size
	img.Operators.Hashes = append(img.Operators.Hashes, h.ops.Hashes...)
	h.mu.Unlock()
	h.objects.Range(func(_, v any) bool {
		var oi *objectImage
		if oi, err = v.(*object).image(ctx); err != nil {
			return false
		}
		if oi != nil {
			img.Objects = append(img.Objects, *oi)
		}
		return true
	})
	for i := range img.Tables {
		if err == nil {
			img.Tables[i], err = h.tables.byNumber[i].image()
		}
	}
	img.Collections = h.collections.image()
	if err != nil {
		img.release()
		return img, err
	}
	img.Locks = h.locks.image() // their memory is the host's own
	return img, err
}

// image makes an image of an object, in its turn; nil: it cannot come back, or is released.
func (o *object) image(ctx context.Context) (*objectImage, error) {
	t := typeNamed(o.typ)
	crosses := t != nil && t.encode != nil
	if !crosses && o.made == "" {
		return nil, nil
	}
	var img *objectImage // this and err are take's until it is over
	var err error
	over := make(chan struct{})
	take := func() {
		defer close(over)
		i := &objectImage{Number: o.number, Name: o.name, Type: o.typ, Make: o.made, Args: o.args.lend()}
		if crosses {
			p := &wire.Parcel{}
			m := method{name: o.typ}
			e := m.guarded(func() *xme.Error {
				data, eerr := t.encode(o.v, p, nil)
				if eerr == nil && len(p.Items) > 0 { // found later, it would leave what other objects lend
					eerr = errFiles
				}
				if eerr != nil {
					return m.threw(xme.CauseEncode, "snapshot: "+eerr.Error(), "", eerr)
				}
				i.Value = &payload{data: data, held: p, loose: true}
				return nil
			})
			if e != nil {
				p.Close()
				i.release()
				err = errorf("keep object %s: %w", o.what(), e)
				return
			}
		}
		img = i
	}
	now, eerr := o.enter(func() *job { return &job{run: take, refuse: func(error) { close(over) }} })
	switch {
	case eerr != nil:
		return nil, nil //nolint:nilerr // it is released
	case now:
		take()
		o.leave()
	default:
		select {
		case <-over:
		case <-ctx.Done():
			go func() { // its turn comes all the same
				if <-over; img != nil {
					img.release()
				}
			}()
			return nil, ctx.Err()
		}
	}
	return img, err
}

// load brings back what an image has, in the process that is the manager's life-th, from 0.
func (h *host) load(ctx context.Context, img *image, life uint64) error {
	h.mu.Lock()
	h.ops = img.Operators
	h.mu.Unlock()
	for _, i := range img.Objects {
		o := &object{number: i.Number, name: i.Name, typ: i.Type, made: i.Make, args: i.Args.keep()}
		if err := o.restore(ctx, &i); err != nil {
			return errorf("bring object %s back: %w", o.what(), err)
		}
		if o.name != "" {
			h.mu.Lock()
			h.named[o.name] = o.number
			h.mu.Unlock()
		}
		h.objects.Store(o.number, o)
	}
	freeze()
	if err := h.tables.init(); err != nil {
		return err
	}
	for i := range img.Tables {
		if err := h.tables.byNumber[i].restore(img.Tables[i], life); err != nil {
			return err
		}
	}
	if s := img.Tables[valueTable].Statuses; s != nil {
		h.tables.status = s
	}
	if err := h.collections.restore(img.Collections); err != nil {
		return err
	}
	return h.locks.restore(img.Locks)
}

func (o *object) restore(ctx context.Context, i *objectImage) (err error) {
	if i.Value != nil {
		t := typeNamed(o.typ)
		if t == nil || t.decode == nil {
			return ErrType
		}
		o.v, err = t.decode(i.Value.data, i.Value.held)
		return err
	}
	constructors.Lock()
	c := constructors.byName[i.Make]
	constructors.Unlock()
	if c == nil {
		return ErrNotFound
	}
	o.v, err = construct(ctx, c, i.Args.data, i.Args.held)
	return err
}
