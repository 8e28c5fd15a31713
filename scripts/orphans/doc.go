// Orphans measures how long the processes of a pool outlive its driver.
//
//	go run ./scripts/orphans -n 100
//
// It starts a program with a pool of two workers, waits until both are in some state,
// kills the program with SIGKILL, and looks every millisecond whether one of its
// processes is left, what the workers started included. The states: idle; in a loop
// that calls nothing; in a system call that the runtime does not know of; stopped by
// SIGSTOP; with a program that a row has started; and dead, unnoticed by the driver,
// with such a program left. A zombie counts as gone: who adopts it reaps it.
//
// It prints a line per state and exits with 1 if a process lived on for longer than
// -limit, or is still there after two seconds.
package main
