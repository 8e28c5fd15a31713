// Guard tries the promises of a manager's queue of calls with eight workers, while they and the guard's process are killed: that each accepted call of
// an object's method is run once and in order, each queued function at most once, that whoever stops a guard, and whenever, leaves no call without
// an end and an empty queue, and that the calls of who died with a heartbeat are run or dropped, as asked.
//
//	go run ./scripts/guard -t 10m -seed 1
//	go run ./scripts/guard -only stops -t 1m
//
// The parts are appends, functions, stops and beats, each with the manager in the driver and in a process of its own. -t is shared out among what goes by time; what goes by number, as
// -n says, takes as long as it takes. It prints the seed, with which a run can be repeated, and counts; it ends with 1 if something was wrong or is left.
package main
