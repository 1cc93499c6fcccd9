/*-------------------------------------------------------------------------
 *
 * shared/steering.h
 *	  What the owner of a target does to its pools.
 *
 * Floor 7; backends; no waiting, no ereport.
 *
 * A target is meant in one database, with all its mappings.  What is done
 * takes effect at once and is no part of a transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_STEERING_H
#define PCFG_STEERING_H

#include "shared/pool.h"

/*
 * Paused: no connection is leased or made, idle ones are closed at once,
 * others when they come back; callers queue until their pool_timeout.  Holds
 * for pools that are made meanwhile, too.
 */
extern void pcfg_steer_pause(Oid database, Oid server, bool paused);
extern bool pcfg_steer_is_paused(Oid database, Oid server);

/* Connections of the target, those being made or closed included. */
extern int	pcfg_steer_count_open(Oid database, Oid server);

/*
 * Replaces all connections, those in use when they come back; failures are
 * forgotten.  Returns how many there were.
 */
extern int	pcfg_steer_recycle(Oid database, Oid server);

/* The same for one pool, and failures stay. */
extern void pcfg_steer_recycle_pool(int pool, uint32 serial);

/*
 * Ends the connection in that slot, or all (PCFG_NONE), those in use too.
 * Returns how many.
 */
extern int	pcfg_steer_disconnect(Oid database, Oid server, int slot);

/*
 * Reserves connects until the pool has n connections, as far as its limits
 * and failures allow by now.  Returns how many are open; *cause is the last
 * failure.
 */
extern int	pcfg_steer_prewarm(int pool, uint32 serial, int n, PcfgCause *cause);

/* The owner changed the target: what failed may be tried again. */
extern void pcfg_steer_forgive(Oid database, Oid server);

/* The target, or all of a database (InvalidOid), is no more. */
extern void pcfg_steer_forget(Oid database, Oid server);

/* Counts of a target from its beginning, or the last reset. */
typedef struct PcfgTargetStats
{
	Oid			server;
	PcfgStats	stats;
	PcfgTime	last_error_at;	/* 0 = none */
	char		last_error[PCFG_CAUSE_LEN];
} PcfgTargetStats;

/*
 * Those of the index-th record; false when it is not one of that database.
 * Indexes run from 0 to pcfg_shared->nrecords - 1.
 */
extern bool pcfg_steer_stats(int index, Oid database, PcfgTargetStats *out);
extern void pcfg_steer_stats_reset(Oid database, Oid server);

#endif							/* PCFG_STEERING_H */
