package manager

import (
	"context"
	"crypto/sha256"
	"reflect"
	"time"
	"unique"

	"github.com/xenonmp/xme/internal/wire"
)

// Requests is how many kinds of requests there are.
func Requests() int { return len(rawOps) }

// Waits says whether a request may wait.
func Waits(request int) bool { return rawOps[request].waits }

// Serve has m's host, which is in this process, serve a request that came as bytes.
func Serve(ctx context.Context, m *Manager, request int, in []byte) error {
	p := wire.NewParcel()
	defer p.Free()
	_, out, err := rawOps[request].serve(ctx, m.at.(*host), &caller{}, in, p, nil)
	out.Free()
	return err
}

// public is an ADMIN whose secret everybody knows.
var public = Operator{number: admin, secret: unique.Make(secret(make([]byte, leastSecret)))}

// Admit gives m's ADMIN the secret of the requests in Samples.
func Admit(m *Manager) {
	m.at.(*host).ops.Hashes[0] = sha256.Sum256(public.secretBytes())
	m.op, m.lock = public, m.lock.As(public)
}

// BoundResults has queued calls return so many bytes at most.
func BoundResults(bytes int) { mostResult = bytes }

// MostResult is how many they may return.
func MostResult() int { return mostResult }

// Samples are sound requests, by their kind.
func Samples() map[int][][]byte {
	all := map[int][][]byte{}
	v, _ := encode(map[string]int{"a": 1})
	g, _ := encode(GuardState{})
	n, _ := encodeAll([]int{1, 2, 3})
	list, dict := target{1, typeName(reflect.TypeFor[List[int]]())}, target{2, typeName(reflect.TypeFor[Map[string, int]]())}
	sample(all, opUpdate, updateRequest{public, 0, []change{{changePut, "k", 0, v}, {changeIf, "k", 0, nil}, {changePut, GuardKey, 0, g}}})
	sample(all, opUpdate, updateRequest{public, 1, []change{{changeDrop, "k", 0, nil}}})
	sample(all, opClear, tableRequest{public, 1})
	sample(all, opLen, tableRequest{public, 0})
	sample(all, opValues, valuesRequest{0, []string{StatusKey, "k"}})
	sample(all, opWatch, watchRequest{0, []string{"a*", "b"}, true, 0, 0})
	sample(all, opWatch, watchRequest{0, nil, false, 7, 9})
	sample(all, opKeys, keysRequest{0, nil})
	sample(all, opCopy, operatorRequest{public})
	sample(all, opStatus, statusRequest{public, "text"})
	sample(all, opMake, makeRequest{public, "name", list.Type, false, n})
	sample(all, opFind, findRequest{"list", list.Type})
	sample(all, opSize, targetRequest{public, dict, true})
	sample(all, opPop, targetRequest{public, list, false})
	sample(all, opRelease, targetRequest{public, list, false})
	sample(all, opSplice, spliceRequest{public, list, 1, 1, n})
	sample(all, opSlice, sliceRequest{list, 0, -1})
	sample(all, opPut, putRequest{public, dict, []string{"a", "b", "c"}, n, true})
	sample(all, opMapGet, keyRequest{public, dict, "a"})
	sample(all, opMapDelete, keyRequest{public, dict, "a"})
	sample(all, opPairs, pairsRequest{dict, false})
	sample(all, opAdd, addRequest{public, dict, "a", uint8(reflect.Int), make([]byte, 8)})
	sample(all, opAttach, leaseRequest{Exec: true})
	sample(all, opAttach, leaseRequest{ID: 7, Rows: true, Idle: -1})
	sample(all, opResign, askRequest{Gen: 1})
	sample(all, opExpect, guardRequest{ID: 7})
	sample(all, opTableEnded, guardRequest{ID: 7})
	sample(all, opStop, struct{}{})
	sample(all, opState, struct{}{})
	sample(all, opBuffers, struct{}{})
	sample(all, opBuiltin, builtinRequest{Op: public, ID: 1, Name: "Table::update", Changes: []change{{changePut, "k", 0, v}, {changePut, GuardKey, 0, g}}})
	sample(all, opBuiltin, builtinRequest{Op: public, ID: 1, Nested: true, Name: "Lock::update", Kind: 1})
	sample(all, opResult, operatorRequest{public})
	sample(all, opTake, takeRequest{public, 1})
	sample(all, opClean, operatorRequest{public})
	sample(all, opDiscard, operatorRequest{public})
	sample(all, opBeat, beatRequest{Op: public, Every: time.Second, Drop: true})
	sample(all, opBeat, beatRequest{Op: public, ID: 1, End: true})
	return all
}

func sample[In, Out any](all map[int][][]byte, o *op[In, Out], in In) {
	p := wire.NewParcel()
	defer p.Free()
	if b, err := wire.Append(inOf(o), nil, &in, p); err == nil {
		all[int(o.code)] = append(all[int(o.code)], b)
	}
}

func inOf[In, Out any](o *op[In, Out]) wire.Codec[In]   { return wire.Codec[In]{Plan: o.ins.get()} }
func outOf[In, Out any](o *op[In, Out]) wire.Codec[Out] { return wire.Codec[Out]{Plan: o.outs.get()} }
