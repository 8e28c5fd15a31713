// Migration holds the documentation to what it speaks of: docs/migrating/from-xme.md to the public names of the Python library, and every
// Markdown file to the files, headings and Go names that it mentions.
//
//	go run ./scripts/migration -check           # fails if a name has no row, or a link or a Go name leads nowhere
//	go run ./scripts/migration -names README    # writes docs/migrating/names.txt anew from the library's README
//	go run ./scripts/migration -same README     # fails if that would change it
//
// The README of the library is not a part of this repository: the names that were found in it are, one a line, with the section that defines
// them. A name is taken from where the README defines it (signatures, tables of options, notes on older names) or, if it does nowhere, from where it first uses
// it. What its programs call their own is listed in names.go; any other word of its programs that is not a name of Python's is an error, so that
// no name is missed.
package main
