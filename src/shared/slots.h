/*-------------------------------------------------------------------------
 *
 * shared/slots.h
 *	  What the worker tells of connections.
 *
 * Floor 6; worker and backends; no waiting, no ereport, no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SLOTS_H
#define PCFG_SLOTS_H

#include "shared/dispatch.h"

/* Marks slots and waiters after a worker's start (see the definition). */
extern void pcfg_pool_worker_started(void);

/* CONNECTING -> IDLE, with the facts of the connection; dispatches. */
extern void pcfg_slot_connected(int slot, int remote_pid, int server_version,
								bool password_used, bool relay);

/*
 * CONNECTING -> EMPTY.  The cause is kept for callers (see PcfgCause for what
 * message and said are); with nothing alive every waiter fails with it, else
 * the others are dispatched.  retry_at: no connect is reserved before.
 */
extern void pcfg_slot_connect_failed(int slot, const char *sqlstate,
									 const char *message, const char *said,
									 PcfgTime retry_at);

/*
 * The connection of that slot is no good any more.  IDLE becomes CONDEMNED
 * at once; a LEASED one gets the condemn bit, and its holder condemns it at
 * give-back.  Harmless when the generation is an old one.  The reason REMOTE
 * puts its neighbours under suspicion.
 */
extern void pcfg_slot_condemn(int slot, uint32 generation, PcfgCloseReason reason);

/* CONDEMNED -> EMPTY once the worker has closed it; dispatches. */
extern void pcfg_slot_closed(int slot);

/*
 * Condemns the lease of a process that died without giving back; true if it
 * had one.
 */
extern bool pcfg_slot_owner_died(int slot, uint32 owner, int pid);

/*
 * A slot whose holder may have left a statement to be sent; PCFG_NONE = no
 * more.
 */
extern int	pcfg_offer_next(void);

/*
 * Copies that statement (PCFG_POST_MAX bytes at most) and returns its length;
 * 0 when there is none any more.  *use and *procno are the lease's.  The copy
 * is worth nothing until pcfg_offer_take succeeds.
 */
extern size_t pcfg_offer_read(int slot, char *data, uint64 *use, int *procno);

/*
 * From now on the statement counts as sent.  False: its owner has taken it
 * back.
 */
extern bool pcfg_offer_take(int slot, uint64 use);

/* It will not be sent; its owner sees to the connection himself. */
extern void pcfg_offer_decline(int slot, uint64 use, int procno);

/*
 * Takes a connection back that its holder keeps without using it: when that
 * lasts longer than idle_lease_timeout, or when the connection has ended
 * anyway.  Returns when to look again.
 */
extern PcfgTime pcfg_slot_reclaim(int slot, PcfgTime now);

/*
 * Time passed: closes what is too old or idle for too long, and reserves the
 * connects that are due.
 */
extern void pcfg_pool_tick(int pool, PcfgTime now);

/*
 * Whether the pool wants to know if a pooler stands in front of its remote;
 * and the answer.
 */
extern bool pcfg_pool_asks_for_pooler(int pool);
extern void pcfg_pool_note_pooler(int pool, bool pooled);

/* What an idle connection needs of the worker. */
typedef enum PcfgCare
{
	PCFG_CARE_NONE,
	PCFG_CARE_PROBE,			/* it is under suspicion */
	PCFG_CARE_RESET				/* what its last user left is to be cleared */
} PcfgCare;

/* A hint without lock.  *at is when the care is due, if not now. */
extern PcfgCare pcfg_slot_care(int slot, PcfgTime now, PcfgTime *at);

/*
 * Leases an idle connection to the worker itself, for that care.  False when
 * it needs none any more, or somebody waits for it.
 */
extern bool pcfg_slot_lease_for_care(int slot, PcfgCare care, PcfgGrant *grant);

/*
 * Ends that lease.  The connection keeps its place among the idle ones, as
 * if nothing had been; one that did not stand the care is condemned.
 */
extern void pcfg_slot_return_from_care(const PcfgGrant *grant, PcfgCare care, bool ok);

/*
 * When a pool waits for a slot of the server and none is free: condemns the
 * connection that has been idle longest in a pool that can spare it.
 */
extern void pcfg_pool_relieve(void);

#endif							/* PCFG_SLOTS_H */
