// Wordcount counts the words of a book. The text lies in shared memory, of which each call gets a part that ends between
// two words; what comes back are the counts. The book is Isaac Newton's Opticks, or the files that are named.
//
//	go run ./examples/wordcount -top 10
//
// feature: M1
package main

import (
	"bytes"
	"cmp"
	"compress/bzip2"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
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

func run(ctx context.Context, files []string, repeat, top, workers int) error {
	text, err := load(files, repeat)
	if err != nil {
		return err
	}
	defer text.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()

	counts := map[string]int{}
	for row := range countWords.Unordered(ctx, pool, slices.Values(parts(text, 4*workers))) {
		if row.Err != nil {
			return row.Err
		}
		for word, n := range row.Value {
			counts[word] += n
		}
	}
	serial := map[string]int{}
	add(serial, text.Slice())
	if !maps.Equal(counts, serial) {
		return fmt.Errorf("the pool's counts differ from the serial ones")
	}
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	for _, w := range words[:min(top, len(words))] {
		fmt.Printf("%8d %s\n", counts[w], w)
	}
	fmt.Printf("%d bytes, %d words, %d different, equal to the serial count\n", text.Len(), total, len(counts))
	return nil
}

func main() {
	xme.Init()
	repeat := flag.Int("repeat", 1, "how often the text is put behind itself")
	top := flag.Int("top", 10, "how many `words` to print")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: wordcount [flags] [file ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	err := error(nil)
	if *repeat < 1 || *top < 0 || *p < 1 {
		err = fmt.Errorf("-repeat %d -top %d -p %d: repeat and p are 1 or more, top is not negative", *repeat, *top, *p)
	} else {
		err = run(context.Background(), flag.Args(), *repeat, *top, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}
