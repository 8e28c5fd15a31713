package manager

import "sync"

// entitled says whether the lock's operator may take it to write, in the state that w says.
func (a *attempt) entitled(w lockWord) error {
	if k := w.kind(); k == Mutex || k == Spin {
		return nil
	}
	key := entitledKey{a.c.at.id, a.c.number, a.op}
	if entitlements.has(key, w) {
		return nil
	}
	now, err := opEntitled.call(a.bounded(), a.c.at, entitledIn{a.op, a.c.number})
	if err != nil {
		return err
	}
	entitlements.put(key, lockWord(now))
	if !lockWord(now).same(w) {
		return errAgain
	}
	return nil
}

type entitledKey struct {
	manager id
	lock    uint32
	op      Operator
}

// entitlements are what this process was told that operators are entitled to: in which state of the lock.
var entitlements cache

type cache struct {
	sync.Mutex
	words map[entitledKey]lockWord
}

func (c *cache) has(k entitledKey, w lockWord) bool {
	c.Lock()
	defer c.Unlock()
	v, ok := c.words[k]
	return ok && v.same(w)
}

func (c *cache) put(k entitledKey, w lockWord) {
	const most = 4096
	c.Lock()
	defer c.Unlock()
	if c.words == nil || len(c.words) >= most {
		c.words = map[entitledKey]lockWord{}
	}
	c.words[k] = w
}
