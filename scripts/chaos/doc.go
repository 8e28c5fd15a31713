// Chaos runs tables of rows that fail in every way while a monkey kills and stops
// their workers, and checks what became of each row and that nothing is left behind.
//
//	go run ./scripts/chaos -t 10m -seed 1 -workers 4
//
// Rows return values and errors, panic, exit, kill and stop themselves, use too much
// memory or time, leak, print, start programs that outlive them, and make calls of
// their own (rows_linux.go). A round opens a pool with random options, runs a few
// tables on it, makes calls one by one between them, perhaps cancels or closes in the middle, and closes it; beside it
// other pools are opened and closed all the time, and copies of this program run such
// rounds until they are killed.
//
// What is checked: each row that was read has exactly one result. A value is that
// row's own. An error is one that the row's kind allows, or ErrWorkerLost of a worker
// that was killed or stopped, and no more rows are lost so than the monkey struck
// workers. After each pool none of its
// processes is left, what the rows started included; after each round no descriptor,
// goroutine or file. A killed driver's processes are gone within -limit; it has run
// until then, and at least one such driver had workers.
//
// It exits with 1 if a check failed, with 2 if nothing ended for -patience, a minute. The seed
// of a round, printed with every complaint, runs that round again: as the first one.
// (What happens when is the scheduler's, so one run may not show it again.)
package main
