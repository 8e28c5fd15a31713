package manager

import (
	"context"
	"time"
)

// Status sets the status text of the handle's operator, which [StatusKey] holds under the
// operator's name. An empty text stands for "alive" and the time. It does not wait for the
// manager's lock.
func (m *Manager) Status(ctx context.Context, text string) error {
	if m == nil {
		return errorf("a zero Manager: %w", ErrClosed)
	}
	if text == "" {
		text = "alive " + time.Now().Format(time.RFC3339)
	}
	_, err := opStatus.call(ctx, m, statusRequest{m.op, text})
	return err
}
