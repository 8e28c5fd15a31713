package ring_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/ring"
)

// image is the memory as a process leaves it that dies at a step.
type image struct {
	at  string
	mem []byte
}

// images runs op through q, and takes an image at each step.
func images(q *ring.Queue, mem []byte, op func()) (all []image) {
	q.Steps(func(at string) { all = append(all, image{at, bytes.Clone(mem)}) })
	op()
	q.Steps(nil)
	return all
}

const (
	dead  = 7 // who dies
	other = 8 // who goes on
)

// A producer dies at any step: what it put is there wholly or not at all, and others
// go on once it is swept.
func TestQueueProducerDies(t *testing.T) {
	t.Parallel()
	for name, arena := range map[string]int{"fixed": 0, "var": 3 * 64} {
		for wrapped := range uint64(5) {
			q, mem := queueOf(t, 4, arena, newParks())
			put := func(q *ring.Queue, me uint32, ns ...uint64) {
				if arena == 0 {
					if _, err := q.TryPutFixed(me, elements(ns...)); err != nil {
						t.Fatal(err)
					}
					return
				}
				for _, n := range ns {
					item := make([]byte, 40)
					fill(item, n)
					must(t, q.TryPutVar(me, item))
				}
			}
			for i := range wrapped {
				put(q, dead, i)
				drain(t, q, other, arena == 0)
			}
			put(q, other, 100, 101)
			steps := images(q, mem, func() { put(q, dead, 102) })
			if len(steps) < 4 {
				t.Fatal("no steps")
			}
			published := false
			for _, im := range steps {
				published = published || im.at == "put: published"
				q := opened(t, im.mem, newParks())
				want := []uint64{100, 101}
				if published {
					want = append(want, 102)
				}
				if released := im.at == "put: released"; !released {
					if arena == 0 {
						_, err := q.TryPutFixed(other, elements(1))
						wantErr(t, err, ring.ErrWouldWait)
					} else {
						wantErr(t, q.TryPutVar(other, nil), ring.ErrWouldWait)
					}
				}
				q.Sweep(dead)
				put(q, other, 103)
				same(t, name+", "+im.at, drain(t, q, other, arena == 0), append(want, 103)...)
				for i := range uint64(20) {
					put(q, other, i)
					same(t, name+", later", drain(t, q, other, arena == 0), i)
				}
			}
		}
	}
}

// A consumer dies at any step: what it had not taken is there for others, what it had is
// lost, and Join says so. That another frees the lock before the sweep,
// and takes items, changes nothing.
func TestQueueConsumerDies(t *testing.T) {
	t.Parallel()
	for name, arena := range map[string]int{"fixed": 0, "var": 4 * 64} {
		fixed := arena == 0
		for before := range 3 { // how often it took before
			for _, early := range []bool{false, true} {
				q, mem := queueOf(t, 4, arena, newParks())
				put := func(q *ring.Queue, n uint64) {
					if fixed {
						_, err := q.TryPutFixed(other, elements(n))
						must(t, err)
						return
					}
					item := make([]byte, 24)
					fill(item, n)
					must(t, q.TryPutVar(other, item))
				}
				for range before {
					put(q, 1)
					n := len(drain(t, q, dead, fixed))
					must(t, q.Done(dead, n))
				}
				for n := range uint64(4) {
					put(q, n)
				}
				took := 1
				steps := images(q, mem, func() {
					if !fixed {
						must(t, q.TryGetVar(dead, func([]byte) error { return nil }))
						return
					}
					took, _ = q.TryGetFixed(dead, make([]byte, 16))
				})
				taken := false
				for _, im := range steps {
					taken = taken || im.at == "get: taken"
					what := name + ", " + im.at
					q := opened(t, im.mem, newParks())
					want, lost := []uint64{0, 1, 2, 3}, 0
					if taken {
						want, lost = want[took:], took
					}
					if early { // a waiter finds out before the sweep
						q := opened(t, im.mem, polls{})
						q.SetAlive(func(pid uint32) bool { return pid != dead })
						_, get := q.Locks()
						get.Impatient()
						if got := getOne(t, q, fixed); got != want[0] {
							t.Fatalf("%s: got %d, want %d", what, got, want[0])
						}
						must(t, q.Done(other, 1))
						want = want[1:]
					}
					if n := q.Sweep(dead); n != lost {
						t.Fatalf("%s: %d lost, want %d", what, n, lost)
					}
					if n := q.Sweep(dead); n != 0 {
						t.Fatalf("%s: %d lost once more", what, n)
					}
					got := drain(t, q, other, fixed)
					same(t, what, got, want...)
					must(t, q.Done(other, len(got)))
					if q.Done(other, 1) == nil {
						t.Fatalf("%s: done with more than was taken", what)
					}
					err := q.Join(bounded(t))
					if l := (*ring.LostError)(nil); errors.As(err, &l) != (lost > 0) || lost > 0 && *l != (ring.LostError{Items: lost, PID: dead}) {
						t.Fatalf("%s: %v, lost %d", what, err, lost)
					}
					must(t, q.Join(bounded(t))) // it is told once
				}
			}
		}
	}
}

func getOne(t *testing.T, q *ring.Queue, fixed bool) (n uint64) {
	t.Helper()
	buf := make([]byte, 8)
	if fixed {
		_, err := q.GetFixed(bounded(t), other, buf)
		must(t, err)
	} else {
		must(t, q.GetVar(bounded(t), other, func(item []byte) error {
			copy(buf, item)
			return nil
		}))
	}
	return binary.LittleEndian.Uint64(buf)
}

