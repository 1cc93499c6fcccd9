/*-------------------------------------------------------------------------
 *
 * shared/moves.h
 *	  Moves of slots between their states, and of processes into the queue and out.
 *
 * Floor 3; worker and backends; no waiting, no ereport, no network.
 *
 * The only code that changes the state of a slot or links a waiter.  "Lock held"
 * means the pool's, exclusively.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_MOVES_H
#define PCFG_MOVES_H

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

/*
 * Changes the state of a slot; lock held.  *word is what the caller has read
 * and becomes what stands there now.  The condemn bit may have come meanwhile:
 * it makes a move to IDLE or LEASED fail.  False: nothing was changed.
 */
extern bool pcfg_slot_move(PcfgSlot *slot, uint64 *word, PcfgSlotState to,
						   uint32 owner, uint64 use, PcfgMover mover);

/*
 * Moves it to CONDEMNED, where the worker closes it; in doubt, it cancels first
 * what may run there.  The first reason stays.
 */
extern bool pcfg_slot_end(PcfgSlot *slot, uint64 word, PcfgCloseReason reason,
						  bool in_doubt, PcfgMover mover, PcfgWakes *wakes);

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

/* Queues a process in the order of tickets; takes it out with that state. */
extern void pcfg_queue_link(PcfgPool *pool, int procno);
extern void pcfg_queue_unlink(PcfgPool *pool, int procno, PcfgWaitState state);

#endif							/* PCFG_MOVES_H */
