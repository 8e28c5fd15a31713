package main

import (
	"bytes"
	"compress/bzip2"
	_ "embed"
	"io"
	"os"

	"github.com/xenonmp/xme/shm"
)

// load reads the files, or the book, as often as repeat says, into shared memory.
func load(files []string, repeat int) (*shm.Array[byte], error) {
	var text []byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		text = append(append(text, b...), '\n')
	}
	if len(files) == 0 {
		var err error
		if text, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(opticks))); err != nil {
			return nil, err
		}
	}
	shared, err := shm.NewArray[byte](len(text) * repeat)
	if err != nil {
		return nil, err
	}
	for i := range repeat {
		copy(shared.Slice()[i*len(text):], text)
	}
	return shared, nil
}
