/*-------------------------------------------------------------------------
 *
 * shared/dispatch.h
 *	  Moves of slots, the queue of waiters, and who gets what next.
 *
 * Floor 3; worker and backends; no waiting, no ereport, no network.
 *
 * The inner part of pool.c, queue.c and slots.c: the only code that changes the
 * state of a slot or links a waiter.  "Lock held" means the pool's, exclusively.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_DISPATCH_H
#define PCFG_DISPATCH_H

#include "shared/compat.h"
#include "shared/shmem.h"

/* Whom to wake once the lock is free again; starts as {0}. */
#define PCFG_MAX_WAKES	32

typedef struct PcfgWakes
{
	int			n;
	int			procno[PCFG_MAX_WAKES];
	bool		worker;
	bool		offers;			/* the worker has a statement to send */
	bool		more;			/* full: dispatch once more */
	int			fresh;			/* 1 + the slot that came back well under this
								 * very lock; 0 = none */
} PcfgWakes;

/* A place that may be used: the slot and the word that says so. */
typedef struct PcfgGrant
{
	int			slot;
	uint64		word;			/* LEASED, me, use */
	bool		same;			/* nobody used it since I did */
	bool		sent;			/* the worker has sent my post on it */
} PcfgGrant;

/* The owner field of a state word for this process. */
static inline uint32
pcfg_my_owner(void)
{
	return (uint32) PCFG_MY_PROCNO + 1;
}

static inline int
pcfg_pool_index(const PcfgPool *pool)
{
	return (int) (pool - pcfg_pools);
}

/* pool_size + max_overflow, or the server-wide limit. */
extern int	pcfg_policy_limit(const PcfgPolicy *policy);

/* When the connection of that slot comes of age. */
extern PcfgTime pcfg_recycle_time(const PcfgPolicy *policy, const PcfgSlot *slot);

/* More connections than the pool, or the target, may have by now. */
extern bool pcfg_pool_is_over(const PcfgPool *pool);

/* No more than the limit, counting those from before the target was altered. */
extern bool pcfg_pool_waits_for_older(const PcfgPool *pool);

/* Fewer idle connections than min_idle, counting those on their way. */
extern bool pcfg_pool_is_cold(const PcfgPool *pool);

/*
 * The policy changed: closes what is idle and too much or too old, and
 * dispatches.  Lock held.
 */
extern void pcfg_pool_trim(PcfgPool *pool, PcfgWakes *wakes);

/*
 * Changes the state of a slot; lock held.  *word is what the caller has read
 * and becomes what stands there now.  The condemn bit may have come meanwhile:
 * it makes a move to IDLE or LEASED fail.  False: nothing was changed.
 */
extern bool pcfg_slot_move(PcfgSlot *slot, uint64 *word, PcfgSlotState to,
						   uint32 owner, uint64 use, PcfgMover mover);

/* Leases one idle slot; a condemned one is condemned instead (false). */
extern bool pcfg_slot_lease(PcfgPool *pool, int index, uint32 owner,
							uint64 *word, PcfgWakes *wakes);

/* Leases some idle slot in the order of the policy; PCFG_NONE = none. */
extern int	pcfg_slot_lease_any(PcfgPool *pool, uint32 owner, uint64 *word,
								PcfgWakes *wakes);

/* Puts a slot that became IDLE at the recent end of the idle list. */
extern void pcfg_idle_push(PcfgPool *pool, int index);

/* Puts it back in the place that its time of return gives it. */
extern void pcfg_idle_put_back(PcfgPool *pool, int index);

/* One idle connection, or all, go to the worker to be closed. */
extern void pcfg_idle_condemn(PcfgPool *pool, int index, PcfgCloseReason reason,
							  PcfgWakes *wakes);
extern void pcfg_idle_condemn_all(PcfgPool *pool, PcfgCloseReason reason,
								  PcfgWakes *wakes);

/*
 * A connection of the pool broke: the others have to prove themselves before
 * they are used again.  Lock held.
 */
extern void pcfg_pool_suspect(PcfgPool *pool, PcfgWakes *wakes);

/* Reserves one connect unless one is idle, under way, or not allowed. */
extern void pcfg_pool_dial_spare(PcfgPool *pool, PcfgWakes *wakes);

/* Reserves connects until the pool has n, if it may have them now. */
extern void pcfg_pool_dial_to(PcfgPool *pool, int n, PcfgWakes *wakes);

/*
 * The connection in that slot broke.  One that nobody had used yet counts as
 * a connect that failed, or a remote that logs us in and hangs up would be
 * dialled without end.  Lock held, its reason not yet set.
 */
extern void pcfg_pool_note_break(PcfgPool *pool, const PcfgSlot *slot);

/* Whether the slot has to prove itself.  No lock: a hint for its holder. */
static inline bool
pcfg_slot_is_suspect(const PcfgPool *pool, const PcfgSlot *slot)
{
	return pool->suspect_since != 0 && slot->alive_at <= pool->suspect_since;
}

/* Queues a process in the order of tickets; takes it out with that state. */
extern void pcfg_queue_link(PcfgPool *pool, int procno);
extern void pcfg_queue_unlink(PcfgPool *pool, int procno, PcfgWaitState state);

/* The pool waits for a place for one more connection, or no more. */
extern void pcfg_starving_set(PcfgPool *pool, bool starving);

/* Nothing lives, nobody dials, and it is not yet time to try again. */
extern bool pcfg_pool_is_down(const PcfgPool *pool);

/*
 * Serves the queue: grants idle connections, reserves connects, or tells the
 * waiters that their pool is retired or down.  Lock held.
 */
extern void pcfg_dispatch(PcfgPool *pool, PcfgWakes *wakes);

/* Lets the lock go, then sets the latches; repeats while there were more. */
extern void pcfg_unlock_and_wake(PcfgPool *pool, PcfgWakes *wakes);

/* A place became free: serves the pools that starve, the longest first. */
extern void pcfg_dispatch_starving(void);

/*
 * Takes one of the places that target_limit allows, or gives it back.  A
 * place that was given back is to be followed by pcfg_dispatch_starving.
 */
extern bool pcfg_family_enter(const PcfgPool *pool);
extern void pcfg_family_exit(const PcfgPool *pool);

#endif							/* PCFG_DISPATCH_H */
