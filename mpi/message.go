package mpi

import (
	"context"
	"fmt"
)

const (
	// AnySource receives from whichever rank has sent first.
	AnySource = -1
	// AnyTag receives a message whatever its tag.
	AnyTag = -1
	// MaxTag is the largest tag; the smallest is 0.
	MaxTag = 1<<31 - 1
)

// Status describes a message that has come.
type Status struct {
	Source int // the rank that sent it, in the communicator
	Tag    int
	Bytes  int // its encoded size
}

// Send sends v to a rank, with a tag. It returns once v may be changed: a small message is on its
// way by then, a large one has been received, and one to the caller's own rank has been copied.
// Among the messages that match a receive, those from one rank to another in one communicator are
// received in the order they were sent.
//
// Numbers, arrays and structs made only of these, and slices of all of them, are sent as they lie
// in memory; values of other types are encoded like arguments of functions. Files and shared memory
// cannot be sent. If ctx ends first, or a rank of the communicator dies or fails, Send returns the
// cause or a *RankError, and it is unknown whether the message will arrive. It also returns a
// *RankError if the receiver's function has returned.
func Send[T any](ctx context.Context, c *Comm, to, tag int, v T) error {
	check(ctx, "Send")
	g, err := c.ranks()
	if err == nil {
		err = g.checkTag(tag, false)
	}
	if err == nil {
		var member int
		if member, err = g.member(to, false); err == nil {
			err = send(ctx, g, "Send", kindIn[T](g), member, g.id*2, tag, &v)
		}
	}
	return failed("Send", to, tag, err)
}

// Recv receives a message from a rank or AnySource, with a tag or AnyTag, waiting for it to come. T
// must be the type that was sent; otherwise the message is lost, and the error wraps ErrType. If
// ctx ends first, if the rank it waits for has returned without sending, or if a rank of the
// communicator dies or fails, Recv returns the cause or a *RankError.
func Recv[T any](ctx context.Context, c *Comm, from, tag int) (v T, st Status, err error) {
	check(ctx, "Recv")
	g, member, err := c.source(from, tag)
	if err == nil {
		st, err = recv(ctx, g, "Recv", kindIn[T](g), member, g.id*2, tag, &v)
	}
	return v, st, failed("Recv", from, tag, err)
}

// RecvInto receives a message that is a []T into dst, and returns how many elements it has. T is a
// number, or arrays or structs made only of numbers, which are sent as they lie in memory. If dst
// is too short, the message is lost, and the error wraps ErrTruncated. After an error dst may have
// been changed.
func RecvInto[T any](ctx context.Context, c *Comm, from, tag int, dst []T) (n int, st Status, err error) {
	check(ctx, "RecvInto")
	g, member, err := c.source(from, tag)
	if err == nil {
		n, st, err = recvInto(ctx, g, "RecvInto", member, g.id*2, tag, dst)
	}
	return n, st, failed("RecvInto", from, tag, err)
}

// SendRecv sends and receives at the same time, so that ranks that exchange values do not wait for
// each other for ever.
func SendRecv[T any](ctx context.Context, c *Comm, to, sendTag int, v T, from, recvTag int) (got T, st Status, err error) {
	check(ctx, "SendRecv")
	g, member, err := c.source(from, recvTag) // before anything is sent
	if err != nil {
		return got, st, failed("Recv", from, recvTag, err)
	}
	s := isend(c, to, sendTag, v)
	if s.err != nil {
		return got, st, s.err
	}
	defer s.forsake()
	st, err = recv(ctx, g, "Recv", kindIn[T](g), member, g.id*2, recvTag, &got)
	err = failed("Recv", from, recvTag, err)
	if serr := s.await(ctx, true); err == nil {
		err = serr
	}
	return got, st, err
}

// SendRecvInto is SendRecv for a slice, received into dst as by RecvInto. v and dst must not
// overlap.
func SendRecvInto[T any](ctx context.Context, c *Comm, to, sendTag int, v []T, from, recvTag int, dst []T) (n int, st Status, err error) {
	check(ctx, "SendRecvInto")
	g, member, err := c.source(from, recvTag) // before anything is sent
	if err == nil {
		err = kindIn[[]T](g).checkInPlace()
	}
	if err != nil {
		return 0, st, failed("RecvInto", from, recvTag, err)
	}
	s := isend(c, to, sendTag, v)
	if s.err != nil {
		return 0, st, s.err
	}
	defer s.forsake()
	n, st, err = recvInto(ctx, g, "RecvInto", member, g.id*2, recvTag, dst)
	err = failed("RecvInto", from, recvTag, err)
	if serr := s.await(ctx, true); err == nil {
		err = serr
	}
	return n, st, err
}

// Probe waits for a message that Recv with the same arguments would receive, and describes it
// without receiving it. It returns an error when Recv would.
func Probe(ctx context.Context, c *Comm, from, tag int) (st Status, err error) {
	check(ctx, "Probe")
	g, member, err := c.source(from, tag)
	if err == nil {
		o := &op{g: g, what: "Probe", peer: member, comm: g.id * 2, tag: tag, probe: true}
		if err = g.w.run(ctx, o, g.w.recv); err == nil {
			st = o.status()
		}
	}
	return st, failed("Probe", from, tag, err)
}

// check panics, on the caller's goroutine, if there is no context.
func check(ctx context.Context, what operation) {
	if ctx == nil {
		panic(nilContext(what))
	}
}

func nilContext(what operation) string {
	return "mpi: " + string(what) + ": nil context: pass the one at hand, or context.Background()"
}

func (g *group) checkTag(tag int, wild bool) error {
	if tag < 0 && !(wild && tag == AnyTag) || tag > MaxTag {
		return fmt.Errorf("tag %d: tags go from 0 to %d", tag, MaxTag)
	}
	return nil
}

// failed tells what an error ended.
func failed(what operation, peer, tag int, err error) error {
	if err == nil {
		return nil
	}
	with := fmt.Sprintf("rank %d", peer)
	if peer == AnySource {
		with = "any rank"
	}
	if tag == AnyTag {
		return fmt.Errorf("mpi: %s, %s: %w", what, with, err)
	}
	return fmt.Errorf("mpi: %s, %s, tag %d: %w", what, with, tag, err)
}

// status tells of the message that a receive has got.
func (o *op) status() Status {
	return Status{Source: o.g.rankOf(o.source), Tag: int(o.got), Bytes: o.size}
}

// endless reports whether a wait with those bounds ends only with the rank's function, if at all.
func endless(bounds <-chan struct{}, g *group) bool { return bounds == nil || bounds == g.done }
