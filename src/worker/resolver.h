/*-------------------------------------------------------------------------
 *
 * worker/resolver.h
 *	  Names of hosts to addresses, without blocking.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_RESOLVER_H
#define PCFG_RESOLVER_H

#include <stdbool.h>

#include "shared/clock.h"
#include "worker/credentials.h"

#define PCFG_MAX_ADDRESSES	16	/* of one name; more are left out */

typedef struct PcfgLookup PcfgLookup;

/*
 * Called once, from pcfg_resolver_start or later: n addresses, or 0 and the
 * reason.  The lookup is void afterwards.
 */
typedef void (*PcfgResolved) (void *arg, char (*addresses)[PCFG_ADDRESS_LEN],
							  int n, const char *reason);

/* At the worker's start; false when the library refuses. */
extern bool pcfg_resolver_create(void);

/*
 * Looks up a name.  NULL: done (or failed) already.  Else it may be
 * abandoned until it calls.
 */
extern PcfgLookup *pcfg_resolver_start(const char *host, PcfgResolved done, void *arg);
extern void pcfg_resolver_abandon(PcfgLookup *lookup);

/* Serves time-outs of queries; returns when to be called again. */
extern PcfgTime pcfg_resolver_tick(PcfgTime now);

#endif							/* PCFG_RESOLVER_H */
