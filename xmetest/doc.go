// Package xmetest helps to test programs that use xme.
//
// A test binary is an ordinary program to xme: its workers are copies of it. So a package
// that opens pools in its tests needs
//
//	func TestMain(m *testing.M) {
//		xme.Init()
//		xmetest.Main(m)
//	}
//
// A test then opens a pool and makes calls, as any program does; this one kills the
// worker meanwhile:
//
//	pool := xmetest.Open(t, xme.Options{Workers: 1}) // closed with the test
//	row := work.Go(t.Context(), pool, in)
//	… // the row says that it runs
//	xmetest.Kill(t, pool, 1)
//	if _, err := row.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) { … }
//
// # Overview
//
// [Main] fails the run if tests left goroutines, descriptors, processes, mappings or
// files behind. [Open] opens a pool that is closed with its test; [OpenInProcess] opens
// one whose workers are goroutines, for tests inside a testing/synctest bubble. [Kill]
// ends a worker as a crash would. [Exercise] is the suite that every executor passes.
package xmetest
