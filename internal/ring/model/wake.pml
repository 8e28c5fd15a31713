/*
 * The lane, see wait.go, rows.go and results.go: a driver that puts rows and reads results, a worker that runs them. Each sleeps on a
 * bell of its own after it has set a word: the worker for rows or for room, the driver for results. The driver is one process here,
 * its pool's lock is taken for granted.
 *
 * Checked: when nothing can go on any more, all rows have run and all results are read.
 *
 * An access to a word is one step. A load and a compare-and-swap from what it gave are one step too. No sleep ends by itself.
 *
 * A run is a name and what it is compiled with. A mutation is to be found wrong by its run.
 *
 * run one: DEPTH=1
 * run several: DEPTH=3
 * run half: DEPTH=3 HALF
 * run fresh: DEPTH=3 HALF FRESH
 * mutations one: SLEEP_BEFORE_SET ARM_AFTER_LOOK TAKE_BEFORE_PUBLISH BELL_FORGETS NO_SET NO_DUE
 * mutations several: WANT_AFTER_LOOK TAKE_BEFORE_RELEASE
 * mutations half: NO_IDLE NO_RING_FOR_ROOM
 * mutations fresh: NO_IDLE NO_RING_FOR_ROOM
 */
#ifndef ROWS
#define ROWS 4
#endif
#ifndef DEPTH
#define DEPTH 1 /* rows under way at a time */
#endif
#define RESULTS 1 /* room for results */

byte limit, claimed; /* the rows' word */
byte tail, head;     /* of the results, in results */
bool sleeper, wanter;
bool watching;       /* watch; there is one bell here */
byte until;          /* watch: after which row */
bool bell[2];        /* of the worker, of the driver */
bool waits[2];

#define WORKER 0
#define DRIVER 1

inline ring(b) {
#ifdef BELL_FORGETS
	atomic { bell[b] = waits[b] }
#else
	bell[b] = true
#endif
}

inline wait(b) { waits[b] = true; atomic { bell[b] -> bell[b] = false; waits[b] = false } }

/* wake is Take, and a ring if it says so. */
inline wake(set) {
	if
	:: set -> /* wait.go: func (s Sleeper) Take() bool { return s.word.Load() != 0 && s.word.Swap(0) != 0 } */
		atomic { w = set; set = false };
		if :: w -> ring(WORKER) :: else fi;
		w = false
	:: else
	fi
}

active proctype Driver() {
	byte put, read;
	bool w, look;
	do
	:: read == ROWS -> break
	:: else ->
		look = false;
		if
		:: put < ROWS && put - read < DEPTH ->
#ifdef TAKE_BEFORE_PUBLISH
			wake(sleeper);
#endif
			/* Publish */
			atomic { put = (put + DEPTH - (put - read) < ROWS -> put + DEPTH - (put - read) : ROWS); limit = put }; /* rows.go: if w.word.CompareAndSwap(word, joinRows(w.put, claimed)) { */
#ifndef TAKE_BEFORE_PUBLISH
			wake(sleeper) /* internal/proc/lane.go: if w.lane.Asleep() { */
#endif
		:: else
		fi;
		/* watchFrom */
#ifdef ARM_AFTER_LOOK
		look = tail != read;
#endif
#ifdef HALF
#define UNDER ((put - read) / 2) /* internal/proc/lane.go: return w.lane.Rows.Number() - uint32(max(n/left, min(n-1, 1))) */
#else
#define UNDER (put - read - 1) /* internal/proc/lane.go: return w.lane.Rows.Number() - uint32(n-1) */
#endif
		if
#ifdef FRESH
		:: !watching || until != put - UNDER -> /* internal/proc/lane.go: later == 0 || later > 0 && !fresh */
#else
		:: !watching -> /* internal/proc/lane.go: && w.lane.Watch.Armed() { */
#endif
			atomic { watching = true; until = put - UNDER } /* wait.go: func (w Watch) Arm(bell uint8, at uint32) { w.word.Store(uint64(bell)<<32 | uint64(at)) } */
		:: else
		fi;
#ifndef ARM_AFTER_LOOK
		look = tail != read; /* results.go: func (r *ResultReader) Ready() bool { return r.tail.Load() != r.seen.Load() } */
#endif
		if
		:: look
		:: else -> wait(DRIVER)
		fi;
		/* read what is there */
		do
		:: tail != read -> /* results.go: tail := r.tail.Load() */
			read++;
#ifdef TAKE_BEFORE_RELEASE
			wake(wanter);
			head = read
#else
			head = read; /* results.go: r.head.Store(r.pos) */
			wake(wanter) /* internal/link/lane_unsafe.go: return l.wants.Take() */
#endif
		:: else -> break
		od
	od
}

