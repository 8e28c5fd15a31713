package main

// numbers are N pseudo-random ones: any rank makes any of them.
type numbers struct {
	N              int
	Distinct, Seed uint64
}

func (n numbers) slice(first, end int) []uint64 {
	s := make([]uint64, 0, end-first)
	for i := first; i < end; i++ {
		v := mix(n.Seed ^ mix(uint64(i)))
		if n.Distinct > 0 {
			v %= n.Distinct
		}
		s = append(s, v)
	}
	return s
}

// mix is the output function of SplitMix64, by Steele, Lea and Flood.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// tally is what sets of numbers are compared by, in whatever order they are.
type tally struct {
	N         int
	Sum, Hash uint64
}

func count(s []uint64) tally {
	t := tally{N: len(s)}
	for _, v := range s {
		t.Sum += v
		t.Hash += mix(v)
	}
	return t
}

func (t *tally) join(o tally) {
	t.N += o.N
	t.Sum += o.Sum
	t.Hash += o.Hash
}
