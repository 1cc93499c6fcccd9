/*-------------------------------------------------------------------------
 *
 * backend/sight.h
 *	  Who may see what of a pool.
 *
 * Floor 7; backends.
 *
 * A pool and its connections are shown to the owner of the target and to
 * members of pg_monitor; who may merely use the target sees them without the
 * process ids of others; nobody else sees them at all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SIGHT_H
#define PCFG_SIGHT_H

#include "shared/compat.h"

typedef enum PcfgSight
{
	PCFG_SIGHT_NOTHING,
	PCFG_SIGHT_USER,			/* all but other sessions' process ids */
	PCFG_SIGHT_ALL
} PcfgSight;

/* What the current user may see of the pools of a server of a database. */
extern PcfgSight pcfg_sight_of(Oid database, Oid server);

#endif							/* PCFG_SIGHT_H */
