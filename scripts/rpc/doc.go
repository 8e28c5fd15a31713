// Rpc tries the promises of calls between hosts: 64 clients call a server through a proxy that cuts, truncates, delays and stalls their connections at random
// points, while its workers are killed if asked. Every call must end once, with its own answer or an error that such a fault may bring about, and have run
// at most once; so must each row of a stream. No more are lost with their workers than workers were killed.
//
//	go run ./scripts/rpc -t 1m -seed 1
//	go run ./scripts/rpc -kill 200ms -streams 20
//
// It makes rounds of -clients times -calls calls, for about -t, one at least. It prints the seed, with which a run can be repeated, and counts; it ends with 1
// if something was wrong or is left.
package main
