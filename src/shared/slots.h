/*-------------------------------------------------------------------------
 *
 * shared/slots.h
 *	  What the worker tells of connections.
 *
 * Floor 4; worker and backends; no waiting, no ereport, no network.
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
 * give-back.  Harmless when the generation is an old one.
 */
extern void pcfg_slot_condemn(int slot, uint32 generation);

/* CONDEMNED -> EMPTY once the worker has closed it; dispatches. */
extern void pcfg_slot_closed(int slot);

/*
 * Condemns the lease of a process that died without giving back; true if it
 * had one.
 */
extern bool pcfg_slot_owner_died(int slot, uint32 owner, int pid);

/* Reserves a connect for a pool below its min_idle, or dispatches. */
extern void pcfg_pool_tick(int pool, PcfgTime now);

/*
 * Leases an idle connection that was used and not reset since, and that has
 * been idle until "before", to the worker itself; to be given back as by
 * anybody.  False when it is not such a one, or somebody waits for it.
 */
extern bool pcfg_slot_lease_dirty(int slot, PcfgTime before, PcfgGrant *grant);

/*
 * When a pool waits for a slot of the server and none is free: condemns the
 * connection that has been idle longest in a pool that can spare it.
 */
extern void pcfg_pool_relieve(void);

#endif							/* PCFG_SLOTS_H */
