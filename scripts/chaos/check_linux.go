package main

import "time"

// check looks whether each row has exactly one result.
func (u *run) check() {
	t := u.t
	whole := !u.cut.Load() && !t.closing.Load() && !u.left.Load()
	missing := 0
	for _, s := range u.segments {
		for _, j := range s.jobs {
			switch read, got := u.read[j.Row], u.got[j.Row]; {
			case got > 1 || got > read || read > 1:
				t.r.complain(t.seed, "row %d of table %d (%s) was read %d times and has %d results", j.Row, j.Table, specs[j.Kind].name, read, got)
			case got == 1:
			case whole:
				t.r.complain(t.seed, "row %d of table %d (%s) has no result", j.Row, j.Table, specs[j.Kind].name)
			case read == 1:
				missing++
			}
		}
	}
	if missing > u.inputs && !u.left.Load() {
		t.r.complain(t.seed, "%d rows of a table that was cut short were read and have no result", missing)
	}
	if t.closing.Load() {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s := u.pool.Stats()
		if s.Queued == 0 && s.Running == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.r.complain(t.seed, "the table has ended, and the pool has %d rows queued and %d running", s.Queued, s.Running)
			return
		}
	}
}
