/*
 * gate, see gate.go: producers and consumers of a queue sleep on its two gates, see queue_put.go and queue_get.go. The queue's locks
 * are taken for granted, lock.pml is about them: a take is one step, and one producer at a time waits for room, as it holds the put lock.
 *
 * Checked: when nothing can go on any more, no consumer sleeps beside an item, no producer beside room, and nobody after the end.
 *
 * An access to a word is one step. A load and a compare-and-swap from what it gave, with nothing read between, are one step too:
 * if the swap fails the code begins again. No sleep ends by itself.
 *
 * A run is a name and what it is compiled with. A mutation is to be found wrong by its run.
 *
 * run items: PUTTERS=2
 * run several: BATCH=2
 * run room: SLOTS=1 ROUNDS=2 TAKES=2
 * run giveup: GIVE_UP
 * run end: QUEUE_END
 * run deaths: DEATHS=1 BATCH=2
 * mutations items: SWAP_CHECK_AND_SLEEP SLEEP_WITHOUT_CHECK OPEN_BEFORE_PUBLISH NO_PASS
 * mutations several: NO_COUNT
 * mutations room: NO_ROOM_OPEN ROOM_OPEN_BEFORE_TAKE
 * mutations giveup: NO_POKE_AT_END
 * mutations end: NO_POKE
 * mutations deaths: NO_SWEEP
 */
#ifndef PUTTERS
#define PUTTERS 1
#endif
#ifndef GETTERS
#define GETTERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* how often each producer puts */
#endif
#ifndef BATCH
#define BATCH 1 /* how many items at a time */
#endif
#ifndef TAKES
#define TAKES 1 /* how often each consumer takes one */
#endif
#ifndef SLOTS
#define SLOTS 9
#endif
#ifndef DEATHS
#define DEATHS 0
#endif

#define ITEM 0
#define ROOM 1
#define NOWHERE 9

byte word[2];     /* of the gates; it counts no further than a byte does here */
byte sleepsOn[5]; /* a gate; 0 to 2 are consumers, 3 and 4 producers */
byte items;       /* tail less head */
bool endedBit;    /* of tail */
bool ended;       /* the ctx of consumer 0 */
bool alive[5], gone[5], over[5];
byte putLock = NOWHERE;
byte deaths = DEATHS;

#define SOMETHING (items > 0 || endedBit) /* queue.go: return q.tail.Load() != head */
#define SPACE (items < SLOTS || endedBit) /* queue_put.go: _, free, e := q.free(1); return free > 0 || e != nil */

/* Which of several is woken is open. */
inline wakeOne(g) {
	atomic {
		if
		:: sleepsOn[0] == g -> sleepsOn[0] = NOWHERE
		:: sleepsOn[1] == g -> sleepsOn[1] = NOWHERE
		:: sleepsOn[2] == g -> sleepsOn[2] = NOWHERE
		:: sleepsOn[3] == g -> sleepsOn[3] = NOWHERE
		:: sleepsOn[4] == g -> sleepsOn[4] = NOWHERE
		:: else
		fi
	}
}

inline wakeAll(g) {
	atomic {
		if :: sleepsOn[0] == g -> sleepsOn[0] = NOWHERE :: else fi;
		if :: sleepsOn[1] == g -> sleepsOn[1] = NOWHERE :: else fi;
		if :: sleepsOn[2] == g -> sleepsOn[2] = NOWHERE :: else fi;
		if :: sleepsOn[3] == g -> sleepsOn[3] = NOWHERE :: else fi;
		if :: sleepsOn[4] == g -> sleepsOn[4] = NOWHERE :: else fi
	}
}

/* open needs a local w, which is 0 again behind it. */
inline open(g, n) {
	atomic {
		if
		:: (word[g] & 1) == 0 /* gate.go: if w&1 == 0 { */
		:: else ->
#ifdef NO_COUNT
			word[g] = word[g] - 1;
#else
			word[g] = word[g] + 1; /* gate.go: if g.word.CompareAndSwap(w, w+1) { */
#endif
			w = n
		fi
	};
	do
	:: atomic { w > 0 -> w-- }; wakeOne(g) /* gate.go: g.waits.Wake(g.word, n) */
	:: else -> break
	od
}

