package manager

import "fmt"

// Kind says what a lock does, and for whom.
type Kind int

// The kinds of locks.
const (
	// ReadWrite lets one operator, the registered one, take the lock for writing, alone; anybody
	// may take it for reading, together with other readers. It is the zero value.
	ReadWrite Kind = iota
	// Disable is no lock: everyone who asks has it at once, together with all others.
	Disable
	// Mutex is a lock for everybody, one at a time.
	Mutex
	// Authorisation is a Mutex for the operators that were authorised. ADMIN always is.
	Authorisation
	// Spin is a Mutex whose waiters do not sleep: for locks held for less than a microsecond, by
	// fewer processes than there are CPUs.
	Spin

	kinds
)

var kindNames = [kinds]string{"READWRITE", "DISABLE", "MUTEX", "AUTHORISATION", "SPIN"}

// String returns the kind's name, for example: READWRITE.
func (k Kind) String() string {
	if k.check() != nil {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

func (k Kind) check() error {
	if k < 0 || k >= kinds {
		return errorf("there is no kind of lock %d", int(k))
	}
	return nil
}

// lockWord is what all processes read of a lock before they take it, and again when they have it:
//
//	bits 0-7   kind
//	bit  8     the manager is closed
//	bit  9     somebody died holding it, and the next holder is to be told; set and cleared by who has the lock, to write
//	bits 16-63 epoch: counts what changes who is entitled
//
// The host alone changes kind and epoch. They are stored before the answer to whoever asked for the change, and read after the lock was
// taken: so whoever takes it after a change of its kind, which is made with the lock held, sees the change.
type lockWord uint64

const (
	wordClosed lockWord = 1 << 8
	wordLeft   lockWord = 1 << 9

	wordFlags = wordLeft

	epochShift = 16
)

func newWord(k Kind, epoch uint64) lockWord { return lockWord(k) | lockWord(epoch)<<epochShift }

func (w lockWord) kind() Kind { return Kind(w & 0xff) }

// same reports whether two words say the same of who is entitled to what.
func (w lockWord) same(v lockWord) bool { return w&^wordFlags == v&^wordFlags }
