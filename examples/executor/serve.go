package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/xenonmp/xme"
)

// childEnv makes a copy of this program a child: it takes a function's name and arguments from its standard input and
// writes the result and the error to its standard output, each behind its length, until the input ends.
const childEnv = "EXECUTOR_CHILD"

// serveChild does so if this process is a child; main then returns. It follows xme.Init.
func serveChild() bool {
	if os.Getenv(childEnv) == "" {
		return false
	}
	_ = os.Unsetenv(childEnv) // what functions start is no child
	out := os.Stdout
	os.Stdout = os.Stderr // what functions print must not get between the results
	ctx, cancel := context.WithCancel(context.Background())
	calls := make(chan [2][]byte)
	go func() {
		defer close(calls)
		defer cancel() // whoever started this process is done with it, or dead
		for in := bufio.NewReader(os.Stdin); ; {
			name, args, err := receive(in)
			if err != nil {
				return
			}
			calls <- [2][]byte{name, args}
		}
	}()
	for call := range calls {
		body, err := xme.Serve(ctx, string(call[0]), call[1])
		var failure []byte
		if e := (*xme.Error)(nil); errors.As(err, &e) {
			failure, err = e.MarshalBinary()
		}
		if err != nil || send(out, body, failure) != nil {
			break
		}
	}
	return true
}

// send writes two values, each behind its length.
func send(w io.Writer, one, two []byte) error {
	b := make([]byte, 0, 8+len(one)+len(two))
	for _, part := range [][]byte{one, two} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	_, err := w.Write(b)
	return err
}

// receive reads what send wrote.
func receive(r io.Reader) (one, two []byte, err error) {
	for _, part := range []*[]byte{&one, &two} {
		var size [4]byte
		if _, err = io.ReadFull(r, size[:]); err != nil {
			return nil, nil, err
		}
		*part = make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err = io.ReadFull(r, *part); err != nil {
			return nil, nil, err
		}
	}
	return one, two, nil
}
