/*-------------------------------------------------------------------------
 *
 * shared/connects.h
 *	  How many connections a pool may have, and which are dialled.
 *
 * Floor 4; worker and backends; no waiting, no ereport, no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CONNECTS_H
#define PCFG_CONNECTS_H

#include "shared/moves.h"

/* pool_size + max_overflow, or the server-wide limit. */
extern int	pcfg_policy_limit(const PcfgPolicy *policy);

/* When the connection of that slot comes of age. */
extern PcfgTime pcfg_recycle_time(const PcfgPolicy *policy, const PcfgSlot *slot);

/*
 * How many connections more than the pool, or the target, may have by now,
 * those being closed not counted.
 */
extern int	pcfg_pool_excess(const PcfgPool *pool);

/* No more than the limit, counting those from before the target was altered. */
extern bool pcfg_pool_waits_for_older(const PcfgPool *pool);

/* Fewer idle connections than min_idle, counting those on their way. */
extern bool pcfg_pool_is_cold(const PcfgPool *pool);

/*
 * Takes one of the places that target_limit allows, or gives it back.  A
 * place that was given back is to be followed by pcfg_dispatch_starving.
 */
extern bool pcfg_family_enter(const PcfgPool *pool);
extern void pcfg_family_exit(const PcfgPool *pool);

/*
 * Reserves the connects that the queue could use and the limits allow; then,
 * if nobody lacks a place for a waiter, those that min_idle asks for.  Lock held.
 */
extern void pcfg_connects_reserve(PcfgPool *pool, PcfgWakes *wakes);

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

/* The pool waits for a place for one more connection, or no more. */
extern void pcfg_starving_set(PcfgPool *pool, bool starving);

/* Nothing lives, nobody dials, and it is not yet time to try again. */
extern bool pcfg_pool_is_down(const PcfgPool *pool);

#endif							/* PCFG_CONNECTS_H */
