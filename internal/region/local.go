package region

import "slices"

// Attach returns what this process keeps for the region beside its memory, made by f when
// it is first asked for: a queue's, whose goroutines take turns before they wait for other
// processes. It goes with the last reference; the caller has one. f may be called by
// several at a time, of whose results one is kept. What is given up is told, if it is a
// Detacher.
func (r *Region) Attach(f func(mem []byte) (any, error)) (any, error) {
	if v := r.local.Load(); v != nil {
		return *v, nil
	}
	mem, err := r.Bytes(true)
	if err != nil {
		return nil, err
	}
	v, err := f(mem)
	if err != nil {
		return nil, err
	}
	if r.local.CompareAndSwap(nil, &v) {
		return v, nil
	}
	detach(v)
	return *r.local.Load(), nil
}

// Detacher is what a process keeps for a region that wants to know when it is given up.
// The region's memory may be no more by then.
type Detacher interface{ Detach() }

func detach(local any) {
	if d, ok := local.(Detacher); ok {
		d.Detach()
	}
}

// Locked returns the regions with locks that this process has, with a reference each: what
// is looked at when a process dies.
func Locked() []*Region {
	table.mu.Lock()
	defer table.mu.Unlock()
	var all []*Region
	for id, r := range table.regions {
		if id.Kind() == Locks && r.RetainLive() {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *Region) int { return slices.Compare(a.id[:], b.id[:]) })
	return all
}
