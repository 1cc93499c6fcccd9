/*-------------------------------------------------------------------------
 *
 * shared/stats.h
 *	  Counters and histograms, and why connections are closed, as plain data.
 *
 * Floor 1; any process; no server header.
 *
 * A pool counts under its own lock, where it is taken anyway; what a pool
 * has counted is added to the record of its target when the pool ends.
 * Nothing is ever subtracted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_STATS_H
#define PCFG_STATS_H

#include "shared/clock.h"

/* Why a connection was closed. */
typedef enum PcfgCloseReason
{
	PCFG_CLOSE_UNKNOWN,			/* of a worker that is gone */
	PCFG_CLOSE_AGE,				/* pool_recycle */
	PCFG_CLOSE_IDLE,			/* idle_timeout */
	PCFG_CLOSE_SURPLUS,			/* over pool_size, or over a lowered limit */
	PCFG_CLOSE_RETIRED,			/* its target was altered or dropped */
	PCFG_CLOSE_RECYCLE,			/* recycle(), or a remote that became read-only */
	PCFG_CLOSE_EVICTED,			/* its place was needed by another pool */
	PCFG_CLOSE_DISCONNECT,		/* disconnect() */
	PCFG_CLOSE_PAUSE,			/* pause() */
	PCFG_CLOSE_REMOTE,			/* the remote ended it while nobody used it */
	PCFG_CLOSE_PING,			/* did not answer a ping, or was found dead */
	PCFG_CLOSE_LOST,			/* ended, or broke the protocol, during a use */
	PCFG_CLOSE_DOUBT,			/* its use was cancelled or failed half-way */
	PCFG_CLOSE_DIED,			/* the session that used it died */
	PCFG_CLOSE_RESET,			/* the reset of an idle one failed */
	PCFG_CLOSE_UNUSED,			/* idle_lease_timeout */
	PCFG_CLOSE_REASONS
} PcfgCloseReason;

/* The word of the view and the log. */
extern const char *pcfg_close_reason_name(PcfgCloseReason reason);

/* Upper bounds of the buckets in microseconds; the last one has none. */
#define PCFG_BUCKETS	18
extern const PcfgTime pcfg_bucket_bounds[PCFG_BUCKETS - 1];

typedef struct PcfgHistogram
{
	uint64_t	count[PCFG_BUCKETS];	/* each bucket's own, not cumulative */
	uint64_t	sum;			/* microseconds */
} PcfgHistogram;

typedef struct PcfgStats
{
	uint64_t	leases;
	uint64_t	queued;			/* leases asked for that had to wait */
	uint64_t	timeouts;		/* waits ended by pool_timeout */
	uint64_t	refused;		/* told the cause of the last failure at once */
	uint64_t	connects;
	uint64_t	connect_failures;
	uint64_t	pings;
	uint64_t	bytes_in;		/* of connections that are closed */
	uint64_t	bytes_out;
	uint64_t	closes[PCFG_CLOSE_REASONS];
	PcfgHistogram wait;			/* from the call to the lease */
	PcfgHistogram connect;		/* name, connect, login, init_sql */
	PcfgHistogram statement;	/* from the lease to the return */
} PcfgStats;

extern void pcfg_histogram_add(PcfgHistogram *histogram, PcfgTime duration);
extern uint64_t pcfg_histogram_total(const PcfgHistogram *histogram);
extern void pcfg_stats_add(PcfgStats *total, const PcfgStats *part);

#endif							/* PCFG_STATS_H */
