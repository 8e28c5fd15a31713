// Package region keeps the shared memory that users of package shm make, one table for
// the process: what there is, under which id, who holds it, and what lies unused for
// the next.
//
// A [Region] is memory with a random [ID] that other processes map too. References
// are counted: a handle of a user's is one, a row that carries it is one for as long
// as it is under way, a driver that has shown it to this process is one. With the last
// the memory is kept for the next region of that size, or freed.
//
// An id names a region to whoever has it; who has not gets the descriptor first, on
// the link (package proc shows each worker what its rows name) or beside the value
// (package wire, for what was made in a worker).
package region
