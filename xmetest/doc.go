// Package xmetest helps to test programs that use xme.
//
// A test binary is a user's binary: its workers are copies of it. So a package
// that opens pools in its tests needs
//
//	func TestMain(m *testing.M) {
//		xme.Init()
//		xmetest.Main(m)
//	}
//
// A test then opens a pool and calls, as any program does; here it kills the worker meanwhile:
//
//	pool := xmetest.Open(t, xme.Options{Workers: 1}) // closed with the test
//	row := work.Go(t.Context(), pool, in)
//	… // the row says that it runs
//	xmetest.Kill(t, pool, 1)
//	if _, err := row.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) { … }
//
// # What there is
//
// [Main] fails the run if tests left goroutines, descriptors, processes, mappings
// or files behind. [Open] opens a pool, closed with its test; [OpenInProcess] one
// whose workers are goroutines, for tests inside a testing/synctest bubble. [Kill]
// ends a worker as a crash would. [Exercise] is the suite that every executor
// passes.
package xmetest
