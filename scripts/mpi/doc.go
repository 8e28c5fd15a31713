// Mpi has mains of mpi.Run make calls, from eight goroutines each, while their ranks are killed and die by their own hand, and checks
// what becomes of each call. (-mode calls.)
//
//	go run ./scripts/mpi -n 10000 -seed 1
//	go run ./scripts/mpi -t 10m
//
// A round is one Run of random size, buffer and link. Calls go to any rank, one, some or all; they return values, errors and big
// values, panic, crash, exit, hang until they are cancelled, call others, ask for another attempt or for a process of their own. A
// monkey kills processes of Workers() by their numbers. Some rounds close ranks meanwhile; some end with main's error, its
// return, or their context with calls under way.
//
// What is checked: each future ends, once, with the result of its own call, on a rank that it named, or with an error that its call
// may have; no more calls are lost than the monkey killed processes, and of nothing else; none ends with ErrClosed unless its ranks were
// closed or its round was cut short. Run returns what main returned. After each round nothing is left of it.
//
// With -mode ranks a round is one Spawn of two to five ranks, over shared memory or not, that take part in random collectives and exchange messages until
// one is killed, exits, panics or fails. Spawn returns with that as its error; what the others got until then is right, and they are told which it was.
//
// It prints the seed, with which a run can be repeated (what happens when is the scheduler's), and counts. It ends with 1 if something was wrong, and
// with 2, and the stacks of all goroutines, if no call ended for a minute.
package main
