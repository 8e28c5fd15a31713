package manager

import (
	"slices"
)

// values yields all values of an image's tables, lists and maps.
func (i *image) values(yield func(*stored) bool) {
	for t := range i.Tables {
		for _, e := range i.Tables[t].Entries {
			if !yield(e.Value) {
				return
			}
		}
	}
	for _, c := range i.Collections {
		for _, v := range c.Items {
			if !yield(v) {
				return
			}
		}
	}
}

// keep has an image that has come with an answer be encoded any number of times.
func (i *image) keep() {
	for v := range i.values {
		v.loose = false
	}
	for _, o := range i.Objects {
		for _, v := range []*payload{o.Args, o.Value} {
			if v != nil {
				v.loose = false
			}
		}
	}
}

// release gives up what an image holds.
func (i *image) release() {
	for v := range i.values {
		v.release()
	}
	for n := range i.Locks {
		i.Locks[n].Memory.close()
	}
	for n := range i.Objects {
		i.Objects[n].release()
	}
}

func (i *objectImage) release() {
	i.Args.close()
	i.Value.close()
}

// image makes an image of a table. What it lends goes with the answer.
func (t *table) image() (img tableImage, err error) {
	all, err := t.values(nil)
	if err != nil {
		return img, err
	}
	t.mu.Lock()
	img.Rev = t.rev
	t.mu.Unlock()
	for _, e := range all {
		switch {
		case !t.reserves(e.Key):
			img.Entries = append(img.Entries, e)
			continue
		case e.Key == StatusKey:
			img.Statuses, err = decode[map[string]string](e.Value, StatusKey)
		}
		e.Value.spend()
		if err != nil {
			return img, err
		}
	}
	return img, nil
}

// restore gives a new table what an image has. All of it is at one revision, higher than any that was seen of the table in an earlier life, and who
// watched that one learns what is no more. (The image is of some earlier life: each makes fewer than 1<<32 changes.)
func (t *table) restore(img tableImage, life uint64) error {
	if life == 0 {
		return nil
	}
	t.mu.Lock()
	t.rev = img.Rev + life<<32
	t.dropped = t.rev
	t.mu.Unlock()
	changes := make([]change, 0, len(img.Entries)+1)
	for _, e := range img.Entries {
		changes = append(changes, change{Kind: changePut, Key: e.Key, Value: e.Value})
	}
	if len(img.Statuses) > 0 {
		c, err := own(StatusKey, img.Statuses)
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	_, err := t.update(changes, true)
	return err
}

// image makes an image of all lists and maps.
func (c *collections) image() (all []collectionImage) {
	c.mu.Lock()
	var list []*collection
	for _, n := range c.all {
		list = append(list, n)
	}
	c.mu.Unlock()
	for _, n := range list {
		n.mu.Lock()
		if !n.released {
			i := collectionImage{Number: n.number, Name: n.name, Type: n.typ, Map: n.table != nil}
			for _, v := range n.list {
				i.Items = append(i.Items, v.lend())
			}
			for k, v := range n.table {
				i.Keys = append(i.Keys, k)
				i.Items = append(i.Items, v.lend())
			}
			all = append(all, i)
		}
		n.mu.Unlock()
	}
	return all
}

func (c *collections) restore(all []collectionImage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range all {
		n := &collection{number: i.Number, name: i.Name, typ: i.Type}
		switch {
		case !i.Map:
			for _, v := range i.Items {
				n.list = append(n.list, v.keep())
			}
		case len(i.Keys) != len(i.Items):
			return errorf("map %q: %w", i.Name, errMalformed)
		default:
			n.table = map[string]*stored{}
			for k, key := range i.Keys {
				n.table[key] = i.Items[k].keep()
			}
		}
		c.all[n.number] = n
		if n.name != "" {
			c.names[n.name] = n
		}
	}
	return nil
}

// image makes an image of all locks.
func (l *locks) image() (all []lockImage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.all {
		i := lockImage{Number: k.number, Kind: int(k.kind), Epoch: k.epoch, Authorised: slices.Clone(k.authorised), Writer: k.writer, Memory: k.memory}
		for name, o := range l.byName {
			if o == k {
				i.Name = name
			}
		}
		if k.number == tableLock {
			i.Name = l.name
		}
		all = append(all, i)
	}
	return all
}

// restore brings locks back, held by whoever held them: that lies in shared memory. Everybody asks anew who is entitled.
func (l *locks) restore(all []lockImage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.byName = map[uint32]*hostLock{}, map[string]*hostLock{}
	for _, i := range all {
		m, err := i.Memory.retain()
		if err != nil {
			return err
		}
		if i.Number == tableLock {
			l.name = i.Name
		}
		k := l.add(i.Number, i.Name, Kind(i.Kind), m)
		k.authorised, k.writer = i.Authorised, i.Writer
		k.epoch = max(i.Epoch, uint64(m.Word.Load())>>epochShift)
		k.changed()
	}
	return nil
}
