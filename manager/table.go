package manager

// tables are a host's value and message tables.
type tables struct{}

func (t *tables) init(*host) {}
