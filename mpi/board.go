package mpi

import (
	"strings"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/ring"
)

// board is what ranks and driver tell each other beside letters, in the mesh's notes.
//
//	the driver's notes
//	  0        how often something here has changed: a rank has ended, a deadlock was found
//	  1        the length of the text that tells of a deadlock, 0: there is none; the text follows
//	a rank's notes
//	  0        how it has ended, written by the driver; 0: it has not
//	  1        the length of a text about it; it follows, 16 words
//	  18       to how many ranks it has messages under way that have not been sent to their ends
//	  19       the ends of others that it has taken into account, see end.weight
//	  20       how often it has stopped waiting
//	  21       1: it waits, and cannot end that itself
//	  22       the length of what it waits for; the text follows, up to 160 words
//	  192 + r  up to where it has read what rank r sent
//	  behind   a bit for each rank that it has messages for which wait for room
type board struct {
	driver []atomic.Uint64
	ranks  [][]atomic.Uint64
}

const (
	noteEnd, noteEndText = 0, 1
	noteOwes             = 18
	noteKnows            = 19
	noteEpoch, noteStuck = 20, 21
	noteWaits            = 22
	notePos              = 192
	noteVerdict          = 1
	endWords, waitWords  = 16, 160
	notesBase            = notePos
)

// notes is how many words a member has.
func notes(size int) int { return notesBase + max(16*size, 64) } // the text of a deadlock tells of all

func newBoard(m *ring.Mesh, size int) board {
	b := board{driver: m.Notes(size)}
	for r := range size {
		b.ranks = append(b.ranks, m.Notes(r))
	}
	return b
}

// The ways to end, as words.
const (
	endReturned = 1 + iota
	endFailed
	endDied
	endLeft // it has returned, and then its process died
)

var endings = [...]Ending{endReturned: Returned, endFailed: Failed, endDied: Died, endLeft: Returned}

// left reports whether nothing comes any more from a rank that has returned.
func (b *board) left(rank int) bool { return b.ranks[rank][noteEnd].Load() == endLeft }

// queued reports whether a rank has messages for another that the other knows nothing of yet.
func (b *board) queued(from, to int) bool { return b.ranks[from][b.queue(to)].Load()>>(to%64)&1 != 0 }

// queue returns where a rank notes that.
func (b *board) queue(to int) int { return notePos + len(b.ranks) + to/64 }

// end is what a rank knows of how another has ended.
type end struct {
	how    uint64 // 0: it has not
	queued bool   // it has returned, and has messages for this one that it has not begun to send
}

func (b *board) look(rank, me int) (e end) {
	e.how = b.ranks[rank][noteEnd].Load()
	e.queued = e.how == endReturned && b.queued(rank, me)
	return e
}

// weight is how an end counts among those that a rank knows of: it has returned, or nothing comes from it any more.
func (e end) weight() uint64 { return min(e.how, endFailed) }

// changed reports whether anything has changed since seen was read.
func (b *board) changed(seen uint64) bool { return b.driver[0].Load() != seen }

// end notes that a rank has ended; only the driver does.
func (b *board) end(rank int, why uint64, text string) {
	n := b.ranks[rank]
	putText(n[noteEndText:], endWords, text)
	n[noteEnd].Store(why)
	b.driver[0].Add(1)
}

// ended returns how a rank has ended; nil: it has not.
func (b *board) ended(rank int) *RankError {
	n := b.ranks[rank]
	why := n[noteEnd].Load()
	if why == 0 || why >= uint64(len(endings)) {
		return nil
	}
	return &RankError{Rank: rank, Why: endings[why], Text: getText(n[noteEndText:], endWords)}
}

// condemn notes that all wait for each other; only the driver does.
func (b *board) condemn(text string) {
	putText(b.driver[noteVerdict:], len(b.driver)-2, text)
	b.driver[0].Add(1)
}

// verdict returns what is known of a deadlock; empty: nothing.
func (b *board) verdict() string { return getText(b.driver[noteVerdict:], len(b.driver)-2) }

// putText writes a length and the text behind it, cut if it is too long.
func putText(dst []atomic.Uint64, words int, s string) {
	if len(s) > words*8 {
		s = strings.ToValidUTF8(s[:words*8-len("…")], "") + "…"
	}
	for i := 0; i*8 < len(s); i++ {
		var w uint64
		for j, c := range []byte(s[i*8 : min(len(s), i*8+8)]) {
			w |= uint64(c) << (8 * j)
		}
		dst[1+i].Store(w)
	}
	dst[0].Store(uint64(len(s)))
}

func getText(src []atomic.Uint64, words int) string {
	n := int(min(src[0].Load(), uint64(words*8)))
	s := make([]byte, 0, n+8)
	for i := 0; len(s) < n; i++ {
		for w, j := src[1+i].Load(), 0; j < 8; j++ {
			s = append(s, byte(w>>(8*j)))
		}
	}
	return strings.ToValidUTF8(string(s[:n]), "?")
}
