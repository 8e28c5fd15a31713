package mpi

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme/internal/ring"
)

// act is which collective one is.
type act uint8

const (
	actBarrier act = iota
	actBroadcast
	actBroadcastSlice
	actScatter
	actGather
	actAllgather
	actAlltoall
	actReduce
	actAllreduce
	actScan
	actAllreduceSlice
	actReduceSlice
	actSplit

	actBits = 4
)

var acts = [1 << actBits]operation{
	"Barrier", "Broadcast", "BroadcastSlice", "Scatter", "Gather", "Allgather", "Alltoall", "Reduce", "Allreduce", "Scan", "AllreduceSlice", "ReduceSlice", "Split",
}

// turn is one collective. Its messages go in a communicator that only collectives use, under a tag that says the how manieth it is, and which:
// ranks that call different ones wait for each other, and the deadlock shows it.
type turn struct {
	salt  uint32          // goes into the hash of types
	ctx   context.Context //nolint:containedctx // the call's, for as long as it lasts
	g     *group
	what  operation
	tag   int
	ops   []*op
	spent []interface{ free() } // receives that are free for others once all have ended
	err   error
}

// collective begins one.
func (c *Comm) collective(ctx context.Context, a act) (*turn, error) {
	check(ctx, acts[a])
	g, err := c.ranks()
	if err != nil {
		return nil, err
	}
	return g.collective(ctx, a), nil
}

func (g *group) collective(ctx context.Context, a act) *turn {
	n := g.turns.Add(1)
	return &turn{ctx: ctx, g: g, what: acts[a], tag: int(n<<actBits&MaxTag) | int(a)}
}

// fail ends what has been begun, and returns why the collective failed.
func (t *turn) fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	w := t.g.w
	w.mu.Lock()
	for _, o := range t.ops {
		_ = w.leave(o, t.err)
	}
	w.mu.Unlock()
	t.ops = nil
	return fmt.Errorf("mpi: %s: %w", t.what, t.err)
}

// comm is the communicator's number for collectives.
func (t *turn) comm() uint32 { return t.g.id*2 + 1 }

func (t *turn) op(rank int) op {
	return op{g: t.g, what: t.what, peer: t.g.ranks[rank], comm: t.comm(), tag: t.tag}
}

// sendTo begins to send *v to a rank; *v stays as it is until await.
func sendTo[T any](t *turn, k *kind[T], rank int, v *T) {
	if t.err == nil {
		t.err = k.err
	}
	if t.err != nil {
		return
	}
	if body, hash, plain := k.plain(v); plain {
		if t.g.w.post(t.g.ranks[rank], &ring.Letter{Kind: whole, Type: hash ^ t.salt, Comm: t.comm(), Tag: int32(t.tag), Body: body}) {
			return
		}
		held := *v // on the heap
		v = &held
	}
	body, hash, err := k.encode(v)
	if err != nil {
		t.err = err
		return
	}
	t.send(rank, body, hash, max(k.elem, 1))
}

// send begins to send what a value goes as.
func (t *turn) send(rank int, body []byte, hash uint32, unit int) {
	o := t.op(rank)
	o.body, o.hash, o.unit = body, hash^t.salt, unit
	t.begin(&o, t.g.w.send)
}

// recvFrom begins to receive from a rank.
func recvFrom[T any](t *turn, k *kind[T], rank int) *receipt[T] {
	if t.err == nil {
		t.err = k.err
	}
	r := k.receipt()
	r.op = t.op(rank)
	r.sink = r
	t.begin(&r.op, t.g.w.recv)
	return r
}

// recvTo begins to receive into memory.
func recvTo[T any](t *turn, rank int, dst []T) {
	r, err := newInto(t.g, t.what, t.g.ranks[rank], t.comm(), t.tag, dst)
	if err != nil {
		t.err = err
		return
	}
	r.exact, r.salt = true, t.salt
	t.begin(&r.op, t.g.w.recv)
	t.spent = append(t.spent, r)
}

func (t *turn) begin(o *op, how func(*op) error) {
	if t.err != nil {
		return
	}
	w := t.g.w
	w.mu.Lock()
	err := how(o)
	w.mu.Unlock()
	if err != nil {
		t.err = err
		return
	}
	t.ops = append(t.ops, o)
}

// await waits for all that has been begun.
func (t *turn) await() error {
	if t.err == nil {
		t.err = t.wait()
	}
	if t.err != nil {
		return t.fail(t.err)
	}
	for _, r := range t.spent {
		r.free()
	}
	t.ops, t.spent = t.ops[:0], t.spent[:0]
	return nil
}

