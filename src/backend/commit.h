/*-------------------------------------------------------------------------
 *
 * backend/commit.h
 *	  The COMMITs of joined transactions.
 *
 * Floor 11; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_COMMIT_H
#define PCFG_COMMIT_H

/*
 * Commits all transactions that are joined, just before the local one.  Each
 * is looked at first; only when none is known to be lost the COMMITs go out,
 * all of them before the first answer is awaited.  Errors: 08006 and 2D000
 * when one is lost, nothing was committed; the remote's error when one refuses
 * and none is committed; 08007 when it is not known whether one is committed,
 * or some are and others not.  A warning for those that ran nothing.
 */
extern void pcfg_commit_joined(void);

#endif							/* PCFG_COMMIT_H */
