package manager

// ref is what handles on things that a manager keeps begin with.
type ref struct {
	m      *Manager
	number uint32
	typ    string
}
