package manager

import "time"

// guardChanged notes in the table whether a guard runs.
func (h *host) guardChanged() {
	h.noting.Lock() // the last one to note it has looked last
	defer h.noting.Unlock()
	c, err := own(GuardKey, GuardState{Status: h.queue.state().Guarded})
	if err == nil {
		_, _ = h.tables.byNumber[valueTable].update([]change{c}, true) // it fails once the manager is closed
	}
}

// heartDied notes that the process of an operator's heartbeat has died.
func (h *host) heartDied(o Operator) {
	_ = h.tables.setStatus(o.String(), "died "+time.Now().Format(time.RFC3339)) // it fails once the manager is closed
}
