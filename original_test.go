package xme_test

import "testing"

// The programs of examples/original are the examples of the original's README, written anew; they come to the results that it promises.

// The function table and the execution table: ten values and three give ten rows, the last eight with "b3"; of ten rows five begin, and five wait.
//
// feature: S1, S3, S4, S5, S6, F8
func TestOriginalStructure(t *testing.T) {
	runScript(t, "original-structure", "./examples/original/structure")
}

// 5050, and 5000000050000000, by ten processes that were started for it.
//
// feature: S7, S13, U4
func TestOriginalSinglefunction(t *testing.T) {
	runScript(t, "original-singlefunction", "./examples/original/singlefunction")
}

// A choice of functions, one of them twice; services that outnumber the pool, with a guard function whose result stands first.
//
// feature: S1, S8, S10, F25
func TestOriginalMultifunctions(t *testing.T) {
	runScript(t, "original-multifunctions", "./examples/original/multifunctions")
}

// Keywords and lists of the caller's choice arrive whole, each in its place.
//
// feature: S4, S9, F9
func TestOriginalArguments(t *testing.T) {
	runScript(t, "original-arguments", "./examples/original/arguments")
}

// Ten processes log a line each.
//
// feature: L1, L3
func TestOriginalPrint(t *testing.T) { runScript(t, "original-print", "./examples/original/print") }

// Each of logobj's attributes, changed by a task for itself.
//
// feature: L2, L3
func TestOriginalLogobj(t *testing.T) { runScript(t, "original-logobj", "./examples/original/logobj") }

// Shared variables of each kind and an object, together with an array that is split.
//
// feature: M1, M2, M3, M4
func TestOriginalSharedvariables(t *testing.T) {
	runScript(t, "original-sharedvariables", "./examples/original/sharedvariables")
}

// Each function of a manager, once.
//
// feature: X1, X2, X3, X4, X5, X6, X7, X8, F17
func TestOriginalManager(t *testing.T) {
	runScript(t, "original-manager", "./examples/original/manager")
}

// Who gets a lock of which kind, who gives it back, and what it guards.
//
// feature: K1, K2, K3, K4, K5
func TestOriginalSecurity(t *testing.T) {
	runScript(t, "original-security", "./examples/original/security")
}

// A text, a list and a map in a table of messages, under a lock, sealed and taken up elsewhere.
//
// feature: M2, N1, N2, K5
func TestOriginalMonitor(t *testing.T) {
	runScript(t, "original-monitor", "./examples/original/monitor")
}

// A server's functions, called by name: in one process, and from another program.
//
// feature: N3
func TestOriginalRPC(t *testing.T) { runScript(t, "original-rpc", "./examples/original/rpc") }

// 1000, though every row asks the guard to stop.
//
// feature: G1, G2, X3, X4, F18
func TestOriginalGuard(t *testing.T) { runScript(t, "original-guard", "./examples/original/guard") }

// 49500, as an array, and a guard that nobody stops.
//
// feature: G1, G3, X5
func TestOriginalHeartjump(t *testing.T) {
	runScript(t, "original-heartjump", "./examples/original/heartjump")
}

// A right triangle, in both forms; a main that fails, and one without others.
//
// feature: P1, P2, P3, P5, P6, P7, P8, F2, F7, F24
func TestOriginalMPI(t *testing.T) { runScript(t, "original-mpi", "./examples/original/mpi") }

// Every ball is counted, by processes and without them.
//
// feature: P1, P4, P11, F3
func TestOriginalPi(t *testing.T) { runScript(t, "original-pi", "./examples/original/pi") }

// What the original refuses crosses; what cannot cross is said when it is registered.
//
// feature: U1, U2, U5
func TestOriginalUnavailable(t *testing.T) {
	runScript(t, "original-unavailable", "./examples/original/unavailable")
}
