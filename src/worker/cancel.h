/*-------------------------------------------------------------------------
 *
 * worker/cancel.h
 *	  Cancel requests that block nobody.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CANCEL_H
#define PCFG_CANCEL_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "shared/clock.h"

/* So many requests are under way at once, each with a descriptor. */
#define PCFG_CANCEL_MAX		64

/* What is needed to cancel on one connection; from a finished login. */
typedef struct PcfgCancelKey PcfgCancelKey;

/* Called once when the request was delivered, or failed. */
typedef void (*PcfgCancelled) (void *arg);

extern bool pcfg_cancel_create(void);

/* NULL without memory.  Independent of conn afterwards. */
extern PcfgCancelKey *pcfg_cancel_key_make(PGconn *conn);
extern void pcfg_cancel_key_free(PcfgCancelKey *key);

/*
 * Sends a cancel request; takes the key over.  Only so many of one pool (its
 * serial) are under way at once: a remote that takes them and says nothing
 * keeps no other's waiting.  "done" comes later, from the loop, unless it was
 * taken back by pcfg_cancel_forget; NULL = nobody waits for it, and where too
 * many wait for their turn it is not sent.
 */
extern void pcfg_cancel_send(PcfgCancelKey *key, uint32 pool, PcfgCancelled done, void *arg);

/* done(arg) will not be called any more; what is not sent yet will not be. */
extern void pcfg_cancel_forget(void *arg);

/*
 * Our process ends: these requests and those that wait are sent all the same,
 * by processes that outlive it for moments.  Waits for nothing; the keys stay
 * the caller's.
 */
extern void pcfg_cancel_leave(PcfgCancelKey *const *keys, int n);

/* Requests under way: their descriptors count. */
extern int	pcfg_cancel_count(void);

#endif							/* PCFG_CANCEL_H */
