package manager

import (
	"context"
	"errors"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// Hook is a registered function that is told of a lock that could not be acquired or released:
//
//	var late = xme.Register("late", func(ctx context.Context, f manager.LockFailure) (struct{}, error) { … })
//
// It runs in the process whose call failed, before that call returns. Its context has the values of
// the call's context but does not end with it. If a hook returns an error or panics, the call
// returns that error; otherwise the call returns its own. Thus a lock that is not held is never
// reported as held.
type Hook = xme.Func[LockFailure, struct{}]

// LockFailure describes the failure.
type LockFailure struct {
	Lock     string // for example: lock "accounts"
	Operator int    // the number of the operator whose call it was
	Release  bool   // the failed call was a release by an operator that does not hold the lock
	Message  string // the text of the call's own error
	Waited   time.Duration
	Holder   string // who has it, as far as known
	Cycle    bool   // the wait was part of a deadlock
}

// hookSize bounds a hook's name in shared memory, with its length.
const hookSize = 248

func hookName(h *Hook) (string, error) {
	if h == nil {
		return "", nil
	}
	if n := h.Name(); len(n) < hookSize {
		return n, nil
	}
	return "", errorf("the hook's name %.20q… is longer than %d bytes", h.Name(), hookSize-1)
}

// failed runs the hook for a call that failed with err, and returns what the call is to return.
func (l *Lock) failed(ctx context.Context, o lockCall, release bool, err error) error {
	h := o.hook
	if h == nil {
		b := l.c.settings()
		name := b.OnAcquire
		if release {
			name = b.OnRelease
		}
		if name[0] == 0 {
			return err
		}
		var missing error
		if h, missing = xme.Lookup[LockFailure, struct{}](string(name[1:][:min(int(name[0]), hookSize-1)])); missing != nil {
			return errorf("%w (and its hook cannot be called: %v)", err, missing) // one identity: the call's
		}
	}
	f := LockFailure{Lock: l.String(), Operator: l.op.Number(), Release: release, Message: err.Error(), Cycle: errors.Is(err, ErrDeadlock)}
	if w, ok := errors.AsType[*shm.WaitError](err); ok {
		f.Waited, f.Cycle = w.Waited, len(w.Cycle) > 0
	}
	f.Holder = l.holderText()
	if _, failed := h.Call(context.WithoutCancel(ctx), xme.Inline(), f); failed != nil {
		if errors.Is(failed, shm.ErrOwnerDied) { // that would say that it is held
			return errors.New(failed.Error())
		}
		return failed
	}
	return err
}
