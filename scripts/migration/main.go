package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
)

// The files, from the root of the repository.
const (
	namesFile = "docs/migrating/names.txt"
	tableFile = "docs/migrating/from-xme.md"
)

func main() {
	check := flag.Bool("check", false, "fail if a name has no row, or a link leads nowhere")
	write := flag.String("names", "", "the library's README: write "+namesFile+" from it")
	same := flag.String("same", "", "the library's README: fail if "+namesFile+" is not what it has")
	flag.Parse()
	if flag.NArg() > 0 || flag.NFlag() != 1 {
		fmt.Fprintln(os.Stderr, "migration: no arguments, and one of -check, -names and -same")
		os.Exit(2)
	}
	faults, err := run(*check, *write, *same)
	for _, f := range faults {
		fmt.Fprintln(os.Stderr, f)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "migration:", err)
		os.Exit(1)
	case len(faults) > 0:
		fmt.Fprintf(os.Stderr, "migration: %d faults\n", len(faults))
		os.Exit(1)
	}
}

func run(check bool, write, same string) (faults []string, err error) {
	switch {
	case write != "":
		list, err := readSpec(write)
		if err != nil {
			return nil, err
		}
		return nil, os.WriteFile(namesFile, list, 0o644)
	case same != "":
		list, err := readSpec(same)
		if err != nil {
			return nil, err
		}
		old, err := os.ReadFile(namesFile)
		if err == nil && !bytes.Equal(old, list) {
			err = fmt.Errorf("%s is not what %s has: run with -names", namesFile, same)
		}
		return nil, err
	case check:
		return checkAll(os.DirFS("."))
	}
	return nil, errors.New("say -check, -names or -same")
}

// checkAll returns what is wrong with the documentation below root.
func checkAll(root fs.FS) ([]string, error) {
	faults, err := checkRows(root)
	if err != nil {
		return nil, err
	}
	more, err := checkPages(root)
	return append(faults, more...), err
}

func readSpec(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	list, err := namesOf(string(text))
	if err != nil {
		return nil, err
	}
	return renderNames(list), nil
}
