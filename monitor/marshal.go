package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// mostKeys is how many keys a sealed message may hold.
const mostKeys = 1 << 20

// Marshal returns messages sealed, as one JSON object. For one key that does not exist the error is
// ErrNoKey; of several keys it seals those that exist; without keys, all.
func (m *Monitor) Marshal(ctx context.Context, keys ...string) ([]byte, error) {
	all, err := m.Messages(ctx, keys...)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(m.o.Limit)
	if err != nil {
		return nil, err
	}
	if len(all) > mostKeys {
		return nil, fmt.Errorf("%w: %d keys, above %d", ErrTooLarge, len(all), mostKeys)
	}
	text := []byte{'{'}
	for key, msg := range all.Items() {
		if !utf8.ValidString(key) {
			return nil, fmt.Errorf("%w: the key %s is no UTF-8", ErrMalformed, briefKey(key))
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, name...), ':'), msg.JSON...)
		if len(text) > limit {
			return nil, tooLarge("a message, so far", uint64(len(text)), limit)
		}
	}
	return Sealer{m.o.Keys, m.o.Context, m.o.Limit, m.o.Plain}.Seal(append(text, '}'))
}

// Unmarshal opens the output of Marshal, from here or elsewhere, and puts all its messages into the
// table at once, or none of them; other keys stay. The error wraps one of [Opener.Open]'s, or the
// table's. With a Window a message counts as opened even if the table could then not be changed: it
// is merged at most once. Each copy of a monitor that crosses remembers messages for itself.
func (m *Monitor) Unmarshal(ctx context.Context, sealed []byte) error {
	if err := m.usable(); err != nil {
		return err
	}
	text, _, err := m.opener.Open(sealed)
	if err != nil {
		return err
	}
	changes, err := merge(text)
	if err != nil {
		return err
	}
	return m.Update(ctx, changes...)
}

// merge returns the changes that a JSON object stands for. Nothing of it is trusted.
func merge(text []byte) ([]Change, error) {
	object, err := checked(text)
	if err != nil {
		return nil, err
	}
	s := &scan{b: object}
	if s.peek() != '{' {
		return nil, fmt.Errorf("%w: what was sealed is no JSON object", ErrMalformed)
	}
	var changes []Change
	seen := map[string]bool{}
	err = s.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("%w: the key %s comes twice", ErrMalformed, briefKey(key))
		}
		if len(changes) == mostKeys {
			return fmt.Errorf("%w: more than %d keys", ErrTooLarge, mostKeys)
		}
		seen[key] = true
		changes = append(changes, putChecked(key, s.skip()))
		return nil
	})
	return changes, err
}
