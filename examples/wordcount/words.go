package main

import (
	"bytes"
	"context"
	_ "embed"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// opticks is the text of 1704 (Project Gutenberg's number 33504), which is in the public domain.
//
//go:embed opticks.txt.bz2
var opticks []byte

var countWords = xme.Register("countWords", func(_ context.Context, text *shm.Array[byte]) (map[string]int, error) {
	counts := map[string]int{}
	add(counts, text.Slice())
	return counts, nil
})

// add counts the words of text: runs of letters and apostrophes, in lower case.
func add(counts map[string]int, text []byte) {
	for len(text) > 0 {
		begin := bytes.IndexFunc(text, isLetter)
		if begin < 0 {
			return
		}
		text = text[begin:]
		end := bytes.IndexFunc(text, func(r rune) bool { return !isLetter(r) && r != '\'' })
		if end < 0 {
			end = len(text)
		}
		counts[strings.ToLower(string(text[:end]))]++
		text = text[end:]
	}
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127 }

// parts cuts the text into about so many pieces, none of them within a word.
func parts(text *shm.Array[byte], n int) []*shm.Array[byte] {
	var all []*shm.Array[byte]
	s := text.Slice()
	step := max(len(s)/max(n, 1), 1)
	for from := 0; from < len(s); {
		to := min(from+step, len(s))
		for to < len(s) && s[to] != ' ' && s[to] != '\n' {
			to++
		}
		all = append(all, text.Part(from, to).ReadOnly())
		from = to
	}
	return all
}
