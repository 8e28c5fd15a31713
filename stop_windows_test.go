package xme_test

import "testing"

func stop(t *testing.T, _ int) { t.Skip("no way to stop a process") }