inline poke(g) {
	word[g] = (word[g] | 1) + 1; /* gate.go: if g.word.CompareAndSwap(w, (w|1)+1) { */
	wakeAll(g) /* gate.go: g.waits.Wake(g.word, everybody) */
}

inline setBit(g) {
	atomic { word[g] = word[g] | 1; w = word[g] } /* gate.go: w := g.word.Or(1) | 1 */
}

inline futex(g) {
	atomic {
		if
#ifdef SLEEP_WITHOUT_CHECK
		:: true -> sleepsOn[me] = g
#else
		:: word[g] == w -> sleepsOn[me] = g
		:: else
#endif
		fi;
		w = 0
	}
}

proctype Getter(byte me) {
	byte w, taken;
	bool slept;
	{
	skip;
first:
	atomic {
		if
		:: items > 0 -> /* queue_get.go: if n > 0 { */
#ifdef ROOM_OPEN_BEFORE_TAKE
			skip
#else
			items-- /* queue_get.go: q.take(me, head, k) */
#endif
		:: items == 0 && endedBit -> goto fails /* queue.go: return head, 0, io.EOF */
		:: else -> goto wait
		fi
	};
	/* leave */
#ifndef NO_ROOM_OPEN
	open(ROOM, 1); /* queue_get.go: q.room.open(1) */
#endif
#ifdef ROOM_OPEN_BEFORE_TAKE
	atomic { if :: items > 0 -> items-- :: else fi };
#endif
	if
#ifndef NO_PASS
	:: slept && SOMETHING -> open(ITEM, 1) /* queue_get.go: q.item.open(1) // who was woken wakes the next, see gate */
#endif
	:: else
	fi;
	atomic {
		slept = false; taken++;
		if :: taken < TAKES -> goto first :: else -> over[me] = true; goto stop fi
	};
wait:
#ifdef SWAP_CHECK_AND_SLEEP
	if :: SOMETHING -> goto first :: else fi;
	setBit(ITEM);
#else
	setBit(ITEM);
	if
	:: SOMETHING -> atomic { w = 0; goto first } /* gate.go: if ready() { */
	:: else
	fi;
#endif
	if
	:: me == 0 && ended -> atomic { w = 0; goto fails } /* gate.go: if ctx.Err() != nil { */
	:: else
	fi;
	futex(ITEM); /* gate.go: g.waits.Wait(g.word, w, bound) */
end:
	atomic { sleepsOn[me] == NOWHERE -> slept = true }; /* gate.go: slept = true */
	goto wait;
fails:
	if
	:: slept -> open(ITEM, 1) /* queue_get.go: q.item.open(1) // it may have been woken in place of another */
	:: else
	fi;
	over[me] = true;
stop:
	skip
	} unless {
		!alive[me]
	};
	gone[me] = !over[me]
}

