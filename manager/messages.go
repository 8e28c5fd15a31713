package manager

import "context"

// Messages returns the manager's message table, apart from its value table and without reserved keys.
func (m *Manager) Messages() *Table { return &Table{m: m, which: messageTable} }

// CopyMsg has the messages be a copy of the value table, without reserved keys and without values of types that hold handles; what messages there were is
// no more. Nobody sees a part of it.
func (m *Manager) CopyMsg(ctx context.Context) error {
	_, leave, err := m.asTable().enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, err = opCopy.call(ctx, m, operatorRequest{m.op})
	return err
}
