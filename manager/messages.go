package manager

import "context"

// Messages returns the manager's message table, which is separate from its value table and has no
// reserved keys.
func (m *Manager) Messages() *Table { return &Table{m: m, which: messageTable} }

// CopyMsg replaces all messages with a copy of the value table, leaving out reserved keys and
// values of types that hold handles. Nobody sees a partial copy.
func (m *Manager) CopyMsg(ctx context.Context) error {
	_, leave, err := m.asTable().enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, err = opCopy.call(ctx, m, operatorRequest{m.op})
	return err
}