proctype Putter(byte me) {
	byte w, fresh, left, rounds;
	bool slept;
	{
	skip;
next:
	if
	:: rounds < ROUNDS -> rounds++
	:: else -> goto stop
	fi;
endLock:
	atomic { putLock == NOWHERE -> putLock = me; left = BATCH }; /* queue_put.go: if err := q.enter(ctx, q.put, me, try); err != nil { */
more:
#ifdef OPEN_BEFORE_PUBLISH
	open(ITEM, left);
#endif
	atomic {
		if
		:: left == 0 || endedBit -> goto release /* queue_put.go: return tail, 0, ErrEnded */
		:: left > 0 && !endedBit && items < SLOTS -> /* queue_put.go: if !q.publish(tail, k) { */
			if
			:: left <= SLOTS - items -> items = items + left; fresh = fresh + left; left = 0
			:: else -> left = left - (SLOTS - items); fresh = fresh + SLOTS - items; items = SLOTS
			fi;
			goto more
		:: else /* queue_put.go: if free == 0 { */
		fi
	};
	if
	:: fresh > 0 -> open(ITEM, fresh); fresh = 0 /* queue_put.go: q.item.open(fresh) */
	:: else
	fi;
wait:
	setBit(ROOM);
	if
	:: SPACE -> atomic { w = 0; slept = false; goto more }
	:: else
	fi;
	futex(ROOM);
end:
	atomic { sleepsOn[me] == NOWHERE -> slept = true };
	goto wait;
release:
	atomic { putLock = NOWHERE; left = 0 }; /* queue_put.go: q.put.Release(me) */
#ifndef OPEN_BEFORE_PUBLISH
	if
	:: fresh > 0 -> open(ITEM, fresh); fresh = 0 /* queue_put.go: if fresh > 0 { */
	:: else
	fi;
#endif
	fresh = 0;
	goto next;
stop:
	over[me] = true
	} unless {
		!alive[me]
	};
	gone[me] = !over[me]
}

#if DEATHS > 0
/* Supervisor calls Queue.Sweep. */
active proctype Supervisor() {
	byte dead;
end:
	atomic {
		if
		:: gone[0] -> dead = 0
		:: gone[1] -> dead = 1
		:: gone[2] -> dead = 2
		:: gone[3] -> dead = 3
		:: gone[4] -> dead = 4
		fi
	};
#ifndef NO_SWEEP
	atomic { if :: putLock == dead -> putLock = NOWHERE :: else fi }; /* queue_done.go: q.put.Sweep(dead) */
	poke(ITEM); /* queue_done.go: q.item.poke() */
	poke(ROOM) /* queue_done.go: q.room.poke() */
#endif
}

inline kill(i) { atomic { alive[i] && !over[i] -> deaths--; alive[i] = false; sleepsOn[i] = NOWHERE } }

active proctype Killer() {
	if
	:: kill(0)
	:: kill(1)
	:: kill(3)
	:: skip
	fi
}
#endif

#ifdef GIVE_UP
/* Context ends what consumer 0 waits with, or does not. */
active proctype Context() {
	if
	:: ended = true
	:: goto out
	fi;
#ifndef NO_POKE_AT_END
	poke(ITEM); /* gate.go: stop := atEnd(ctx, g.poke) */
end:
	do
	:: sleepsOn[0] == ITEM -> poke(ITEM) /* again and again: what comes before it sleeps is left out */
	:: over[0] -> break
	od;
#endif
out:
	skip
}
#endif

#ifdef QUEUE_END
active proctype End() {
	endedBit = true; /* queue.go: q.tail.Or(endedBit) */
#ifndef NO_POKE
	poke(ITEM); /* queue.go: q.item.poke() */
	poke(ROOM) /* queue.go: q.room.poke() */
#endif
}
#endif

/* AtRest looks when nothing else can go on. */
active proctype AtRest() {
	byte i;
end:
	timeout;
	do
	:: i < 5 ->
		assert(!(sleepsOn[i] == ITEM && SOMETHING));
		assert(!(sleepsOn[i] == ROOM && SPACE));
		assert(!(i == 0 && sleepsOn[i] == ITEM && ended));
		i++
	:: else -> break
	od;
	assert(putLock == NOWHERE || sleepsOn[putLock] == ROOM)
}

init {
	atomic {
		sleepsOn[0] = NOWHERE; sleepsOn[1] = NOWHERE; sleepsOn[2] = NOWHERE; sleepsOn[3] = NOWHERE; sleepsOn[4] = NOWHERE;
		alive[0] = true; alive[1] = true; alive[3] = true;
		run Getter(0); run Getter(1);
#if GETTERS > 2
		alive[2] = true;
		run Getter(2);
#endif
#if PUTTERS > 1
		alive[4] = true;
		run Putter(4);
#endif
		run Putter(3)
	}
}
