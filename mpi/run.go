package mpi

type calls struct{}
