package proc

import (
	"fmt"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// result is memory of a worker that one big result at a time lies in.
type result struct {
	id  uint64
	w   *worker
	mem *sys.Shared

	held bool // it is being read, outside p.mu
	over bool // the worker is gone
}

// resultIn returns the result that a frame or record tells of; ref begins with where it
// lies. p.mu is held.
func (w *worker) resultIn(f link.Frame, ref []byte) (*result, []byte, error) {
	if len(ref) < 16 {
		f.Parcel.Close()
		return nil, nil, fmt.Errorf("%v frame of %d bytes", f.Kind, len(ref))
	}
	id, n, err := link.ParseIn(ref[:16])
	if err != nil {
		f.Parcel.Close()
		return nil, nil, err
	}
	res := w.results[id]
	if len(ref) == 16 {
		f.Parcel.Close() // there should be none
	}
	if len(ref) > 16 {
		const most = link.MostSegments + 8 // of some it may be about to say that it uses them no more
		if len(w.results) >= most {
			f.Parcel.Close()
			return nil, nil, fmt.Errorf("results in more than %d segments", most)
		}
		mem, err := link.MapSegment(f, ref[16:], w.p.cfg.MaxMessage+slack)
		if err != nil {
			return nil, nil, err
		}
		if res != nil {
			_ = mem.Close()
			return nil, nil, fmt.Errorf("segment %d is there", id)
		}
		if w.results == nil {
			w.results = map[uint64]*result{}
		}
		res = &result{id: id, w: w, mem: mem}
		w.results[id] = res
	}
	switch {
	case res == nil || res.held:
		return nil, nil, fmt.Errorf("a result in segment %d, which is not the worker's to use", id)
	case n > uint64(len(res.mem.Bytes())), n > uint64(w.p.cfg.MaxMessage+slack):
		return nil, nil, fmt.Errorf("a result of %d bytes in a segment of %d", n, len(res.mem.Bytes()))
	}
	res.held = true
	return res, res.mem.Bytes()[:n:n], nil
}

// wasRead gives a result's memory back to its worker. p.mu is held.
func (r *result) wasRead(b *batch) {
	r.held = false
	if r.over {
		_ = r.mem.Close()
		return
	}
	r.w.conn.Send(link.Frame{Kind: wire.KindRead, Call: r.id})
	b.flush(r.w.conn)
}

// unmapResult drops memory that w uses no more. p.mu is held.
func (w *worker) unmapResult(id uint64) error {
	r := w.results[id]
	if r == nil || r.held {
		return fmt.Errorf("segment %d is not the worker's to drop", id)
	}
	delete(w.results, id)
	return r.mem.Close()
}

// dropResults frees what the results of w lay in, but for those that are being read.
// p.mu is held.
func (w *worker) dropResults() {
	for _, r := range w.results {
		if r.over = true; !r.held {
			_ = r.mem.Close()
		}
	}
	w.results = nil
}

// dropIn forgets memory of a result that came out of turn.
func (b *batch) dropIn() {
	if b.in != nil {
		b.in.held = false
		b.in = nil
	}
}
