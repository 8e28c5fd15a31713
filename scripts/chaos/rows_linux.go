package main

import (
	"math/rand/v2"
	"time"

	"github.com/xenonmp/xme"
)

// kind is what a row does.
type kind uint8

// The kinds. Those from fresh on need call options.
const (
	value kind = iota
	payload
	slow
	spin
	leak
	errText
	errKnown
	panics
	goexit
	prints
	forks
	exits
	forkExits
	segv
	abort
	kill9
	bomb
	stopsSelf
	nest
	nestMany
	nestDies
	nestDeep
	nestLeft
	nestLeftDies
	poolWithin
	poolLeft
	fresh
	onRank
	inTime
	inMemory
	retryValue
	retryError
	retryDies
	obeys
	deaf
	deafSpin
	memory
	service
	alone // in no table
	small // the same
	kinds
)

// A spec says how rows of a kind are called, and how many there are in a table.
type spec struct {
	name string
	opts []xme.CallOption
	most int // of 20,000 rows; 0: they are what the others leave
}

// bound is the memory of rows with a bound.
const bound = 48 << 20

var specs = [kinds]spec{
	value:        {name: "value"},
	payload:      {name: "payload", most: 600},
	slow:         {name: "slow", most: 300},
	spin:         {name: "spin", most: 300},
	leak:         {name: "leak goroutines", most: 60},
	errText:      {name: "error", most: 600},
	errKnown:     {name: "known error", most: 600},
	panics:       {name: "panic", most: 300},
	goexit:       {name: "Goexit", most: 200},
	prints:       {name: "print", most: 40},
	forks:        {name: "start a program", most: 20},
	exits:        {name: "os.Exit", most: 12},
	forkExits:    {name: "start one and exit", most: 8},
	segv:         {name: "SIGSEGV", most: 6},
	abort:        {name: "SIGABRT", most: 6},
	kill9:        {name: "SIGKILL", most: 12},
	bomb:         {name: "die just after", most: 12},
	stopsSelf:    {name: "SIGSTOP", most: 2},
	nest:         {name: "nested call", most: 60},
	nestMany:     {name: "nested Map", most: 20},
	nestDies:     {name: "nested row dies", most: 8},
	nestDeep:     {name: "nested deep", most: 10},
	nestLeft:     {name: "nested left", most: 10},
	nestLeftDies: {name: "exit with nested", most: 5},
	poolWithin:   {name: "pool in a row", most: 2},
	poolLeft:     {name: "exit with a pool", most: 2},
	fresh:        {name: "Fresh", most: 8, opts: []xme.CallOption{xme.Fresh()}},
	onRank:       {name: "On", most: 60},
	inTime:       {name: "within Timeout", most: 60, opts: []xme.CallOption{xme.Timeout(5 * time.Minute)}},
	inMemory:     {name: "within Memory", most: 8, opts: []xme.CallOption{xme.Memory(bound)}},
	retryValue:   {name: "Retries, value", most: 60, opts: []xme.CallOption{xme.Retries(3)}},
	retryError:   {name: "Retries, error", most: 30, opts: []xme.CallOption{xme.Retries(2)}},
	retryDies:    {name: "Retries, os.Exit", most: 3, opts: []xme.CallOption{xme.Retries(9)}},
	obeys:        {name: "Timeout, obeys", most: 12, opts: []xme.CallOption{xme.Timeout(10 * time.Millisecond)}},
	deaf:         {name: "Timeout, sleeps", most: 4, opts: []xme.CallOption{xme.Timeout(10 * time.Millisecond)}},
	deafSpin:     {name: "Timeout, spins", most: 4, opts: []xme.CallOption{xme.Timeout(10 * time.Millisecond)}},
	memory:       {name: "over Memory", most: 4, opts: []xme.CallOption{xme.Memory(bound)}},
	service:      {name: "Service", most: 2, opts: []xme.CallOption{xme.Service()}},
	alone:        {name: "Call, alone"},
	small:        {name: "Map, small"},
}

// job is a row's argument.
type job struct {
	Table uint64 // the table's seed
	Row   int    // its number in the table
	Kind  kind
	Rank  int  // for onRank
	Setup bool // its worker has run the pool's set-up
	Data  []byte
}

// answer is a row's value.
type answer struct {
	Table uint64
	Row   int
	Sum   uint64 // of the job
	Rank  int    // that it ran on
	Ran   int    // rows that its process had begun before
	Data  []byte // the job's, backwards
}

// sum mixes what a job holds; its answer must show the same.
func (j *job) sum() uint64 {
	h := j.Table ^ uint64(j.Row)*0x9e3779b97f4a7c15 ^ uint64(j.Kind)<<56
	for _, b := range j.Data {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>27
}

// segment is rows of a table that are called alike.
type segment struct {
	f    *xme.Func[job, answer]
	jobs []job
}

// plan makes a table's rows: about n, of random kinds in random order.
func plan(rng *rand.Rand, seed uint64, n, workers int) []segment {
	var list []kind
	for k, s := range specs {
		most := s.most * n / 20_000
		if s.most > 0 && rng.IntN(3) > 0 && kind(k) != service {
			for range rng.IntN(max(most, 1) + 1) {
				list = append(list, kind(k))
			}
		}
	}
	for len(list) < n {
		list = append(list, value)
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var segments []segment
	last := kinds
	for row, k := range list {
		j := job{Table: seed, Row: row, Kind: k}
		switch {
		case k == payload:
			j.Data = make([]byte, rng.IntN(64<<10))
		case rng.IntN(4) == 0:
			j.Data = make([]byte, rng.IntN(100))
		}
		for i := range j.Data {
			j.Data[i] = byte(i * (row + 1) >> 2)
		}
		same := k
		if k < fresh {
			same = value
		}
		f := work
		if k >= fresh {
			f = work.With(specs[k].opts...)
		}
		if k == onRank {
			j.Rank = 1 + rng.IntN(workers)
			f = work.With(xme.On(j.Rank))
		}
		if same != last || k == onRank {
			segments = append(segments, segment{f: f})
			last = same
		}
		s := &segments[len(segments)-1]
		s.jobs = append(s.jobs, j)
	}
	return segments
}
