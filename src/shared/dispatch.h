/*-------------------------------------------------------------------------
 *
 * shared/dispatch.h
 *	  Who gets what next.
 *
 * Floor 5; worker and backends; no waiting, no ereport, no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_DISPATCH_H
#define PCFG_DISPATCH_H

#include "shared/connects.h"

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
 * The policy changed: closes what is idle and too much or too old, and
 * dispatches.  Lock held.
 */
extern void pcfg_pool_trim(PcfgPool *pool, PcfgWakes *wakes);

/*
 * A connection of the pool broke: the others have to prove themselves before
 * they are used again.  Lock held.
 */
extern void pcfg_pool_suspect(PcfgPool *pool, PcfgWakes *wakes);

/* Whether the slot has to prove itself.  No lock: a hint for its holder. */
static inline bool
pcfg_slot_is_suspect(const PcfgPool *pool, const PcfgSlot *slot)
{
	return pool->suspect_since != 0 && slot->alive_at <= pool->suspect_since;
}

#endif							/* PCFG_DISPATCH_H */
