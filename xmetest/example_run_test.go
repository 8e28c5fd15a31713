package xmetest_test

import "testing"

// The test of the package's example is one.
func TestExample(t *testing.T) { aWorkerDies(t) }
