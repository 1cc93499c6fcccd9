/*-------------------------------------------------------------------------
 *
 * worker/exchange.h
 *	  A series of the worker's own on a detached socket: statements and a
 *	  Sync out, exactly their answers back.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_EXCHANGE_H
#define PCFG_EXCHANGE_H

#include "postgres.h"

#include "shared/shmem.h"

typedef struct PcfgExchange PcfgExchange;

typedef struct PcfgExchangeResult
{
	bool		ok;				/* the socket stands idle between two series */
	bool		refused;		/* a statement failed; else it is the connection */
	char		answer[32];		/* to the question; "" = none */
	char		sqlstate[6];	/* unless ok */
	char		message[PCFG_CAUSE_LEN];
} PcfgExchangeResult;

typedef void (*PcfgExchangeDone) (void *arg, const PcfgExchangeResult *result);

/*
 * Starts one.  "owed": the answer to a Query that was sent before comes first.
 * "question", unless NULL, is asked last, in a transaction of its own: the
 * first column of its first row is told, if it is short; it may fail without
 * harm.  A remote whose client_encoding is not that one at the end (a number of
 * the server's), or whose styles are not ours, counts as refused.  The socket
 * stays the caller's, must not be watched by anybody else meanwhile, and has
 * no time limit: see pcfg_exchange_abandon.  done is called once, from the
 * loop; the exchange is void afterwards.  NULL without memory, or with more
 * statements than fit in a series.
 */
extern PcfgExchange *pcfg_exchange_start(int sock, bool owed,
										 const char *const *statements, int n,
										 const char *question, int encoding,
										 PcfgExchangeDone done, void *arg);

/* Ends it without a call; the connection is not to be used any more. */
extern void pcfg_exchange_abandon(PcfgExchange *exchange);

#endif							/* PCFG_EXCHANGE_H */
