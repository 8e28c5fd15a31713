package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"google.golang.org/protobuf/proto"
)

// Change is one change in a [Client.Update].
type Change struct {
	key  string
	text string
	drop bool
	cond bool
	rev  uint64
	err  error
}

// Put returns a change that sets a key to a value, encoded by encoding/json. A monitor.Array keeps
// its type and shape.
func Put[T any](key string, v T) Change {
	t, err := text(v)
	return Change{key: key, text: t, err: err}
}

// PutJSON returns a change that sets a key to the value of a JSON text.
func PutJSON(key string, text []byte) Change {
	c := Change{key: key, text: string(text)}
	if !json.Valid(text) {
		c.err = errors.New("it is not JSON")
	}
	return c
}

// Drop returns a change that deletes a key. If there is no such key, the update fails with
// monitor.ErrNoKey.
func Drop(key string) Change { return Change{key: key, drop: true} }

// If returns a condition: before the update, the key's revision must be rev or, if rev is 0, there
// must be no such key. If it does not hold, the update fails with monitor.ErrConflict.
func If(key string, rev uint64) Change { return Change{key: key, cond: true, rev: rev} }

// Update makes all changes of the server's messages at once, or none. It does so at most once.
func (c *Client) Update(ctx context.Context, changes ...Change) error {
	req := &xmev1.MessagesRequest{Put: map[string]string{}, Expect: map[string]uint64{}}
	refused := func(key, why string) error {
		return &Error{Code: "invalid_argument", Message: fmt.Sprintf("the change of %q: %s", key, why), kind: ErrArguments}
	}
	for _, ch := range changes {
		if !utf8.ValidString(ch.key) || !utf8.ValidString(ch.text) {
			return refused(ch.key, "key or value is not UTF-8")
		}
		_, put := req.Put[ch.key]
		_, cond := req.Expect[ch.key]
		switch {
		case ch.err != nil:
			return refused(ch.key, ch.err.Error())
		case ch.cond && cond, !ch.cond && (put || slices.Contains(req.Delete, ch.key)):
			return refused(ch.key, "there are two")
		case ch.cond:
			req.Expect[ch.key] = ch.rev
		case ch.drop:
			req.Delete = append(req.Delete, ch.key)
		default:
			req.Put[ch.key] = ch.text
		}
	}
	if len(changes) == 0 {
		return nil
	}
	_, err := c.messages(ctx, req)
	return err
}

// Messages returns the server's messages of keys, all as they were at one moment. For one key that
// does not exist the error is monitor.ErrNoKey; of several keys it returns those that exist;
// without keys, all.
func (c *Client) Messages(ctx context.Context, keys ...string) (monitor.Messages, error) {
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	res, err := c.messages(ctx, &xmev1.MessagesRequest{Keys: keys, All: len(keys) == 0})
	if err != nil {
		return nil, err
	}
	all := make(monitor.Messages, len(res.GetMessages()))
	for _, m := range res.GetMessages() {
		all[m.GetKey()] = messageFrom(m)
	}
	return all, nil
}

// Push makes the server merge messages that monitor.Marshal has sealed, at most once.
func (c *Client) Push(ctx context.Context, sealed []byte) error {
	if len(sealed) == 0 {
		return &Error{Code: "invalid_argument", Message: "no sealed messages: nothing was sent", kind: monitor.ErrMalformed}
	}
	_, err := c.messages(ctx, &xmev1.MessagesRequest{Sealed: sealed})
	return err
}

// Pull returns the server's messages sealed, for monitor.Unmarshal: those of keys or, without keys,
// all.
func (c *Client) Pull(ctx context.Context, keys ...string) ([]byte, error) {
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	res, err := c.messages(ctx, &xmev1.MessagesRequest{Keys: keys, All: len(keys) == 0, Seal: true})
	return res.GetSealed(), err
}

