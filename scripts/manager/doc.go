// Manager tries the promises of package manager with eight workers, undisturbed and while they are killed: that each call of an object's method is
// done once, that locks lose nothing and tell of deaths, that writers and readers exclude each other, that a watch yields the last of each key, that
// nothing grows, and that what was kept comes back.
//
//	go run ./scripts/manager -t 10m -seed 1
//	go run ./scripts/manager -only watch -t 1m
//
// The parts are object, locks, readwrite, watch, calls and restart. -t is shared out among what goes by time; what goes by number, as -n says, takes as
// long as it takes. It prints the seed, with which a run can be repeated, and counts; it ends with 1 if something was wrong or is left.
package main
