package mpi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Op combines two values into one. It must be associative, but need not be commutative: values are
// combined in the order of their ranks, ((v0·v1)·v2)·…, so the result is that of a loop over the
// ranks, bit by bit, on each of them. It must not change its arguments, nor call this package.
type Op[T any] func(a, b T) T

// Number is the constraint of Sum and Product.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64 | ~complex64 | ~complex128
}

// Sum is an Op that returns a + b.
func Sum[T Number](a, b T) T { return a + b }

// Product is an Op that returns a × b.
func Product[T Number](a, b T) T { return a * b }

// Min is an Op that returns the smaller value, or NaN if either is NaN.
func Min[T cmp.Ordered](a, b T) T { return min(a, b) }

// Max is an Op that returns the larger value, or NaN if either is NaN.
func Max[T cmp.Ordered](a, b T) T { return max(a, b) }

// fold combines values in order.
func fold[T any](all []T, op Op[T]) T {
	v := all[0]
	for _, b := range all[1:] {
		v = op(v, b)
	}
	return v
}

// Reduce combines the ranks' values, and returns the result to root; to the others it returns a
// zero value.
func Reduce[T any](ctx context.Context, c *Comm, root int, v T, op Op[T]) (sum T, err error) {
	t, err := c.collective(ctx, actReduce)
	if err == nil {
		err = t.root(root)
	}
	if err == nil {
		err = t.operator(op == nil)
	}
	if err != nil {
		return sum, err
	}
	all, err := gather(t, kindIn[T](t.g), root, v)
	if err != nil || all == nil {
		return sum, err
	}
	return fold(all, op), nil
}

// Allreduce combines the ranks' values, and returns the result to all.
func Allreduce[T any](ctx context.Context, c *Comm, v T, op Op[T]) (sum T, err error) {
	t, err := c.collective(ctx, actAllreduce)
	if err == nil {
		err = t.operator(op == nil)
	}
	if err != nil {
		return sum, err
	}
	all, err := allgather(t, kindIn[T](t.g), v)
	if err != nil {
		return sum, err
	}
	return fold(all, op), nil
}

// Scan combines the values of ranks 0 up to and including the caller's.
func Scan[T any](ctx context.Context, c *Comm, v T, op Op[T]) (sum T, err error) {
	t, err := c.collective(ctx, actScan)
	if err == nil {
		err = t.operator(op == nil)
	}
	if err != nil {
		return sum, err
	}
	k := kindIn[T](t.g)
	for r := t.g.rank + 1; r < len(t.g.ranks); r++ {
		sendTo(t, k, r, &v)
	}
	all, err := collect(t, k, v, t.g.rank+1)
	if err != nil {
		return sum, err
	}
	return fold(all, op), nil
}

// AllreduceSlice combines the ranks' slices element by element, in place: afterwards buf holds the
// result on every rank. All slices must have the same length; T is as for RecvInto.
//
// Each rank combines a part of all slices, and sends it to all (Rabenseifner, 2004, with the parts
// exchanged directly). After an error buf may have been changed.
func AllreduceSlice[T any](ctx context.Context, c *Comm, buf []T, op Op[T]) error {
	t, err := c.collective(ctx, actAllreduceSlice)
	if err == nil {
		err = t.operator(op == nil)
	}
	if err != nil {
		return err
	}
	if err := inPlace[T](t); err != nil {
		return err
	}
	n := len(t.g.ranks)
	if n == 1 {
		return nil
	}
	t.salt = salt(len(buf))
	if len(bytesOf(buf)) <= smallSlice || len(buf) < n {
		k := kindIn[[]T](t.g)
		for d := 1; d < n; d++ {
			sendTo(t, k, (t.g.rank+d)%n, &buf)
		}
		return foldFrom(t, buf, op)
	}
	mine := part(buf, t.g.rank, n)
	if err := reduceScatter(t, buf, mine, op); err != nil {
		return err
	}
	k := kindIn[[]T](t.g)
	for d := 1; d < n; d++ {
		recvTo(t, (t.g.rank-d+n)%n, part(buf, (t.g.rank-d+n)%n, n))
	}
	for d := 1; d < n; d++ {
		sendTo(t, k, (t.g.rank+d)%n, &mine)
	}
	return t.await()
}

