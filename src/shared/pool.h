/*-------------------------------------------------------------------------
 *
 * shared/pool.h
 *	  The directory of pools: find, make, describe, retire.
 *
 * Floor 6; worker and backends; no waiting, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_POOL_H
#define PCFG_POOL_H

#include "shared/shmem.h"

/*
 * The pool of that key, made if need be; its policy is brought up to
 * *policy.  Returns its index and *serial, or PCFG_NONE when all pools are
 * in use and none can be recycled.  A retired pool is never found.
 */
extern int	pcfg_pool_find(const PcfgPoolKey *key, const char *target,
						   Oid mapping_user, int encoding,
						   const PcfgPolicy *policy, uint32 *serial);

/* True when index and serial still name a pool in which one may lease. */
extern bool pcfg_pool_is_current(int pool, uint32 serial);

/*
 * Brings a current pool's policy up to the options in *policy; cheap when it
 * is equal.  What is no option is the worker's to say: the values of
 * postgresql.conf, at its start and at each reload, for all pools at once.
 */
extern void pcfg_pool_set_policy(int pool, uint32 serial, const PcfgPolicy *policy);
extern void pcfg_pool_set_defaults(const PcfgPolicy *defaults);

/* A consistent copy of what a pool's lock guards, for errors and views. */
typedef struct PcfgPoolSnapshot
{
	uint32		serial;			/* 0 = no such pool */
	PcfgPoolKey key;
	char		target[PCFG_NAME_LEN];
	Oid			mapping_user;
	PcfgPolicy	policy;
	bool		retired;
	bool		paused;
	bool		pooled;			/* a pooler stands in front of the remote */
	bool		starving;		/* waits for a place of server or target */
	int			nopen;
	int			nconnecting;
	int			nidle;
	int			nwait;
	PcfgTime	oldest_wait;	/* since when the head waits; 0 = nobody */
	PcfgCause	cause;
} PcfgPoolSnapshot;

extern void pcfg_pool_snapshot(int pool, PcfgPoolSnapshot *snapshot);

/* A session in a pool's queue. */
typedef struct PcfgQueuePlace
{
	int			pid;
	PcfgTime	since;
} PcfgQueuePlace;

/*
 * The pool and who waits for it, in their order; up to max.  Returns how
 * many; *snapshot is valid if it is not 0.
 */
extern int	pcfg_pool_queue(int pool, PcfgPoolSnapshot *snapshot, PcfgQueuePlace *queue,
							int max);

/* Frees a retired pool that has neither slots nor waiters. */
extern void pcfg_pool_try_free(int pool);

/* Retires the pools of a server, mapping or database (InvalidOid = any). */
extern void pcfg_pool_retire(Oid database, Oid server, Oid mapping);

#endif							/* PCFG_POOL_H */
