package post_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/wire"
)

// A fake is a link: what is sent on it, as Arrived would get it on the other side.
type fake struct {
	port *post.Port
	sent [][]byte
}

func link(t *testing.T, up bool) *fake {
	t.Helper()
	f := &fake{}
	f.port = post.NewPort(up, func(b []byte, p *wire.Parcel) error {
		p.Close()
		f.sent = append(f.sent, bytes.Clone(b))
		return nil
	})
	t.Cleanup(f.port.Close)
	return f
}

// box is a listener.
type box struct {
	got  []string
	gone []post.Addr
}

func (b *box) Deliver(m post.Message) {
	m.Parcel.Close()
	b.got = append(b.got, string(m.Body))
}
func (b *box) Gone(a post.Addr) { b.gone = append(b.gone, a) }

func addr(n byte) post.Addr { return post.Addr{n, 0xff} }

// frame is a message as it comes on a link.
func frame(kind byte, to, from post.Addr, body string) []byte {
	return append(append(append([]byte{kind}, to[:]...), from[:]...), body...)
}

// TestWays has messages find their way, and who is behind a link that ends be gone.
func TestWays(t *testing.T) {
	a, b, up := link(t, false), link(t, false), link(t, true)
	here := &box{}
	stop := post.Listen(addr(1), here)
	defer stop()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(a.port.Arrived(frame(0, addr(1), addr(2), "to here"), nil))
	if len(here.got) != 1 || here.got[0] != "to here" {
		t.Fatalf("got %q", here.got)
	}
	ok(post.Send(post.Message{To: addr(2), From: addr(1), Body: []byte("back")}))
	ok(b.port.Arrived(frame(0, addr(2), addr(3), "across"), nil))
	if want := [][]byte{frame(0, addr(2), addr(1), "back"), frame(0, addr(2), addr(3), "across")}; len(a.sent) != 2 || !bytes.Equal(a.sent[0], want[0]) || !bytes.Equal(a.sent[1], want[1]) {
		t.Fatalf("sent %q", a.sent)
	}
	ok(b.port.Arrived(frame(0, addr(9), addr(3), "upwards"), nil)) // nobody here knows 9
	if len(up.sent) != 1 || !bytes.Equal(up.sent[0], frame(0, addr(9), addr(3), "upwards")) {
		t.Fatalf("sent up %q", up.sent)
	}
	ok(up.port.Arrived(frame(0, addr(3), addr(9), "down"), nil))
	if n := len(b.sent); n != 1 || !bytes.Equal(b.sent[0], frame(0, addr(3), addr(9), "down")) {
		t.Fatalf("sent down %q", b.sent)
	}
	ok(up.port.Arrived(frame(0, addr(8), addr(9), "to nobody"), nil)) // who asked is told
	if n := len(up.sent); n != 2 || !bytes.Equal(up.sent[1], frame(1, post.Addr{}, addr(8), "")) {
		t.Fatalf("sent up %q", up.sent)
	}
	a.port.Close()
	gone := frame(1, post.Addr{}, addr(2), "")
	if len(here.gone) != 1 || here.gone[0] != addr(2) || !bytes.Equal(b.sent[len(b.sent)-1], gone) || !bytes.Equal(up.sent[len(up.sent)-1], gone) {
		t.Fatalf("gone: %v, %q, %q", here.gone, b.sent, up.sent)
	}
}

// TestAnotherName breaks the link of a worker that writes in another's name, and hears it not when it says that another is gone.
func TestAnotherName(t *testing.T) {
	a, b := link(t, false), link(t, false)
	here := &box{}
	stop := post.Listen(addr(11), here)
	defer stop()
	if err := a.port.Arrived(frame(0, addr(11), addr(12), "mine"), nil); err != nil {
		t.Fatal(err)
	}
	for _, from := range []post.Addr{addr(11), addr(12)} {
		if err := b.port.Arrived(frame(0, addr(11), from, "not mine"), nil); err == nil {
			t.Errorf("%x was taken", from[:2])
		}
	}
	if err := b.port.Arrived(frame(1, post.Addr{}, addr(12), ""), nil); err != nil || len(here.gone) > 0 {
		t.Errorf("said to be gone by another: %v, %v", err, here.gone)
	}
	if len(here.got) != 1 {
		t.Errorf("got %q", here.got)
	}
	for _, rubbish := range [][]byte{nil, {0}, make([]byte, 32), frame(2, addr(11), addr(13), ""), frame(0, addr(11), addr(13), string(make([]byte, post.MostBody+1)))} {
		if err := b.port.Arrived(rubbish, nil); err == nil {
			t.Errorf("%d bytes of rubbish were taken", len(rubbish))
		}
	}
}

// TestStop tells everybody of who listens no more.
func TestStop(t *testing.T) {
	a := link(t, false)
	other := &box{}
	defer post.Listen(addr(22), other)()
	stop := post.Listen(addr(21), &box{})
	if err := a.port.Arrived(frame(0, addr(21), addr(23), "x"), nil); err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	if len(other.gone) != 1 || len(a.sent) != 1 || !bytes.Equal(a.sent[0], frame(1, post.Addr{}, addr(21), "")) {
		t.Errorf("%v, %q", other.gone, a.sent)
	}
	if err := post.Send(post.Message{To: addr(21)}); !errors.Is(err, post.ErrNoWay) {
		t.Errorf("sent: %v", err)
	}
}
