// Locks has tasks take locks of package shm, several goroutines of each, while their processes are killed: at random, and by
// their own hand while they hold one. What the locks guard shows whether two were ever inside at a time, whether the next holder was
// told of a death whenever something was left half-done, and that nothing was lost. No wait may last longer than -late: what a
// death leaves is freed at once.
//
//	go run ./scripts/locks -t 10m -seed 1
//	go run ./scripts/locks -nosweep     # it fails: nothing is freed when a process dies
//
// It prints the seed, with which a run can be repeated, counts, and how long it took from the killing of a holder until the next
// had the lock; it ends with 1 if something was wrong or is left.
package main
