// Package ring moves records between two processes through memory that both map,
// without a system call.
//
// A [Lane] is the memory of one driver and one worker. Rows go one way, results the
// other, each through a bounded ring with one producer and one consumer. Rows can be
// taken back until the worker has claimed them: one word holds how many rows are
// published and how many are claimed, and both sides change it by compare-and-swap
// only. What one side waits for, the other is told by two more words (who sleeps, and
// until when).
//
//	offset  word                     written by
//	0       rows: limit | claimed    both, by compare-and-swap; then a row that is alone
//	128     the worker sleeps        the worker sets, the driver takes
//	192     results: tail            the worker; then a result that is alone
//	320     results: head            the driver
//	384     watch: who waits | until the driver sets, the worker takes
//	448     the worker wants room    the worker sets, the driver takes
//	512     pace                     the driver
//	640     rows, then results
//
// The memory may be any: shared between processes, or plain memory of one process,
// so that the race detector sees every access. docs/memory.md names the edges that
// order them. The driver trusts nothing that it reads: a count or length that cannot
// be is [ErrCorrupt], and nothing is read twice.
//
// [Lock], [RWLock], [Semaphore], [Cond], [Event], [Barrier], [Cell] and [Queue] are for any number of
// processes, each of which may be killed at any time. An [End] is one side of a connection of two processes, a [Mesh]
// what the ranks of a communicator send each other letters through. What all of these sleep with is a [Waits].
package ring
