package manager_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Purse is an object that tasks share. Calls of its methods never overlap.
type Purse struct{ Cents int }

func (p *Purse) Put(_ context.Context, cents int) (int, error) {
	p.Cents += cents
	return p.Cents, nil
}

var putIn = manager.Method("putIn", (*Purse).Put)

// collection is what each task is given.
type collection struct {
	Manager *manager.Manager
	Purse   *manager.Object[Purse]
}

var collect = xme.Register("collect", func(ctx context.Context, c collection) (int, error) {
	cents, err := manager.Get[int](ctx, c.Manager, "cents")
	if err != nil {
		return 0, err
	}
	_, err = putIn.Call(ctx, c.Purse, cents)
	return cents, err
})

// Four tasks read a value that all see, and call one object.
func Example() {
	ctx := context.Background()
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	purse, err := manager.Share(ctx, m, "purse", &Purse{})
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Set(ctx, m, "cents", 250); err != nil {
		log.Fatal(err)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	for _, err := range collect.Map(ctx, pool, xme.Repeat(4, collection{m, purse})) {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(putIn.Call(ctx, purse, 0))

	// An operator may read what the tables hold. To write is ADMIN's, until he says otherwise.
	guest, err := m.NewOperator(ctx)
	if err != nil {
		log.Fatal(err)
	}
	err = manager.Set(ctx, m.As(guest), "cents", 0)
	fmt.Println(guest, errors.Is(err, manager.ErrNotAuthorised))
	// Output:
	// 1000 <nil>
	// operator 2 true
}
