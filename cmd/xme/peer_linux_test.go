package main

import (
	"testing"
	"time"
)

// A peer in the middle of its role ends with its input, which the kernel closes when the driver is gone.
func TestPeerEndsWithItsInput(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"spin", "futex"} {
		p, err := startPeer(t.Context(), role, 2*line)
		if err != nil {
			t.Fatal(err)
		}
		if err := newPingPong(p).start(); err != nil {
			t.Error(err)
		}
		late := time.AfterFunc(silence, func() { _ = p.cmd.Process.Kill() })
		if err := p.close(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		late.Stop()
	}
}

func TestPeerRefusesRoles(t *testing.T) {
	t.Parallel()
	p, err := startPeer(t.Context(), "sing", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err == nil || err.Error() != "exit status 1" { // its input stays open: else it may end with that
		t.Errorf("it ended with %v", err)
	}
}

// The floors notice what comes back wrong.
func TestFloorsCheck(t *testing.T) {
	t.Parallel()
	p, err := startPeer(t.Context(), "ring", ringBytes)
	if err != nil {
		t.Fatal(err)
	}
	r := newRing(p)
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	r.push(5)
	if err := r.pull(6); err == nil {
		t.Error("a ring with wrong results passes")
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
	p, err = startPeer(t.Context(), "copy", copyBytes(1, 10))
	if err != nil {
		t.Fatal(err)
	}
	c := newCopier(p, 1, 10)
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	b := []byte{1, 0, 0, 0, 0, 2, 0, 0, 0, 3}
	c.push(b)
	if err := c.pull(touched(b)); err != nil {
		t.Error(err)
	}
	if want := touch(append([]byte(nil), b...)); touched(b) != want {
		t.Errorf("touched gives %d, touch %d", touched(b), want)
	}
	c.push(b)
	if err := c.pull(touched(b) + 1); err == nil {
		t.Error("a copy that is not right passes")
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