// ReduceSlice combines the ranks' slices element by element: root has the result in buf, the
// others' are unchanged. All slices must have the same length; T is as for RecvInto. After an error
// root's buf may have been changed.
func ReduceSlice[T any](ctx context.Context, c *Comm, root int, buf []T, op Op[T]) error {
	t, err := c.collective(ctx, actReduceSlice)
	if err == nil {
		err = t.root(root)
	}
	if err == nil {
		err = t.operator(op == nil)
	}
	if err != nil {
		return err
	}
	if err := inPlace[T](t); err != nil {
		return err
	}
	n, k := len(t.g.ranks), kindIn[[]T](t.g)
	t.salt = salt(len(buf))
	switch {
	case n == 1:
		return nil
	case n > 2 && len(bytesOf(buf)) > smallSlice && len(buf) >= n:
		mine := part(buf, t.g.rank, n)
		if t.g.rank != root {
			mine = slices.Clone(mine)
		}
		if err := reduceScatter(t, buf, mine, op); err != nil {
			return err
		}
		if t.g.rank != root {
			sendTo(t, k, root, &mine)
			return t.await()
		}
		for r := range n {
			if r != root {
				recvTo(t, r, part(buf, r, n))
			}
		}
		return t.await()
	case t.g.rank != root:
		sendTo(t, k, root, &buf)
		return t.await()
	case n == 2:
		return foldOne(t, 1-root, buf, op)
	}
	return foldFrom(t, buf, op)
}

// salt makes a slice's length a part of its type: who has another is told so.
func salt(n int) uint32 {
	h := uint64(n) * 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	return uint32(h>>40) & hashMask
}

// smallSlice is up to how many bytes slices are sent whole to all.
const smallSlice = 2 << 10

// part is the part of s that a rank of n combines.
func part[T any](s []T, rank, n int) []T {
	return s[len(s)*rank/n : len(s)*(rank+1)/n]
}

// foldFrom combines what all ranks send with buf, this one's, in the order of ranks.
func foldFrom[T any](t *turn, buf []T, op Op[T]) error {
	n, size := len(t.g.ranks), len(buf)
	all := make([][]T, n)
	space := make([]T, (n-1)*size)
	for r := range n {
		if r == t.g.rank {
			all[r] = buf
			continue
		}
		all[r], space = space[:size:size], space[size:]
		recvTo(t, r, all[r])
	}
	if err := t.await(); err != nil {
		return err
	}
	if len(all) == 1 || size == 0 {
		return nil
	}
	// In pieces that stay in the cache while slice after slice is combined into them.
	combine, _ := loopOf(op)
	step := max(1, foldBytes/max(1, len(bytesOf(buf))/size))
	for lo := 0; lo < size; lo += step {
		hi := min(size, lo+step)
		acc := all[0][lo:hi]
		for _, s := range all[1:] {
			combine(acc, s[lo:hi], false)
		}
		copy(buf[lo:hi], acc)
	}
	return nil
}

const foldBytes = 16 << 10

// reduceScatter combines each rank's part of all slices: this one's into mine, which holds its own.
func reduceScatter[T any](t *turn, buf, mine []T, op Op[T]) error {
	k, n := kindIn[[]T](t.g), len(t.g.ranks)
	parts := make([][]T, n)
	for d := 1; d < n; d++ {
		r := (t.g.rank + d) % n
		parts[r] = part(buf, r, n)
		sendTo(t, k, r, &parts[r])
	}
	if n == 2 {
		return foldOne(t, 1-t.g.rank, mine, op)
	}
	return foldFrom(t, mine, op)
}

// foldOne combines what one rank sends with dst: as it comes, if the operator is this package's own; code of the user's waits until all is there.
func foldOne[T any](t *turn, from int, dst []T, op Op[T]) error {
	combine, own := loopOf(op)
	k := kindIn[[]T](t.g)
	if !own || k.elem > t.g.w.limits.piece {
		return foldFrom(t, dst, op)
	}
	f := &folding[T]{k: k, dst: dst, combine: combine, left: from < t.g.rank, salt: t.salt}
	o := t.op(from)
	o.sink = f
	t.begin(&o, t.g.w.recv)
	return t.await()
}

// folding combines a slice with one that comes.
type folding[T any] struct {
	k       *kind[[]T]
	dst     []T
	combine loop[T]
	left    bool // what comes is the first operand
	salt    uint32
}

func (f *folding[T]) begin(hash uint32, size int) error {
	if hash&hashMask != f.k.hash^f.salt || size != len(bytesOf(f.dst)) {
		return fmt.Errorf("it is no %s, or the slices have different lengths: %w", f.k.name, ErrType)
	}
	return nil
}

func (f *folding[T]) write(off int, b []byte) {
	if src := sliceOf[T](b); len(src) > 0 {
		f.combine(f.dst[off/f.k.elem:], src, f.left)
	}
}

func (f *folding[T]) end() error { return nil }
