package manager

// fifo is a queue in memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(v T) {
	if f.head > 0 && len(f.items) == cap(f.items) && f.head >= len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) first() T { return f.items[f.head] }

func (f *fifo[T]) all() []T { return f.items[f.head:] }

func (f *fifo[T]) each(do func(T)) {
	for _, v := range f.all() {
		do(v)
	}
}

func (f *fifo[T]) pop() T {
	var none T
	v := f.items[f.head]
	f.items[f.head] = none
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
		if cap(f.items) > 1<<12 {
			f.items = nil
		}
	}
	return v
}

// remove takes out what is meant, and returns how many that were.
func (f *fifo[T]) remove(meant func(T) bool) int {
	kept := f.items[:f.head]
	for _, v := range f.items[f.head:] {
		if !meant(v) {
			kept = append(kept, v)
		}
	}
	n := len(f.items) - len(kept)
	clear(f.items[len(kept):])
	f.items = kept
	return n
}
