package rpc

// numbers is a heap: the lowest is the first.
type numbers []uint64

func (h numbers) Len() int           { return len(h) }
func (h numbers) Less(i, j int) bool { return h[i] < h[j] }
func (h numbers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *numbers) Push(n any)        { *h = append(*h, n.(uint64)) }

func (h *numbers) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	*h = (*h)[:last]
	return n
}

// weights is a heap of sessions: the one of which most is kept is the first.
type weights []*session

func (h weights) Len() int           { return len(h) }
func (h weights) Less(i, j int) bool { return h[i].bytes > h[j].bytes }

func (h weights) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].weight, h[j].weight = i, j
}

func (h *weights) Push(s any) {
	s.(*session).weight = len(*h)
	*h = append(*h, s.(*session))
}

func (h *weights) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
