/*-------------------------------------------------------------------------
 *
 * shared/backoff.h
 *	  When to try again after a connect failed.
 *
 * Floor 1; any process; no server header.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_BACKOFF_H
#define PCFG_BACKOFF_H

#include "shared/clock.h"

typedef enum PcfgFailureClass
{
	PCFG_FAILURE_TRANSIENT,		/* refused, unreachable, timed out, starting up,
								 * too many clients */
	PCFG_FAILURE_LASTING		/* wrong password, unknown database, no such
								 * right: another attempt changes nothing */
} PcfgFailureClass;

/*
 * The class of a failure, by its SQLSTATE and, where libpq gives none or a
 * proxy a useless one, by its words.
 */
extern PcfgFailureClass pcfg_failure_class(const char *sqlstate, const char *message);

/*
 * The moment of the next try after that many failures in a row (1 = the
 * first).  Transient: at once, then after 50 ms, doubling up to 1 s, less up
 * to a quarter by "random" (0 to 1).  Lasting: one try a minute.
 */
extern PcfgTime pcfg_backoff_next(PcfgFailureClass failure, int failures,
								  PcfgTime now, double random);

#endif							/* PCFG_BACKOFF_H */