func (c *Client) messages(ctx context.Context, req *xmev1.MessagesRequest) (*xmev1.MessagesResponse, error) {
	var res *xmev1.MessagesResponse
	err := c.marked(ctx, "", proto.Size(req), func(k *xmev1.Mark) (note, error) {
		req.Mark = k
		var err error
		res, err = c.api.Messages(ctx, req)
		return 0, err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func messageFrom(m *xmev1.Message) monitor.Message {
	msg := monitor.Message{Key: m.GetKey(), Rev: m.GetRevision(), Deleted: m.GetDeleted(), Missed: int(m.GetMissed())}
	if !msg.Deleted {
		msg.JSON = json.RawMessage(m.GetValue())
	}
	return msg
}

// Subscribe yields the server's messages of keys, and then every change. A key that ends in "*"
// stands for all keys with that prefix; without keys it yields all. A client that does not keep up
// is not sent every change of a key; Missed counts those left out.
//
// If a connection breaks, a new one is made. Then what changed in between is yielded, without a
// count: of each key the newest value, if its revision is newer than what was yielded before, and
// keys that are gone as deleted, with the revision that they had. After a restart of the server all
// is yielded again. The error that ends it comes in the last pair, also when ctx ends.
func (c *Client) Subscribe(ctx context.Context, keys ...string) iter.Seq2[monitor.Message, error] {
	return func(yield func(monitor.Message, error) bool) {
		if err := checkKeys(keys); err != nil {
			yield(monitor.Message{}, err)
			return
		}
		w := &watch{keys: keys, seen: map[string]uint64{}, yield: yield}
		err := c.repeat(ctx, "", func(int) (note, error) {
			got := w.got
			err := w.follow(ctx, c)
			if w.life != "" && reasonOf(err) == "busy" { // it had its place: it will again
				err = connect.NewError(connect.CodeUnavailable, "busy")
			}
			if w.got > got {
				return progress, err
			}
			return 0, err
		})
		if !w.left {
			w.left = true
			yield(monitor.Message{}, err)
		}
	}
}

// checkKeys refuses what cannot be sent.
func checkKeys(keys []string) error {
	for _, k := range keys {
		if !utf8.ValidString(k) {
			return &Error{Code: "invalid_argument", Message: fmt.Sprintf("the key %q is not UTF-8", k), kind: ErrArguments}
		}
	}
	return nil
}

// watch is a Subscribe.
type watch struct {
	keys  []string
	life  string
	seen  map[string]uint64 // revisions of what is there, as far as it was yielded
	gone  map[string]uint64 // revisions, as yielded, of what had gone when this connection began
	yield func(monitor.Message, error) bool
	got   int
	left  bool
}

// follow yields what one connection brings. It does not return nil.
func (w *watch) follow(ctx context.Context, c *Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.api.Subscribe(ctx, &xmev1.SubscribeRequest{Keys: w.keys})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		w.got++
		if m.GetLife() != "" {
			err = w.begin(ctx, c, m.GetLife())
		} else {
			err = w.take(messageFrom(m))
		}
		if err != nil {
			return err
		}
	}
}

// begin yields what has gone since the last connection. If that cannot be known, the next connection sees to it.
func (w *watch) begin(ctx context.Context, c *Client, life string) error {
	w.gone = map[string]uint64{}
	if w.life == "" {
		w.life, w.seen = life, map[string]uint64{}
		return nil
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(w.seen)), mostAsked) {
		res, err := c.api.Messages(ctx, &xmev1.MessagesRequest{Keys: keys, Bare: true})
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, m := range res.GetMessages() {
			there[m.GetKey()] = true
		}
		for _, key := range keys {
			if there[key] {
				continue
			}
			rev := w.seen[key]
			if w.life == life { // else revisions begin anew
				w.gone[key] = rev
			}
			delete(w.seen, key)
			if err := w.put(monitor.Message{Key: key, Rev: rev, Deleted: true}); err != nil {
				return err
			}
		}
	}
	if w.life != life {
		w.life, w.seen = life, map[string]uint64{}
	}
	return nil
}

// mostAsked is how many keys are asked for at once, whether they are there.
const mostAsked = 100

func (w *watch) take(m monitor.Message) error {
	rev, known := w.seen[m.Key]
	if at, gone := w.gone[m.Key]; gone && !known && (m.Rev <= at || m.Deleted) { // it had been read before its key was seen to have gone, or says so
		w.gone[m.Key] = max(at, m.Rev)
		return nil
	}
	switch {
	case known && m.Rev <= rev:
		return nil
	case m.Deleted:
		delete(w.seen, m.Key)
	default:
		w.seen[strings.Clone(m.Key)] = m.Rev
	}
	return w.put(m)
}

func (w *watch) put(m monitor.Message) error {
	if !w.yield(m, nil) {
		w.left = true
		return errLeft
	}
	return nil
}
