/*-------------------------------------------------------------------------
 *
 * backend/channel.h
 *	  A backend's side of the control channel: hello and requests.
 *
 * Floor 8; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CHANNEL_H
#define PCFG_CHANNEL_H

#include "backend/sockets.h"
#include "backend/target.h"

/*
 * Gives the worker what it needs to connect for that pool, unless this life
 * of the worker has it already.  Waits for room in the channel until the
 * deadline, interruptibly.  Errors: 55000 when no worker runs; 08001 when it
 * does not take the message in time.
 */
extern void pcfg_channel_send_credentials(const PcfgTarget *target, PcfgTime deadline);

/*
 * The descriptor of a leased slot, from the cache or from the worker.  NULL
 * when the worker no longer has that connection (the caller condemns the
 * slot and tries another).  Errors as above; 53000 class when no descriptor
 * is free here.  Belongs to the cache; valid until pcfg_channel_forget or
 * until the slot is given back.
 */
extern PcfgSocket *pcfg_channel_fetch(int slot, uint32 generation, uint64 use,
									  PcfgTime deadline);

/* Closes this process's copy; sends nothing to anybody. */
extern void pcfg_channel_forget(int slot, uint32 generation);

/*
 * The life of the worker that our channel goes to, or an earlier one; 0 = it is
 * closed.  If it is the present one, a cancel request reaches that worker.
 */
extern uint32 pcfg_channel_life(void);

/*
 * Asks the worker to cancel what the condemned connection is doing.  Never
 * waits, never fails: without it the worker closes the connection all the
 * same.
 */
extern void pcfg_channel_cancel(int slot, uint32 generation, uint64 use);

#endif							/* PCFG_CHANNEL_H */
