package mpi

type (
	calls struct{}
	group struct{}
)
