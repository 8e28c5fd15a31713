// Manager checks what package manager promises, with real processes, some of which are killed:
//
//	object     workers count through one object: exactly, whoever is killed; the manager in the driver, then in a process of its own
//	locks      workers count under MUTEX, SPIN and AUTHORISATION: exactly, whoever is killed with the lock
//	readwrite  one registered writer, readers that find nothing torn, a second writer who is refused
//	watch      10,000 keys, watched by all workers, slow ones too: each ends at each key's last revision, in order, none twice
//	calls      a million calls, after which there is no more memory in use
//
//	go run ./scripts/manager -n 100000 -seed 1
//	go run ./scripts/manager -only watch -t 1m
//
// It prints the seed and counts; it ends with 1 if something was wrong or is left.
package main