/* due is ring and Due. */
inline due(idle) {
#ifndef NO_DUE
	if
	:: watching -> /* wait.go: if word == Nobody { */
		if
#ifdef NO_IDLE
		:: until > count
#else
		:: !(idle) && until > count /* wait.go: if !idle && int32(uint32(word)-w.count) > 0 && !w.crowded() { */
#endif
		:: else ->
			atomic { w = watching; watching = false }; /* wait.go: return uint8(w.watch.Swap(Nobody) >> 32) */
			if :: w -> ring(DRIVER) :: else fi; /* internal/link/lane_serve.go: l.bells[i].Ring() */
			w = false
		fi
	:: else
	fi
#else
	skip
#endif
}

active proctype Worker() {
	byte count, room;
	bool w, none;
next:
	/* Claim */
	atomic {
		if
		:: limit != claimed -> claimed++; goto runs /* rows.go: if r.word.CompareAndSwap(word, joinRows(limit, claimed+1)) { */
		:: else /* rows.go: if limit == claimed { */
		fi
	};
	due(true); /* internal/link/lane_serve.go: l.ring(true) */
#ifdef SLEEP_BEFORE_SET
	none = limit == claimed;
#endif
#ifndef NO_SET
	sleeper = true; /* internal/link/lane_serve.go: l.sleeper.Set() */
#endif
#ifndef SLEEP_BEFORE_SET
	none = limit == claimed; /* internal/link/lane_serve.go: if !l.claims.Waiting() { */
#endif
	if
	:: none ->
		waits[WORKER] = true;
end:
		atomic { bell[WORKER] -> bell[WORKER] = false; waits[WORKER] = false } /* internal/link/lane_serve.go: switch err := l.bells[0].Wait(); { */
	:: else
	fi;
	sleeper = false; /* internal/link/lane_serve.go: l.sleeper.Clear() */
	goto next;
runs:
	/* put */
	do
	:: tail - room < RESULTS -> break
	:: else ->
		room = head; /* results.go: w.room = w.head.Load() // edge result-read: what the driver read is free */
		if
		:: tail - room < RESULTS -> break
		:: else
		fi;
#ifndef NO_RING_FOR_ROOM
		due(true); /* internal/link/lane_serve.go: l.ring(true) */
#endif
#ifdef WANT_AFTER_LOOK
		none = head == room;
		wanter = true;
#else
		wanter = true; /* internal/link/lane_serve.go: l.wanter.Set() */
		none = head == room; /* results.go: func (w *ResultWriter) Room() bool { return w.head.Load() != w.room } */
#endif
		if
		:: none -> wait(WORKER) /* internal/link/lane_serve.go: if !l.results.Room() { */
		:: else
		fi;
		wanter = false /* internal/link/lane_serve.go: l.wanter.Clear() */
	od;
	count++;
	tail++; /* results.go: w.tail.Store(w.pos | w.alone) */
	due(limit == claimed); /* internal/link/lane_serve.go: l.ring(!l.claims.Waiting()) */
	goto next
}
