/*-------------------------------------------------------------------------
 *
 * shared/queue.h
 *	  Lease, wait, give back: the callers' part.
 *
 * Floor 6; worker and backends; no waiting, no ereport, no network.
 *
 * Queueing is strictly first come, first served per pool with direct
 * hand-over.  Every event that can make a lease possible dispatches: it
 * grants idle connections to the head of the queue and reserves connects for
 * the worker.  A connect belongs to the pool, never to the waiter that caused
 * it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_QUEUE_H
#define PCFG_QUEUE_H

#include "shared/dispatch.h"

/* What a session remembers of the slot it used last in a pool. */
typedef struct PcfgLastUse
{
	int			slot;			/* PCFG_NONE = none */
	uint64		word;			/* IDLE, 0, use: as left at the give-back */
} PcfgLastUse;

typedef enum PcfgLeaseResult
{
	PCFG_LEASE_GRANTED,			/* *grant is mine */
	PCFG_LEASE_QUEUED,			/* wait: see pcfg_wait_state */
	PCFG_LEASE_FULL,			/* nothing free and the caller will not wait */
	PCFG_LEASE_DOWN,			/* nothing is alive and the last connect failed
								 * just now: *cause says why */
	PCFG_LEASE_GONE				/* the pool is retired, or was reused: look it
								 * up again */
} PcfgLeaseResult;

/*
 * Leases a connection, or joins the queue.  With wait false a connect is
 * still reserved when there is room, and the caller queues for it; FULL means
 * that there was no room.
 */
extern PcfgLeaseResult pcfg_pool_lease(int pool, uint32 serial,
									   const PcfgLastUse *last, bool wait,
									   PcfgGrant *grant, PcfgCause *cause);

/*
 * The connection I was granted is of no use, for that reason: it is
 * condemned, and I queue again in the place I had, all in one go, so that
 * nobody slips past.  Wait as after QUEUED.  A dead one puts its neighbours
 * under suspicion.  False if the pool is another one by now: nothing is done.
 */
extern bool pcfg_pool_requeue(int pool, uint32 serial, const PcfgGrant *grant,
							  PcfgCloseReason reason);

/*
 * The connection that I hold does not answer: its neighbours are to be
 * asked, and one more is dialled if the pool may have it and none is idle.
 */
extern void pcfg_pool_doubt(const PcfgGrant *grant);

/*
 * Leaves what I want to say in the queue, where I stand: a connection of that
 * kind that its last user hands over may come to me with it sent already.
 * Only by the worker of that life, to which my channel goes: it can be told to
 * cancel.  Nothing is done for more than PCFG_POST_MAX bytes.
 */
extern void pcfg_wait_post(const char *data, size_t len, uint32 life,
						   int server_version, bool password_used);

/*
 * How my waiting stands.  GRANTED and FAILED end it: *grant or *cause is
 * set, and the state is NONE again.  A cause without SQLSTATE means that the
 * pool was retired: look it up again.
 */
extern PcfgWaitState pcfg_wait_check(PcfgGrant *grant, PcfgCause *cause);

/*
 * The caller has waited a while: dispatch in case a wake-up was lost.
 * Counts in "rescued" when that granted something.
 */
extern void pcfg_wait_nudge(void);

/*
 * Leaves the queue.  False: something came meanwhile, see pcfg_wait_check.
 */
extern bool pcfg_wait_withdraw(void);

/*
 * Ends my waiting, whatever its state; a grant that came meanwhile is passed
 * on to the next.  True when my post was sent on it: then *grant is still
 * mine, to be given back in doubt.  Safe to call when I do not wait, from an
 * error path, and at exit.
 */
extern bool pcfg_wait_abandon(PcfgGrant *grant);

/* How a lease ends. */
typedef enum PcfgReturn
{
	PCFG_RETURN_ALIVE,			/* the remote answered all, and is idle */
	PCFG_RETURN_UNTOUCHED,		/* nothing was sent */
	PCFG_RETURN_OWED,			/* a ROLLBACK was, and its answer is unread */
	PCFG_RETURN_DOUBT,			/* something may be under way: destroyed */
	PCFG_RETURN_LOST			/* the connection broke: destroyed, and its
								 * neighbours are under suspicion */
} PcfgReturn;

/*
 * Ends my lease.  Returns the word left (IDLE, to be remembered) or 0 when
 * the slot is condemned: also when it is surplus (over pool_size, nobody
 * waiting), too old, or the pool is retired.
 */
extern uint64 pcfg_pool_give_back(const PcfgGrant *grant, PcfgReturn how);

/* Whether the slot is still leased as it was granted to me.  A hint without
 * the lock. */
extern bool pcfg_grant_stands(const PcfgGrant *grant);

/*
 * My lease goes on, for that purpose, but I do not use the connection for
 * now: the worker may take it back (pcfg_slot_reclaim).
 */
extern void pcfg_pool_rest(const PcfgGrant *grant, PcfgHeld held);

/* I use it again.  False: it was taken back. */
extern bool pcfg_pool_resume(const PcfgGrant *grant);

/* What a caller counts in the statistics of a pool. */
typedef enum PcfgNote
{
	PCFG_NOTE_TIMEOUT,			/* its pool_timeout ended */
	PCFG_NOTE_PING				/* it asked a connection whether it lives */
} PcfgNote;

extern void pcfg_pool_note(int pool, uint32 serial, PcfgNote note);

#endif							/* PCFG_QUEUE_H */