// A process gets the line of one that died in a take that did not happen, and dies
// before its own take: nothing is lost, though head is where the first would have put it.
func TestQueueLineHandedOn(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 4, 0, newParks())
	_, err := q.TryPutFixed(other, elements(1, 2, 3))
	must(t, err)
	get := func(q *ring.Queue, me uint32) func() {
		return func() {
			if n, err := q.TryGetFixed(me, make([]byte, 8)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	at := func(all []image, step string) []byte {
		return all[slices.IndexFunc(all, func(im image) bool { return im.at == step })].mem
	}
	mem = at(images(q, mem, get(q, dead)), "get: journal")
	q = opened(t, mem, newParks())
	if n := q.Sweep(dead); n != 0 {
		t.Fatalf("%d lost", n)
	}
	get(q, other)() // it gets the line
	must(t, q.Done(other, 1))
	if n := q.Sweep(other); n != 0 {
		t.Fatalf("%d lost", n)
	}

	q, mem = queueOf(t, 4, 0, newParks())
	_, err = q.TryPutFixed(other, elements(1, 2, 3))
	must(t, err)
	get(q, 5)() // the first line is another's
	mem = at(images(q, mem, get(q, dead)), "get: journal")
	q = opened(t, mem, newParks())
	q.Sweep(dead)
	get(q, 5)() // head is now where the dead would have put it
	for _, im := range images(q, mem, get(q, 9)) {
		if im.at == "get: taken" {
			break
		}
		q := opened(t, im.mem, newParks())
		if n := q.Sweep(9); n != 0 {
			t.Fatalf("at %q %d lost, and none was taken", im.at, n)
		}
	}
}

// What two takers without lines of their own leave on the one that they share is not taken for one take.
func TestQueueSharedLine(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 4, 0, newParks())
	get := func(q *ring.Queue, me uint32) func() {
		return func() {
			if n, err := q.TryGetFixed(me, make([]byte, 8)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	const first = 1000
	for i := range uint32(ring.MostTakers) { // each has a line, and keeps it
		_, err := q.TryPutFixed(other, elements(1))
		must(t, err)
		get(opened(t, mem, newParks()), first+i)()
	}
	_, err := q.TryPutFixed(other, elements(1, 2, 3))
	must(t, err)
	at := func(all []image, step string) []byte {
		return all[slices.IndexFunc(all, func(im image) bool { return im.at == step })].mem
	}
	mem = at(images(q, mem, get(q, dead)), "get: journal")
	q = opened(t, mem, newParks())
	q.Sweep(dead)
	get(q, first)() // head is now where the dead would have put it
	const another = 9
	mem = at(images(q, mem, get(q, another)), "get: locked")
	q = opened(t, mem, newParks())
	q.Sweep(another)
	get(q, another+1)()
	if err := q.Done(another+1, 2); err == nil {
		t.Error("two items are done, of one that was taken")
	}
	must(t, q.Done(another+1, 1))
}

// Who dies being done is or is not done; a sweep that dies is made good by another.
func TestQueueDoneAndSweepDie(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 4, 0, newParks())
	_, err := q.TryPutFixed(other, elements(1, 2, 3))
	must(t, err)
	_, err = q.TryGetFixed(dead, make([]byte, 24))
	must(t, err)
	swept := opened(t, bytes.Clone(mem), newParks())
	if n := swept.Sweep(dead); n != 3 {
		t.Fatalf("%d lost", n)
	}
	for _, im := range images(q, mem, func() { must(t, q.Done(dead, 2)) }) {
		q := opened(t, im.mem, newParks())
		for _, im := range images(q, im.mem, func() {
			if n := q.Sweep(dead); n != 1 {
				t.Fatalf("%d lost", n)
			}
		}) {
			q := opened(t, im.mem, newParks())
			if n := q.Sweep(dead); n != 0 {
				t.Fatalf("%d lost again", n)
			}
			l := (*ring.LostError)(nil)
			if err := q.Join(bounded(t)); !errors.As(err, &l) || *l != (ring.LostError{Items: 1, PID: dead}) {
				t.Fatal(err)
			}
		}
	}
}

// When the table is full a process is not tracked, and all goes on; a line that a sweep
// frees goes to the next.
func TestQueueTableFull(t *testing.T) {
	t.Parallel()
	q, mem := queueOf(t, 4, 0, newParks())
	for me := range uint32(ring.MostTakers + 2) {
		_, err := q.TryPutFixed(1, elements(1))
		must(t, err)
		q := opened(t, mem, newParks())
		_, err = q.TryGetFixed(1000+me, make([]byte, 8))
		must(t, err)
	}
	if n := q.Sweep(1000 + ring.MostTakers); n != 0 {
		t.Fatalf("%d lost of who is not tracked", n)
	}
	if n := q.Sweep(1005); n != 1 {
		t.Fatalf("%d lost of who is", n)
	}
	_, err := q.TryPutFixed(1, elements(1))
	must(t, err)
	_, err = q.TryGetFixed(5000, make([]byte, 8))
	must(t, err)
	if n := q.Sweep(5000); n != 1 {
		t.Fatalf("%d lost of who got the free line", n)
	}
	for me := range uint32(ring.MostTakers + 2) {
		if me != 5 {
			must(t, q.Done(1000+me, 1))
		}
	}
	l := (*ring.LostError)(nil)
	if err := q.Join(bounded(t)); !errors.As(err, &l) || l.Items != 2 {
		t.Fatal(err)
	}
}
