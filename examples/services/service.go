package main

import (
	"context"

	"github.com/xenonmp/xme"
)

// service is one of the two, and what became of it.
type service struct {
	name  string
	f     *xme.Func[string, int]
	at    string
	conns int
	err   error
}

// serve runs the service in a process of its own until ctx ends or the user interrupts. It returns what the service
// does, or why it never began.
func (s *service) serve(ctx context.Context, pool *xme.Pool) (int, error) {
	var table xme.Table
	row := s.f.With(xme.Service()).Add(&table, xme.Repeat(1, s.at))
	ended := table.Run(ctx, pool)
	for conns, err := range row.All() {
		return conns, err
	}
	return 0, ended
}
