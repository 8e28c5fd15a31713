package post_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/wire"
)

// frame is what a port sends, and as such what one gets.
type frame struct {
	gone     bool
	to, from post.Addr
	body     string
}

func (f frame) bytes() []byte {
	b := []byte{0}
	if f.gone {
		b[0] = 1
	}
	return append(append(append(b, f.to[:]...), f.from[:]...), f.body...)
}

func parse(b []byte) (f frame) {
	f.gone = b[0] == 1
	copy(f.to[:], b[1:])
	copy(f.from[:], b[17:])
	f.body = string(b[33:])
	return f
}

// port is a link that keeps what is sent.
type port struct {
	*post.Port
	t    *testing.T
	sent []frame
}

func newPort(t *testing.T, up bool) *port {
	t.Helper()
	p := &port{t: t}
	p.Port = post.NewPort(up, func(f []byte, parcel *wire.Parcel) error {
		parcel.Close()
		p.sent = append(p.sent, parse(f))
		return nil
	})
	t.Cleanup(p.Close)
	return p
}

func (p *port) arrive(f frame) {
	p.t.Helper()
	if err := p.Arrived(f.bytes(), nil); err != nil {
		p.t.Errorf("a sound frame: %v", err)
	}
}

// expect says what was sent since it was last asked.
func (p *port) expect(want ...frame) {
	p.t.Helper()
	if !slices.Equal(p.sent, want) {
		p.t.Errorf("sent %+v, want %+v", p.sent, want)
	}
	p.sent = nil
}

// ear keeps what it hears.
type ear struct {
	got  []frame
	gone []post.Addr
}

func (e *ear) Deliver(m post.Message) {
	m.Parcel.Close()
	e.got = append(e.got, frame{to: m.To, from: m.From, body: string(m.Body)})
}
func (e *ear) Gone(a post.Addr) { e.gone = append(e.gone, a) }

func addr(n byte) post.Addr { return post.Addr{n, 'x'} }

func TestRoutes(t *testing.T) {
	up, left, right := newPort(t, true), newPort(t, false), newPort(t, false)
	here := &ear{}
	stop := post.Listen(addr(1), here)

	left.arrive(frame{to: addr(1), from: addr(2), body: "to here"})
	if want := []frame{{to: addr(1), from: addr(2), body: "to here"}}; !slices.Equal(here.got, want) {
		t.Errorf("delivered %+v", here.got)
	}
	right.arrive(frame{to: addr(2), from: addr(3), body: "across"})
	left.expect(frame{to: addr(2), from: addr(3), body: "across"})
	up.arrive(frame{to: addr(3), from: addr(9), body: "down"})
	right.expect(frame{to: addr(3), from: addr(9), body: "down"})
	left.arrive(frame{to: addr(9), from: addr(2), body: "unknown: up"})
	up.expect(frame{to: addr(9), from: addr(2), body: "unknown: up"})
	up.arrive(frame{to: addr(8), from: addr(9)}) // nobody's, and it is not sent back
	up.expect(frame{gone: true, from: addr(8)})
	left.arrive(frame{from: addr(4)}) // an announcement
	up.expect(frame{from: addr(4)})

	right.arrive(frame{gone: true, from: addr(3)})
	up.expect(frame{gone: true, from: addr(3)})
	left.expect(frame{gone: true, from: addr(3)})
	right.expect()
	left.Close()
	if want := []post.Addr{addr(3), addr(2), addr(4)}; len(here.gone) != 3 || here.gone[0] != want[0] || !slices.Contains(here.gone, want[1]) || !slices.Contains(here.gone, want[2]) {
		t.Errorf("heard that %v are gone", here.gone)
	}
	up.sent = nil
	stop()
	stop()
	up.expect(frame{gone: true, from: addr(1)})
	up.Close()
	if err := post.Send(post.Message{To: addr(9)}); !errors.Is(err, post.ErrNoWay) {
		t.Errorf("sent without a way: %v", err)
	}
}

// TestWorkersClaim has a worker claim and cut addresses that are others'.
func TestWorkersClaim(t *testing.T) {
	up, honest, hostile := newPort(t, true), newPort(t, false), newPort(t, false)
	here := &ear{}
	defer post.Listen(addr(1), here)()
	honest.arrive(frame{from: addr(2)})
	honest.arrive(frame{to: addr(3), from: addr(2)}) // 3 lies above
	up.sent = nil
	for _, a := range []post.Addr{addr(1), addr(2), addr(3)} {
		hostile.arrive(frame{from: a})
		hostile.arrive(frame{gone: true, from: a})
	}
	up.expect()
	honest.expect()
	if len(here.gone) > 0 {
		t.Errorf("a worker cut %v", here.gone)
	}
	hostile.arrive(frame{to: addr(2), from: addr(5), body: "2"})
	honest.expect(frame{to: addr(2), from: addr(5), body: "2"})
	honest.arrive(frame{to: addr(3), from: addr(2), body: "3"})
	up.expect(frame{to: addr(3), from: addr(2), body: "3"})
	hostile.Close()
	up.expect(frame{gone: true, from: addr(5)})
	hostile.expect()
	honest.arrive(frame{to: addr(1), from: addr(2), body: "1"})
	if len(here.got) != 1 {
		t.Errorf("delivered %+v", here.got)
	}
}

func TestRubbish(t *testing.T) {
	p := newPort(t, false)
	for name, b := range map[string][]byte{
		"empty": {}, "short": make([]byte, 32), "long": make([]byte, 34+post.MostBody), "kind": append([]byte{2}, make([]byte, 32)...),
	} {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		parcel := &wire.Parcel{Items: []wire.Item{{File: file}}}
		if err := p.Arrived(b, parcel); err == nil {
			t.Errorf("%s: taken", name)
		}
		if !parcel.Empty() {
			t.Errorf("%s: its parcel is open", name)
			_ = file.Close()
		}
	}
	p.arrive(frame{})           // of nobody to nobody
	p.arrive(frame{gone: true}) // nobody is gone
	p.expect()
	for i := range 1 << 16 {
		p.arrive(frame{from: post.Addr{1, 2, byte(i), byte(i >> 8)}})
	}
	if err := p.Arrived(frame{from: post.Addr{9}}.bytes(), nil); err == nil {
		t.Error("a worker may have any number of addresses remembered")
	}
}
