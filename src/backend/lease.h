/*-------------------------------------------------------------------------
 *
 * backend/lease.h
 *	  The exclusive use of one connection: taken with a deadline, given back
 *	  on release, on error, and at exit.
 *
 * Floor 7; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LEASE_H
#define PCFG_LEASE_H

#include "backend/channel.h"

typedef struct PcfgLease
{
	PcfgTarget *target;			/* pinned */
	PcfgGrant	grant;
	PcfgSocket *socket;
	uint32		generation;
	bool		needs_reset;	/* another session or role used it last: the
								 * reset goes first, in the same series */
	bool		broken;			/* EOF or a protocol violation was seen */
	struct PcfgLease *next;		/* of this process's leases */
} PcfgLease;

/*
 * Leases a connection of the target until pool_timeout.  *lease is the
 * caller's memory; it must live until the give-back.  Errors: 53300
 * exhausted, 08001 cannot connect, 2F003, those of channel.h, and
 * interrupts; on error nothing is held.
 */
extern void pcfg_lease_take(PcfgLease *lease, PcfgTarget *target);

/*
 * Looks the target's pool up, and makes it if need be; target->pool is it
 * then.  Errors: 53300 when all places of the server are taken.
 */
extern void pcfg_lease_find_pool(PcfgTarget *target, PcfgTime deadline);

/*
 * Ends it.  clean: the reply machine proves that the connection is between
 * two series.  Otherwise the connection is condemned, and cancelled by the
 * worker if a statement may be running.  Never fails, never talks to the
 * remote, harmless when called twice.
 */
extern void pcfg_lease_give_back(PcfgLease *lease, bool clean);

#endif							/* PCFG_LEASE_H */
