package link_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 8 << 20

// conns opens a connected pair of each kind.
func conns(t *testing.T) map[string][2]link.Conn {
	t.Helper()
	a, b := link.Pair()
	kinds := map[string][2]link.Conn{"pair": {a, b}}
	near, far := socketPair(t)
	kinds["socket"] = [2]link.Conn{link.NewConn(near, limit), link.NewConn(far, limit)}
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	kinds["pipes"] = [2]link.Conn{link.NewConn(sys.Pipes(r1, w2), limit), link.NewConn(sys.Pipes(r2, w1), limit)}
	t.Cleanup(func() {
		for _, k := range kinds {
			_ = k[0].Close()
			_ = k[1].Close()
		}
	})
	return kinds
}

func socketPair(t *testing.T) (near, far sys.Stream) {
	t.Helper()
	near, file, err := sys.SocketPair()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	far, err = sys.Adopt(file)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// What cannot be written ends the connection, and its reader is told why.
func TestWhatCannotBeWrittenIsTold(t *testing.T) {
	t.Parallel()
	near, far := socketPair(t)
	defer far.Close()
	c := link.NewConn(near, 1<<20)
	defer c.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	c.Send(link.Frame{Kind: wire.KindCall, Parcel: &wire.Parcel{Items: []wire.Item{{File: file}}}})
	c.Flush()
	if _, _, err := c.Recv(); err == nil || errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "write to the link") {
		t.Errorf("%v, want what could not be written", err)
	}
}

// Frames of all sizes arrive whole and in order, while the other side sends too.
func TestFrames(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 100, 16<<10 - 1, 16 << 10, 32<<10 - 24, 32 << 10, 64 << 10, 100_000, 1 << 20, 5<<20 + 3}
	bodies := make([][]byte, len(sizes))
	for i, n := range sizes {
		bodies[i] = pattern(n)
	}
	for name, c := range conns(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan error, 4)
			for side := range 2 {
				go func() {
					for round := range 20 {
						for i, body := range bodies {
							c[side].Send(link.Frame{Kind: wire.KindCall, Func: uint16(i), Call: uint64(round), Time: 7, Body: body})
							if i%3 == 0 {
								c[side].Flush()
							}
						}
						c[side].Flush()
						c[side].Wait(1 << 20)
					}
					c[side].Wait(0)
					done <- nil
				}()
				go func() {
					for round := range 20 {
						for i, body := range bodies {
							f, _, err := c[1-side].Recv()
							if err != nil {
								done <- err
								return
							}
							if f.Call != uint64(round) || f.Func != uint16(i) || f.Time != 7 || !bytes.Equal(f.Body, body) {
								done <- fmt.Errorf("round %d, frame %d: got call %d, func %d, %d bytes", round, i, f.Call, f.Func, len(f.Body))
								return
							}
						}
					}
					done <- nil
				}()
			}
			for range 4 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// Files arrive with their frame, in order, whatever stands around it.
// feature: U1
func TestFilesTravel(t *testing.T) {
	t.Parallel()
	for name, c := range conns(t) {
		if !c[0].CarriesFiles() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const frames = 30
			for i := range frames {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fmt.Fprintf(w, "file %d", i)
				_ = w.Close()
				p := &wire.Parcel{Items: []wire.Item{{ID: [16]byte{byte(i)}, File: r}}}
				c[0].Send(link.Frame{Kind: wire.KindStart, Call: 1})
				c[0].Send(link.Frame{Kind: wire.KindCall, Call: uint64(i), Body: pattern(i * 2000), Parcel: p})
			}
			c[0].Flush()
			for i := range frames {
				if f, _, err := c[1].Recv(); err != nil || f.Parcel != nil {
					t.Fatal(f, err)
				}
				f, _, err := c[1].Recv()
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(f.Body, pattern(i*2000)) || f.Parcel == nil || len(f.Parcel.Items) != 1 || f.Parcel.Items[0].ID[0] != byte(i) {
					t.Fatalf("frame %d: %d bytes, %+v", i, len(f.Body), f.Parcel)
				}
				b, err := io.ReadAll(f.Parcel.Items[0].File)
				if want := fmt.Sprintf("file %d", i); string(b) != want || err != nil {
					t.Errorf("file of frame %d holds %q, %v", i, b, err)
				}
				f.Parcel.Close()
			}
		})
	}
}

// The end of one side: what it sent can still be read, then the other sees it.
func TestEnd(t *testing.T) {
	t.Parallel()
	for name, c := range conns(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c[1].Send(link.Frame{Kind: wire.KindHello}) // never read: must not hide the rest
			c[1].Flush()
			c[0].Send(link.Frame{Kind: wire.KindReady, Body: []byte("last words")})
			c[0].Flush()
			c[0].Wait(0)
			if err := c[0].Close(); err != nil {
				t.Fatal(err)
			}
			f, _, err := c[1].Recv()
			if err != nil || string(f.Body) != "last words" {
				t.Fatalf("%+v, %v", f, err)
			}
			if _, _, err := c[1].Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %v, want EOF", err)
			}
			c[1].Send(link.Frame{Kind: wire.KindReady, Body: pattern(1 << 20)})
			c[1].Flush()
			c[1].Wait(0) // must not hang
			if _, _, err := c[0].Recv(); !errors.Is(err, link.ErrClosed) {
				t.Errorf("Recv on a closed Conn: %v", err)
			}
		})
	}
}

// Bytes that are no frames are an error, and cost no memory.
func TestRubbish(t *testing.T) {
	t.Parallel()
	head := func(h wire.Header) []byte {
		var b [wire.HeaderSize]byte
		h.Put(&b)
		return b[:]
	}
	for name, tc := range map[string]struct {
		bytes []byte
		want  string
	}{
		"zeros":       {make([]byte, 100), "unknown kind 0"},
		"text":        {[]byte(strings.Repeat("GET / HTTP/1.1\r\n", 10)), "unknown kind"},
		"over limit":  {head(wire.Header{Kind: wire.KindCall, Len: limit + 1}), "over the limit"},
		"cut header":  {head(wire.Header{Kind: wire.KindCall})[:10], "ended within a frame"},
		"cut body":    {append(head(wire.Header{Kind: wire.KindCall, Len: limit}), 1, 2, 3), "ended within a frame"},
		"files ahead": {append(head(wire.Header{Kind: wire.KindCall, Len: 32, Files: 2}), make([]byte, 32)...), "names 2 files, 0 came"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := socketPair(t)
			c := link.NewConn(far, limit)
			defer func() { _ = c.Close() }()
			go func() {
				_, _ = near.Write(tc.bytes, nil)
				_ = near.Close()
			}()
			if _, _, err := c.Recv(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

// Whatever bytes come, Recv returns frames or an error.
func FuzzRecv(f *testing.F) {
	var b [wire.HeaderSize]byte
	wire.Header{Len: 5, Kind: wire.KindResult, Call: 2}.Put(&b)
	f.Add(append(b[:], "hello"...))
	wire.Header{Len: 16, Kind: wire.KindCall, Files: 1}.Put(&b)
	f.Add(append(b[:], make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		near, far := socketPair(t)
		c := link.NewConn(far, 1<<16)
		go func() {
			_, _ = near.Write(p, nil)
			_ = near.Close()
		}()
		total := 0
		for {
			fr, _, err := c.Recv()
			if err != nil {
				break
			}
			total += wire.HeaderSize + len(fr.Body)
		}
		if total > len(p) {
			t.Errorf("%d bytes of frames out of %d", total, len(p))
		}
		_ = c.Close()
		_ = near.Close()
	})
}
