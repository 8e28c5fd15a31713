package manager_test

import (
	"context"

	"github.com/xenonmp/xme/manager"
)

func tryWatch(ctx context.Context, m *manager.Manager, c *check) {}
