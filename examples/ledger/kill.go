package main

import (
	"errors"
	"os"

	"github.com/xenonmp/xme"
)

// kill kills a busy worker, if there is one, and the guard.
func kill(pool *xme.Pool, guard int) error {
	pids := []int{guard}
	for _, w := range pool.Workers() {
		if w.State == xme.Busy && w.PID != guard {
			pids = append(pids, w.PID)
			break
		}
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return nil
}
