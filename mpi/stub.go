package mpi

type (
	group struct{}
)
