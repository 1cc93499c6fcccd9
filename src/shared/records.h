/*-------------------------------------------------------------------------
 *
 * shared/records.h
 *	  What outlives pools: records of targets, failures that last, families.
 *
 * Floor 3; worker and backends; no waiting, no ereport.
 *
 * All of it is under directory_lock, exclusively unless said otherwise.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_RECORDS_H
#define PCFG_RECORDS_H

#include "shared/shmem.h"

/* The record of a target, or NULL; the lock may be shared. */
extern PcfgRecord *pcfg_record_find(Oid database, Oid server);

/*
 * The record of a target, made if need be.  When all are taken, the one
 * whose pools ended longest ago is given up.
 */
extern PcfgRecord *pcfg_record_get(Oid database, Oid server);

/* A pool ends: its counts go to the record of its target; its lock held. */
extern void pcfg_record_take(PcfgPool *pool);

/* The family of that target, joined by one more pool; an index. */
extern int	pcfg_family_join(const unsigned char *id);
extern void pcfg_family_leave(int family);

/*
 * Whether a connect for that target and local role failed in a way that
 * another attempt would only repeat, and it is not time to try again: then
 * *cause is that failure.
 */
extern bool pcfg_failure_recall(Oid database, Oid server, Oid mapping_user,
								PcfgCause *cause);

/* The pool's cause is such a failure; its lock held. */
extern void pcfg_failure_keep(const PcfgPool *pool);

/* A connect succeeded. */
extern void pcfg_failure_forget(Oid database, Oid server, Oid mapping_user);

/* Forgets those of all roles: the owner changed the target. */
extern void pcfg_failure_forget_all(Oid database, Oid server);

#endif							/* PCFG_RECORDS_H */
