// Wordcount counts the words of a book. The text lies in shared memory, of which each call gets a part that ends between
// two words; what comes back are the counts. The book is Isaac Newton's Opticks, or the files that are named.
//
//	go run ./examples/wordcount -top 10
//
// feature: M1
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/xenonmp/xme"
)

func main() {
	xme.Init()
	repeat := flag.Int("repeat", 1, "how often the text is put behind itself")
	top := flag.Int("top", 10, "how many `words` to print")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`")
	flag.Usage = func() {
		_, _ = fmt.Fprintln(flag.CommandLine.Output(), "usage: wordcount [flags] [file ...]")
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
