/*
 * Lock, see lock.go: processes that take it, die, give up, and come again under the same number.
 *
 * Checked: two are never inside at a time, where who died inside is there until it is swept; the next to come in is told of that death;
 * when nothing can go on any more, all have had the lock, or given up: nobody sleeps. By progress: who is hungry gets the lock.
 *
 * An access to a word is one step. A load and a compare-and-swap from what it gave, with nothing read between, are one step too:
 * if the swap fails the code begins again. No sleep ends by itself; by WAY_TIME that of standBack may, at any time.
 *
 * A run is a name and what it is compiled with; ltl: a formula is checked, with weak fairness. A mutation is to be found wrong by its run.
 *
 * run take: ROUNDS=1
 * run waytime: ROUNDS=1 WAY_TIME
 * run giveup: GIVE_UP MORE=1
 * run deaths: DEATHS=1
 * run twodeaths: PROCS=2 DEATHS=2 ROUNDS=2
 * run progress: PROCS=2 FOREVER ltl
 * run three: PROCS=3 FOREVER ltl
 * mutations take: SWAP_CHECK_AND_SLEEP FORGET_SLEPT_BIT WAKE_BEFORE_RELEASE STAND_BACK_UNSEEN
 * mutations giveup: NO_WAKE_AT_GIVE_UP SATED_AS_IT_WAS
 * mutations deaths: NO_SWEEP NO_WAKE_IN_SWEEP WAKE_ONLY_IF_FREED
 * mutations twodeaths: SWAP_SWEEP_AND_REAP NO_DIED_BIT TAKE_FREE_DEAD
 * mutations progress: NO_STAND_BACK
 */
#ifndef PROCS
#define PROCS 3
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* how often each takes the lock, in each of its lives */
#endif
#ifndef MORE
#define MORE 0 /* how much more often process 2 does */
#endif
#define manyTimes 1 /* lock.go: if lost++; lost >= manyTimes { */

#define pidMask  3 /* lock.go: pidMask  = 1<<30 - 1 */
#define diedBit  4 /* lock.go: diedBit  = 1 << 30 // the last holder died, and nobody has been told */
#define sleepBit 8 /* lock.go: sleepBit = 1 << 31 // somebody sleeps, or is about to */

byte word, hungry;

bool asleep[4]; /* on word */
bool alive[4];
bool gone[4];   /* it has ended, and another has not begun */
bool over[4];   /* it wants nothing any more */
bool ended;     /* the ctx of process 1 */
byte deaths = DEATHS;

byte inside;  /* who is in its critical section, or died there and has not been swept */
bool corpse;  /* it died there */
bool half;    /* who died there has been swept, and nobody has been told */
#ifdef FOREVER
bool owed[4]; /* it has written its number into hungry and has not had the lock since */
#define OWED(x) owed[me] = x
#else
#define OWED(x) skip
#endif

#define ENDED (me == 1 && ended) /* lock.go: ctx.Err() != nil */

#ifdef NO_STAND_BACK
#define HUNGRY 0
#else
#define HUNGRY hungry
#endif

/* Which of several is woken is open. */
inline wakeOne() {
	atomic {
		if
		:: asleep[1] -> asleep[1] = false
		:: asleep[2] -> asleep[2] = false
		:: asleep[3] -> asleep[3] = false
		:: else
		fi
	}
}

inline wakeAll() { atomic { asleep[1] = false; asleep[2] = false; asleep[3] = false } }

/* futex goes to sleep if the word is as it was. */
inline futex() {
#ifdef SWAP_CHECK_AND_SLEEP
	atomic { asleep[me] = true }
#else
	atomic { if :: word == (w | sleepBit) -> asleep[me] = true :: else fi }
#endif
}

inline wakeAfter() {
	if
	:: (w & sleepBit) != 0 -> /* lock.go: if w&sleepBit != 0 { */
		if
		:: hungry == 0 -> wakeOne() /* lock.go: n := 1 */
		:: else -> wakeAll() /* lock.go: if l.hungry.Load() != 0 { */
		fi
	:: else
	fi
}

inline sated(who) {
	if
	:: atomic { hungry == who -> hungry = 0 }; /* lock.go: if !l.hungry.CompareAndSwap(who, 0) { */
#ifndef SATED_AS_IT_WAS
		if
		:: atomic { (word & pidMask) == 0 && (word & sleepBit) != 0 -> word = word & ~sleepBit }; /* lock.go: if l.word.CompareAndSwap(w, w&^sleepBit) { */
			wakeAll()
		:: else
		fi
#endif
	:: else
	fi
}

