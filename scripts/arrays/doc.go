// Arrays pushes large arrays and views, and items through queues, through a pool whose workers are killed all the while, checks every
// element that comes out, and looks at what is left: shared memory in use, as this process and as the kernel counts it, and
// descriptors.
//
//	go run ./scripts/arrays -bytes 8GiB -size 64MiB -seed 1
//	go run ./scripts/arrays -t 10m
//
// It prints the seed, with which a run can be repeated, and ends with 1 if something was wrong or is left.
package main
