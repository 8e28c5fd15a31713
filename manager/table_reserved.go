package manager

import (
	"slices"
)

// The reserved keys of a manager's value table. They can be read like any key, and Values includes
// them when it returns all keys. Len does not count them, and Clear leaves them. Writing or
// deleting one, or making a condition on it, is an error that wraps ErrReserved, except for
// [GuardKey].
const (
	// StatusKey holds the texts that operators set by [Manager.Status]: a map[string]string, by the
	// operators' names.
	StatusKey = "__STATUS__"
	// GuardKey holds the state of the guard, a [GuardState]. It may be set to GuardState{}, which
	// stops the guard.
	GuardKey = "__GUARD__"
	// BuiltinsKey holds the names of the built-in functions, a []string.
	BuiltinsKey = "__XMEM__"
)

// GuardState says whether the manager's guard runs.
type GuardState struct {
	Status bool
}

var reservedKeys = []string{StatusKey, GuardKey, BuiltinsKey}

var builtins = []string{
	"Table::update", "Table::set", "Table::delete", "Table::items", "Table::get",
	"Monitor::get", "Monitor::update", "Monitor::delete", "Monitor::copy_msg", "Lock::update",
}

func reserved(key string) bool { return slices.Contains(reservedKeys, key) }

// allowed reports whether a change of a reserved key is one that anybody may make: it stops the guard.
func allowed(c change) bool {
	if c.Key != GuardKey || c.Kind != changePut || c.Value == nil {
		return false
	}
	g, err := decode[GuardState](c.Value, GuardKey)
	return err == nil && !g.Status
}

// own returns a change of a reserved key by the host.
func own[T any](key string, v T) (change, error) {
	s, err := encode(v)
	if err != nil {
		return change{}, errorf("%s: %w", key, err)
	}
	return change{Kind: changePut, Key: key, Value: s}, nil
}

// reserve sets the reserved keys for the first time.
func (t *table) reserve() error {
	t.guarded = true
	status, err := own(StatusKey, map[string]string{})
	if err != nil {
		return err
	}
	guard, err := own(GuardKey, GuardState{})
	if err != nil {
		return err
	}
	names, err := own(BuiltinsKey, builtins)
	if err != nil {
		return err
	}
	_, err = t.update([]change{status, guard, names}, true)
	return err
}
