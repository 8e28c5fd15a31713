package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1"
	"github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
	"google.golang.org/protobuf/proto"
)

// Messages implements the service.
func (s *server) Messages(ctx context.Context, req *xmev1.MessagesRequest) (*xmev1.MessagesResponse, error) {
	changes := changesIn(req)
	writes := len(changes) > 0 || len(req.GetSealed()) > 0
	if f := s.messages(ctx, req.GetAll() || len(req.GetKeys()) > 0, writes); f != nil {
		return nil, f.connect()
	}
	if req.GetBare() && !writes && !req.GetAll() && !req.GetSeal() && len(req.GetKeys()) <= mostAsked { // a Subscribe that goes on asks for this, and has its place among the calls already
		res, err := s.exchange(ctx, req, nil)
		if err != nil {
			return nil, messageFailure(err).connect()
		}
		return res, nil
	}
	k := req.GetMark()
	if !writes {
		k = nil // to read once more does no harm
	}
	sum := func() uint64 {
		bare := proto.CloneOf(req)
		bare.Mark = nil
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
		return s.sum(WriteMessages, string(b))
	}
	out, f := s.once(ctx, k, sum, func(ctx context.Context) (any, int, *failure) {
		res, err := s.exchange(ctx, req, changes)
		if err != nil {
			return nil, 0, messageFailure(err)
		}
		return res, proto.Size(res), nil
	})
	if f != nil {
		return nil, f.connect()
	}
	return out.(*xmev1.MessagesResponse), nil
}

// messages refuses who may not do what it asks for.
func (s *server) messages(ctx context.Context, reads, writes bool) *failure {
	if s.monitor == nil {
		return refuse(connect.CodeUnimplemented, "", "the server has no messages")
	}
	for what, asked := range map[string]bool{ReadMessages: reads, WriteMessages: writes} {
		if !asked {
			continue
		}
		if err := s.access.may(ctx, requestOf(ctx).caller, what); err != nil {
			return refuse(connect.CodePermissionDenied, "not_allowed", err.Error())
		}
	}
	return nil
}

func changesIn(req *xmev1.MessagesRequest) []monitor.Change {
	var list []monitor.Change
	for _, key := range slices.Sorted(maps.Keys(req.GetExpect())) {
		list = append(list, monitor.If(key, req.GetExpect()[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(req.GetPut())) {
		list = append(list, monitor.PutJSON(key, []byte(req.GetPut()[key])))
	}
	for _, key := range req.GetDelete() {
		list = append(list, monitor.Drop(key))
	}
	return list
}

// exchange makes the changes that a request asks for, then reads.
func (s *server) exchange(ctx context.Context, req *xmev1.MessagesRequest, changes []monitor.Change) (*xmev1.MessagesResponse, error) {
	if err := s.monitor.Update(ctx, changes...); err != nil {
		return nil, err
	}
	if len(req.GetSealed()) > 0 {
		if err := s.monitor.Unmarshal(ctx, req.GetSealed()); err != nil {
			return nil, err
		}
	}
	res := &xmev1.MessagesResponse{}
	keys := req.GetKeys()
	switch {
	case req.GetAll():
		keys = nil
	case len(keys) == 0:
		return res, nil
	}
	wrote := len(changes) > 0 || len(req.GetSealed()) > 0 // then a key that is not there is no reason to fail
	if req.GetSeal() {
		var err error
		if res.Sealed, err = s.monitor.Marshal(ctx, keys...); err != nil && !(wrote && errors.Is(err, monitor.ErrNoKey)) {
			return nil, err
		}
		return res, s.fits(res)
	}
	if req.GetBare() {
		revs, err := proc.RevisionsOf(ctx, s.monitor, keys)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(revs)) {
			res.Messages = append(res.Messages, messageOf(monitor.Message{Key: key, Rev: revs[key]}))
		}
		return res, s.fits(res)
	}
	all, err := s.monitor.Messages(ctx, keys...)
	if err != nil && !(wrote && errors.Is(err, monitor.ErrNoKey)) {
		return nil, err
	}
	for _, m := range all.Items() {
		res.Messages = append(res.Messages, messageOf(m))
	}
	return res, s.fits(res)
}

func (s *server) fits(res *xmev1.MessagesResponse) error {
	if n := proto.Size(res); n > s.limits.Message {
		return refuse(connect.CodeResourceExhausted, "too_large", fmt.Sprintf("messages of %d bytes are over the limit, %d", n, s.limits.Message))
	}
	return nil
}

func messageOf(m monitor.Message) *xmev1.Message {
	return &xmev1.Message{Key: strings.ToValidUTF8(m.Key, "\uFFFD"), Value: string(m.JSON), Revision: m.Rev, Deleted: m.Deleted, Missed: uint64(m.Missed)}
}

// messageFailure says what an error of messages is to others.
func messageFailure(err error) *failure {
	for _, k := range []struct {
		is   error
		code connect.Code
		name string
	}{
		{monitor.ErrNoKey, connect.CodeNotFound, "no_key"},
		{monitor.ErrConflict, connect.CodeFailedPrecondition, "conflict"},
		{monitor.ErrReserved, connect.CodePermissionDenied, "reserved"},
		{monitor.ErrType, connect.CodeFailedPrecondition, "type"},
		{monitor.ErrKey, connect.CodeFailedPrecondition, "key"},
		{monitor.ErrReplay, connect.CodeAlreadyExists, "replay"},
		{monitor.ErrTampered, connect.CodeInvalidArgument, "tampered"},
		{monitor.ErrMalformed, connect.CodeInvalidArgument, "malformed"},
		{monitor.ErrTooLarge, connect.CodeResourceExhausted, "message_too_large"},
	} {
		if errors.Is(err, k.is) {
			return refuse(k.code, k.name, err.Error())
		}
	}
	return failureOf(err)
}

// Subscribe implements the service. It ends when the server does.
func (s *server) Subscribe(ctx context.Context, req *xmev1.SubscribeRequest, to xmev1connect.MonitorSubscribeServerStream) error {
	if f := s.messages(ctx, true, false); f != nil {
		return f.connect()
	}
	who := requestOf(ctx).who()
	if f := s.enter(who); f != nil {
		return f.connect()
	}
	defer s.exit(who)
	if err := to.Send(&xmev1.Message{Life: s.marks.life}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	for m, err := range s.monitor.Watch(ctx, req.GetKeys()...) {
		switch {
		case err != nil && m.Rev == 0 && s.draining.Err() != nil:
			return refuse(connect.CodeUnavailable, "draining", "the server is ending").connect()
		case err != nil && m.Rev == 0:
			return messageFailure(err).connect()
		case err != nil:
			s.log.Warn("message left out", "key", m.Key, "err", err)
			continue
		}
		if _, err := s.access.authenticate(requestOf(ctx).http, s.tls); err != nil { // any more
			return refuse(connect.CodeUnauthenticated, "unauthenticated", err.Error()).connect()
		}
		if f := s.messages(ctx, true, false); f != nil { // nor allowed
			return f.connect()
		}
		if err := to.Send(messageOf(m)); err != nil {
			return err
		}
	}
	return nil
}