proctype Process(byte me) {
	byte w, h, slept, lost, rounds;
	bool died;
life:
	{
	skip;
next:
	if
#ifdef FOREVER
	:: skip
#else
	:: rounds < ROUNDS + MORE * (me == 2) -> rounds++
	:: else -> atomic { over[me] = true; goto stop }
#endif
	fi;

	/* TakeFree */
	if
	:: HUNGRY == 0 -> /* lock.go: return l.hungry.Load() == 0 && l.word.CompareAndSwap(0, me) */
		atomic {
			if
			:: word == 0 -> word = me; goto got
#ifdef TAKE_FREE_DEAD
			:: word == diedBit -> word = me; goto got
#endif
			:: else
			fi
		}
	:: else
	fi;

	/* Look, one try */
	if
	:: (word & pidMask) == 0 -> /* lock.go: if l.word.Load()&pidMask == 0 && l.hungry.Load() == 0 { */
		if
		:: HUNGRY == 0 ->
			atomic { /* lock.go: if died, ok := l.TryAcquire(me); ok { */
				if
				:: (word & pidMask) == 0 -> /* lock.go: if w&pidMask != 0 { */
					died = (word & diedBit) != 0; /* lock.go: return w&diedBit != 0, true */
					word = (word & sleepBit) | me; /* lock.go: if l.word.CompareAndSwap(w, w&sleepBit|me) { */
					goto got
				:: else
				fi
			}
		:: else
		fi
	:: else
	fi;

	/* sleep */
again:
	w = word; /* lock.go: for lost := 0; ; { */
	if
	:: (w & pidMask) == 0 -> /* lock.go: if w&pidMask == 0 { */
		h = HUNGRY;
		if
		:: h != 0 && h != me && !ENDED -> /* lock.go: if hungry := l.hungry.Load(); hungry != 0 && hungry != me && ctx.Err() == nil { */
			/* standBack */
			atomic { /* lock.go: if w&sleepBit == 0 && !l.word.CompareAndSwap(w, w|sleepBit) { */
				if
				:: (w & sleepBit) != 0
				:: (w & sleepBit) == 0 && word == w -> word = w | sleepBit
				:: else -> goto looked
				fi
			};
#ifndef STAND_BACK_UNSEEN
			if
			:: HUNGRY != h -> goto looked /* lock.go: if l.hungry.Load() != hungry { // after the bit: it may have come and gone */
			:: else
			fi;
#endif
			futex(); /* lock.go: l.waits.Wait(l.word, w|sleepBit, wayTime) */
			if
			:: !asleep[me]
#ifdef WAY_TIME
			:: atomic { asleep[me] -> asleep[me] = false };
				if
				:: word == (w | sleepBit) -> /* lock.go: if l.word.Load() == w|sleepBit && time.Since(since) >= wayTime { */
					atomic { if :: hungry == h -> hungry = 0 :: else fi } /* lock.go: l.hungry.CompareAndSwap(hungry, 0) // it did not come */
				:: else
				fi
#endif
			fi;
looked:
			atomic { slept = sleepBit; w = 0; h = 0 }; /* lock.go: slept = sleepBit */
			goto again
		:: else ->
			atomic {
				h = 0;
				if
				:: word == w -> /* lock.go: } else if l.word.CompareAndSwap(w, w&sleepBit|slept|me) { */
#ifdef FORGET_SLEPT_BIT
					slept = 0;
#endif
					word = (w & sleepBit) | slept | me;
					died = (w & diedBit) != 0; /* lock.go: return w&diedBit != 0, nil */
					goto gotAsleep
				:: else -> w = 0; goto again
				fi
			}
		fi
	:: else
	fi;
	if
	:: ENDED -> /* lock.go: if ctx.Err() != nil { */
		sated(me); /* lock.go: l.sated(me) */
		if
#ifndef NO_WAKE_AT_GIVE_UP
		:: slept != 0 -> wakeOne() /* lock.go: l.waits.Wake(l.word, 1) // it may have been woken in place of another */
#endif
		:: else
		fi;
		atomic { w = 0; slept = 0; lost = 0; over[me] = true; goto stop }
	:: else
	fi;
	atomic { /* lock.go: if w&sleepBit == 0 && !l.word.CompareAndSwap(w, w|sleepBit) { */
		if
		:: (w & sleepBit) != 0
		:: (w & sleepBit) == 0 && word == w -> word = w | sleepBit
		:: else -> w = 0; goto again
		fi
	};
	futex(); /* lock.go: l.waits.Wait(l.word, w|sleepBit, bound) */
	atomic {
		!asleep[me];
		w = 0; slept = sleepBit;
		if :: lost < manyTimes -> lost++ :: else fi;
		if :: lost < manyTimes -> goto again :: else fi
	};
	atomic { if :: hungry == 0 -> hungry = me; OWED(true) :: else fi }; /* lock.go: l.hungry.CompareAndSwap(0, me) */
	goto again;

gotAsleep:
	atomic { /* lock.go: defer l.hungry.CompareAndSwap(me, 0) */
		w = 0; slept = 0; lost = 0;
		if :: hungry == me -> hungry = 0 :: else fi
	};
got:
	atomic {
		OWED(false);
		assert(inside == 0); inside = me;
		assert(!half || died); half = false; died = false
	};
	inside = 0;

	/* Release */
#ifdef WAKE_BEFORE_RELEASE
	w = word;
	wakeAfter();
	w = 0;
	atomic { if :: (word & pidMask) == me -> word = 0 :: else fi };
#else
	atomic {
		if
		:: word == me -> word = 0 /* lock.go: if l.word.CompareAndSwap(me, 0) { */
		:: word != me && (word & pidMask) == me -> /* lock.go: if w&pidMask != me { */
			w = word; word = 0 /* lock.go: if !l.word.CompareAndSwap(w, 0) { */
		:: else
		fi
	};
	wakeAfter(); /* lock.go: l.waits.Wake(l.word, n) */
	w = 0;
#endif
	goto next
	} unless {
		!alive[me]
	};
	atomic { w = 0; h = 0; slept = 0; lost = 0; rounds = 0; died = false; gone[me] = true };
	atomic { alive[me] -> gone[me] = false; goto life };
stop:
	skip
}

