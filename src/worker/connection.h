/*-------------------------------------------------------------------------
 *
 * worker/connection.h
 *	  The connections that the worker holds, one a slot: dialled, lent,
 *	  cancelled, closed.
 *
 * Floor 10; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CONNECTION_H
#define PCFG_CONNECTION_H

#include "postgres.h"

#include "shared/clock.h"

/* At the worker's start; false without memory. */
extern bool pcfg_connection_create(void);

/*
 * Looks at all slots: dials the reserved ones, closes the condemned ones,
 * serves time limits.  Returns when to be called again.
 */
extern PcfgTime pcfg_connection_tick(PcfgTime now);

/*
 * The socket of a slot for the process that leases it, or -1 when generation
 * or use are not the present ones.  Stays ours.
 */
extern int	pcfg_connection_socket(int slot, uint32 generation, uint64 use, uint32 owner);

/*
 * Sends what the holder of that slot left to be sent; what cannot be sent now
 * is left to him.
 */
extern void pcfg_connection_send_offered(int slot);

/*
 * The lease with that use number ends badly: what runs on the connection is
 * to be cancelled before it is closed.
 */
extern void pcfg_connection_cancel(int slot, uint32 generation, uint64 use, uint32 owner);

/* A process died: its leases are condemned, and cancelled. */
extern void pcfg_connection_owner_died(uint32 owner, int pid);

/* At exit: ends all connections, also those that processes hold copies of. */
extern void pcfg_connection_shutdown_all(void);

#endif							/* PCFG_CONNECTION_H */
