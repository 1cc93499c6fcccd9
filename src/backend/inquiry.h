/*-------------------------------------------------------------------------
 *
 * backend/inquiry.h
 *	  A question to a target whose failure is an answer, too.
 *
 * Floor 1; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_INQUIRY_H
#define PCFG_INQUIRY_H

#include "shared/compat.h"

/*
 * Runs a query on a target as any caller would, with that pool_timeout (NULL:
 * the one in effect), and takes n columns of its one row, as text, into
 * values (in the current memory context; NULL for null).  Returns NULL, or
 * the error that it ended with.  Cancels are raised.
 */
extern ErrorData *pcfg_inquire(const char *target, const char *sql, int n,
							   char **values, const char *pool_timeout);

/* Runs an action in a subtransaction; returns its error, or NULL. */
typedef void (*PcfgAttempt) (void *arg);
extern ErrorData *pcfg_attempt(PcfgAttempt attempt, void *arg);

#endif							/* PCFG_INQUIRY_H */