/* sweep is Sweep and free. */
inline sweep() {
#ifndef NO_SWEEP
	sated(dead); /* lock.go: l.sated(dead) */
	atomic {
		freed = (word & pidMask) == dead; /* lock.go: if dead == 0 || w&pidMask != dead { */
		if
		:: freed ->
#ifdef NO_DIED_BIT
			word = 0;
#else
			word = diedBit; /* lock.go: if l.word.CompareAndSwap(w, diedBit) { */
#endif
			if :: corpse && inside == dead -> inside = 0; corpse = false; half = true :: else fi
		:: else
		fi
	};
#ifndef NO_WAKE_IN_SWEEP
	if
	:: freed -> wakeAll() /* lock.go: l.waits.Wake(l.word, everybody) */
	:: else
	fi;
#endif
#if !defined(NO_WAKE_IN_SWEEP) && !defined(WAKE_ONLY_IF_FREED)
	if
	:: !freed -> wakeAll() /* lock.go: l.waits.Wake(l.word, everybody) // it may have died between a release and its wake-up */
	:: else
	fi;
#endif
#endif
	freed = false
}

/* reap lets another process come under the number. */
inline reap() { alive[dead] = true }

#if DEATHS > 0
active proctype Supervisor() {
	byte dead;
	bool freed;
end:
	do
	:: atomic {
			if /* internal/proc/worker.go: proc.Ended() */
			:: gone[1] && !alive[1] -> dead = 1
			:: gone[2] && !alive[2] -> dead = 2
			:: gone[3] && !alive[3] -> dead = 3
			fi
		};
#ifdef SWAP_SWEEP_AND_REAP
		reap();
		sweep();
#else
		sweep(); /* internal/proc/worker.go: runSweeps(pid) */
		reap(); /* internal/proc/worker.go: exit := proc.Reap() */
#endif
		dead = 0
	od
}

inline kill(i) {
	atomic {
		deaths > 0 && alive[i] && !gone[i] && !over[i] ->
		deaths--; alive[i] = false; asleep[i] = false;
		if :: inside == i -> corpse = true :: else fi
	}
}

active proctype Killer() {
	do
	:: kill(1)
	:: kill(2)
#if PROCS > 2
	:: kill(3)
#endif
	:: break
	od
}
#endif

#ifdef GIVE_UP
/* Context ends what process 1 waits with, or does not. */
active proctype Context() {
	if
	:: ended = true
	:: goto out
	fi;
end:
	do /* lock.go: stop := atEnd(ctx, func() { l.waits.Wake(l.word, everybody) }) */
	:: asleep[1] -> wakeAll() /* again and again: what wakes nobody is left out */
	:: over[1] -> break
	od;
out:
	skip
}
#endif

init {
	atomic {
		alive[1] = true; alive[2] = true;
		run Process(1); run Process(2);
#if PROCS > 2
		alive[3] = true;
		run Process(3)
#endif
	}
}

#ifdef FOREVER
ltl progress { [] (owed[1] -> <> !owed[1]) }
#endif
