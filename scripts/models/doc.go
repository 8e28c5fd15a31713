// Models has spin check the models of the wait protocols in internal/ring/model: each run that the head of a model names, which is to
// be without error, and each mutation, which is to be found wrong. It needs spin and a C compiler.
//
//	go run ./scripts/models
//	go run ./scripts/models -v          # with the trail of what is found
//	go run ./scripts/models lock gate   # only these
//
// It prints a line for each and ends with 1 if one is not as expected, or was not searched to its end; with 2 if a tool is missing.
package main