// wait waits until one has failed, or all have ended. If a method of the context panics, all end.
func (t *turn) wait() (err error) {
	w := t.g.w
	w.mu.Lock()
	err = errForsaken
	defer func() {
		if err == errForsaken { //nolint:errorlint // identity is meant
			for _, o := range t.ops {
				_ = w.leave(o, err)
			}
		}
		w.mu.Unlock()
	}()
	for _, o := range t.ops {
		if err := w.wait(t.ctx, o, true); err != nil {
			return err
		}
	}
	return nil
}

// post sends a letter if that needs no waiting.
func (w *world) post(to int, l *ring.Letter) bool {
	if to == w.rank || len(l.Body) > w.limits.eager {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err == nil && w.allWell() && w.ends[to].how == 0 && len(w.outgo[to].queue) == 0 && w.out[to].Put(l)
}

// root checks the rank that a collective goes out from, or leads to.
func (t *turn) root(root int) error {
	if _, err := t.g.member(root, false); err != nil {
		return t.fail(fmt.Errorf("root: %w", err))
	}
	return nil
}

// operator checks that there is one.
func (t *turn) operator(isNil bool) error {
	if isNil {
		return t.fail(errors.New("the operator is nil"))
	}
	return nil
}

// inPlace checks that slices of T go as they lie in memory.
func inPlace[T any](t *turn) error {
	if k := kindIn[[]T](t.g); k.elem == 0 {
		return t.fail(fmt.Errorf("the elements of a %s are encoded on their way, and cannot be received in place: use the form for single values: %w", k.name, errors.ErrUnsupported))
	}
	return nil
}

// Barrier waits until all ranks of the communicator have called it.
//
// It proceeds in rounds: in round k each rank notifies the one 2^k above it, and waits for the one
// 2^k below (the dissemination barrier of Hensgen, Finkel and Manber, 1988).
func (c *Comm) Barrier(ctx context.Context) error {
	t, err := c.collective(ctx, actBarrier)
	if err != nil {
		return err
	}
	k, n := kindIn[struct{}](t.g), len(t.g.ranks)
	for d := 1; d < n; d *= 2 {
		sendTo(t, k, (t.g.rank+d)%n, &struct{}{})
		r := recvFrom(t, k, (t.g.rank-d+n)%n)
		if err := t.await(); err != nil {
			return err
		}
		r.free()
	}
	return nil
}

// Broadcast returns root's v to all ranks.
//
// Like BroadcastSlice, it sends v down a binomial tree.
func Broadcast[T any](ctx context.Context, c *Comm, root int, v T) (T, error) {
	t, err := c.collective(ctx, actBroadcast)
	if err == nil {
		err = t.root(root)
	}
	if err != nil {
		return v, err
	}
	k := kindIn[T](t.g)
	parent, children := t.g.tree(root)
	if parent >= 0 {
		r := recvFrom(t, k, parent)
		if err := t.await(); err != nil {
			return v, err
		}
		if v, err = r.value(); err != nil {
			return v, t.fail(err)
		}
		r.free()
	}
	for _, child := range children {
		sendTo(t, k, child, &v)
	}
	return v, t.await()
}

// BroadcastSlice copies root's buf into that of every rank, which must have the same length. T is
// as for RecvInto.
func BroadcastSlice[T any](ctx context.Context, c *Comm, root int, buf []T) error {
	t, err := c.collective(ctx, actBroadcastSlice)
	if err == nil {
		err = t.root(root)
	}
	if err != nil {
		return err
	}
	if err := inPlace[T](t); err != nil {
		return err
	}
	k := kindIn[[]T](t.g)
	parent, children := t.g.tree(root)
	if parent >= 0 {
		recvTo(t, parent, buf)
		if err := t.await(); err != nil {
			return err
		}
	}
	for _, child := range children {
		sendTo(t, k, child, &buf)
	}
	return t.await()
}

// tree returns a rank's place in the binomial tree of a root: its parent, -1 for the root, and its children, the
// one with the most below it first.
func (g *group) tree(root int) (parent int, children []int) {
	n := len(g.ranks)
	place := (g.rank - root + n) % n
	parent = -1
	bit := 1
	for ; bit < n; bit *= 2 {
		if place&bit != 0 {
			parent = (place - bit + root) % n
			break
		}
	}
	for bit /= 2; bit > 0; bit /= 2 {
		if place+bit < n {
			children = append(children, (place+bit+root)%n)
		}
	}
	return parent, children
}

// Scatter returns to each rank its part of root's v, which has one part for each rank; v is ignored
// on other ranks. Parts that are slices may have any lengths.
func Scatter[T any](ctx context.Context, c *Comm, root int, v []T) (part T, err error) {
	t, err := c.collective(ctx, actScatter)
	if err == nil {
		err = t.root(root)
	}
	if err != nil {
		return part, err
	}
	k := kindIn[T](t.g)
	if t.g.rank != root {
		r := recvFrom(t, k, root)
		if err := t.await(); err != nil {
			return part, err
		}
		if part, err = r.value(); err != nil {
			return part, t.fail(err)
		}
		r.free()
		return part, nil
	}
	if err := t.parts(len(v)); err != nil {
		return part, err
	}
	for d := 1; d < len(v); d++ {
		r := (root + d) % len(v)
		sendTo(t, k, r, &v[r])
	}
	if part, err = k.copy(&v[root]); err != nil {
		return part, t.fail(err)
	}
	return part, t.await()
}

// parts checks that there is one for each rank.
func (t *turn) parts(n int) error {
	if n != len(t.g.ranks) {
		return t.fail(fmt.Errorf("%d parts for %d ranks", n, len(t.g.ranks)))
	}
	return nil
}

// Gather returns to root what each rank gave, in rank order, and nil to the others.
func Gather[T any](ctx context.Context, c *Comm, root int, v T) ([]T, error) {
	t, err := c.collective(ctx, actGather)
	if err == nil {
		err = t.root(root)
	}
	if err != nil {
		return nil, err
	}
	return gather(t, kindIn[T](t.g), root, v)
}

func gather[T any](t *turn, k *kind[T], root int, v T) ([]T, error) {
	if t.g.rank != root {
		sendTo(t, k, root, &v)
		return nil, t.await()
	}
	return collect(t, k, v, len(t.g.ranks))
}

// collect returns what the first n ranks sent, by rank; v is this one's.
func collect[T any](t *turn, k *kind[T], v T, n int) (all []T, err error) {
	from := make([]*receipt[T], n)
	for r := range from {
		if r != t.g.rank {
			from[r] = recvFrom(t, k, r)
		}
	}
	if err := t.await(); err != nil {
		return nil, err
	}
	all = make([]T, n)
	for r, got := range from {
		if got == nil {
			continue
		}
		if all[r], err = got.value(); err != nil {
			return nil, t.fail(fmt.Errorf("from rank %d: %w", r, err))
		}
		got.free()
	}
	if t.g.rank < n {
		if all[t.g.rank], err = k.copy(&v); err != nil {
			return nil, t.fail(err)
		}
	}
	return all, nil
}

// copy returns what *v is once it has been sent and received.
func (k *kind[T]) copy(v *T) (T, error) {
	if k.raw {
		return *v, nil
	}
	body, hash, err := k.encode(v)
	r := receipt[T]{k: k}
	r.v = &r.held
	if err == nil {
		err = r.begin(hash, len(body))
	}
	if err != nil {
		return r.held, err
	}
	r.write(0, body)
	return r.value()
}

// Allgather returns to all ranks what each gave, in rank order.
func Allgather[T any](ctx context.Context, c *Comm, v T) ([]T, error) {
	t, err := c.collective(ctx, actAllgather)
	if err != nil {
		return nil, err
	}
	return allgather(t, kindIn[T](t.g), v)
}

func allgather[T any](t *turn, k *kind[T], v T) ([]T, error) {
	n := len(t.g.ranks)
	for d := 1; d < n; d++ {
		sendTo(t, k, (t.g.rank+d)%n, &v)
	}
	return collect(t, k, v, n)
}

// Alltoall sends v[r] to each rank r, and returns what each rank sent to this one, in rank order. v
// has one part for each rank; parts that are slices may have any lengths.
func Alltoall[T any](ctx context.Context, c *Comm, v []T) ([]T, error) {
	t, err := c.collective(ctx, actAlltoall)
	if err == nil {
		err = t.parts(len(v))
	}
	if err != nil {
		return nil, err
	}
	k, n := kindIn[T](t.g), len(v)
	for d := 1; d < n; d++ {
		r := (t.g.rank + d) % n
		sendTo(t, k, r, &v[r])
	}
	return collect(t, k, v[t.g.rank], n)
}
