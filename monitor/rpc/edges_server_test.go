package rpc_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/xmetest"
)

// frame is a message of a stream.
func frame(text string) string {
	return string(append([]byte{0}, binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)) + text
}

// hello opens a session as other languages do, and returns its marks.
func hello(t *testing.T, base string) (mark func(number int) string) {
	t.Helper()
	_, text := post(t, base+"Hello", `{}`)
	var s struct{ Life, Session string }
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return func(number int) string {
		return fmt.Sprintf(`{"life":%q,"session":%q,"number":"%d"}`, s.Life, s.Session, number)
	}
}

// TestCancelBeforeStream: docs/rpc.md says of Cancel that it ends the call "also if its request has not arrived yet".
func TestCancelBeforeStream(t *testing.T) {
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(echo, xme.Inline())})
	base := s.addr + "/xme.v1.Monitor/"
	mark := hello(t, base)
	if status, body := post(t, base+"Cancel", `{"mark":`+mark(1)+`}`); status != http.StatusOK {
		t.Fatal(status, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"Stream", strings.NewReader(frame(`{"function":"echo","args":["\"a\""],"mark":`+mark(1)+`}`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/connect+json")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatalf("the handler panicked: %v", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), `"canceled"`) {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestExpectContinue: a call may last longer than Limits.Slow, also if its request asked whether to go on, as curl does before 1 MiB and more.
func TestExpectContinue(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{Slow: 30 * time.Millisecond}))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.addr, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"function":"hold","args":"\"expect\""}`
	in := bufio.NewReader(conn)
	_, _ = fmt.Fprintf(conn, "POST /xme.v1.Monitor/Call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusContinue {
		t.Fatal(res, err)
	}
	_, _ = io.WriteString(conn, body)
	g := gateOf("expect")
	<-g.begun
	<-time.After(100 * time.Millisecond) // longer than Slow, as in TestSlow
	close(g.open)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("the call ended, and its answer did not come: %v", err)
	}
	_ = res.Body.Close()
}

// touchy is a result whose JSON cannot be made.
type touchy struct{ N int }

func (v touchy) MarshalJSON() ([]byte, error) {
	if v.N == 0 {
		panic("as asked")
	}
	return fmt.Appendf(nil, "%d", v.N), nil
}

var touch = xme.Register("touch", func(_ context.Context, n int) (touchy, error) { return touchy{n}, nil })

// picky is an argument that panics when it is read.
type picky struct{ N int }

func (v *picky) UnmarshalJSON(text []byte) error {
	if string(text) == "0" {
		panic("as asked")
	}
	return json.Unmarshal(text, &v.N)
}

var pick = xme.Register("pick", func(_ context.Context, v picky) (int, error) { return v.N, nil })

// TestRowFailsAlone: "A row's failure is its own", docs/rpc.md says.
func TestRowFailsAlone(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
	c := dial(t, serveOn(t, listen(t), []rpc.Function{rpc.Export(touch, pool), rpc.Export(pick, pool)}).addr)
	for _, name := range []string{"touch", "pick"} {
		for r := range rpc.Stream[int, int](t.Context(), c, name, []int{1, 0, 2, 3}) {
			if failed := r.Index == 1; failed != (r.Err != nil) {
				t.Errorf("%s: row %d: %v, %v", name, r.Index, r.Value, r.Err)
			}
		}
	}
}

// TestSubscribeIsRefusedLater: who may not read messages any more is sent no more of them. It holds for tokens and certificates.
func TestSubscribeIsRefusedLater(t *testing.T) {
	m := monitor.New(monitor.Options{})
	var closed atomic.Bool
	may := rpc.WithAuthorize(func(_ context.Context, _ rpc.Caller, what string) error {
		if what == rpc.ReadMessages && closed.Load() {
			return errors.New("no more")
		}
		return nil
	})
	c := dial(t, serveOn(t, listen(t), nil, rpc.WithMonitor(m), may).addr)
	is(t, monitor.Set(t.Context(), m, "k", 1), nil)
	n := 0
	for got, err := range c.Subscribe(limited(t), "k") {
		if err != nil {
			is(t, err, rpc.ErrNotAllowed)
			break
		}
		if n++; n > 1 {
			t.Errorf("sent %s after it was refused", got.JSON)
			break
		}
		closed.Store(true)
		is(t, monitor.Set(t.Context(), m, "k", 2), nil)
	}
}

// TestReadersAreCounted: who subscribes, and who reads all, has one of the calls of one client.
func TestReadersAreCounted(t *testing.T) {
	m := monitor.New(monitor.Options{})
	is(t, monitor.Set(t.Context(), m, "k", 1), nil)
	s := serveOn(t, listen(t), nil, rpc.WithMonitor(m), rpc.WithLimits(rpc.Limits{CallsPerSession: 1}))
	c := dial(t, s.addr)
	for _, err := range c.Subscribe(limited(t), "k") {
		is(t, err, nil)
		for body, want := range map[string]int{
			`{"keys":["k"],"bare":true}`:             http.StatusOK, // as a Subscribe that goes on asks
			`{"keys":["k"]}`:                         http.StatusTooManyRequests,
			`{"all":true,"bare":true}`:               http.StatusTooManyRequests,
			`{"keys":["k"],"bare":true,"seal":true}`: http.StatusTooManyRequests,
		} {
			if status, text := post(t, s.addr+"/xme.v1.Monitor/Messages", body); status != want {
				t.Errorf("%s: %d %s, want %d", body, status, text, want)
			}
		}
		break
	}
}

// TestCallsOfOneClient: the guide says that WithLimits bounds the calls in flight "of one client". A client that leaves marks out is not bounded.
func TestCallsOfOneClient(t *testing.T) {
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 4})
	s := serveOn(t, listen(t), []rpc.Function{rpc.Export(hold, pool)}, rpc.WithLimits(rpc.Limits{CallsPerSession: 1}))
	g := gateOf("unmarked")
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			status, _ := post(t, s.addr+"/xme.v1.Monitor/Call", `{"function":"hold","args":"\"unmarked\""}`)
			answers <- status
		}()
	}
	<-g.begun
	left := 2
	select {
	case <-g.begun:
		t.Error("two calls of one client are in flight, and one was allowed")
	case status := <-answers:
		left--
		if status != http.StatusTooManyRequests {
			t.Error(status)
		}
	}
	close(g.open)
	for range left {
		<-answers
	}
}
