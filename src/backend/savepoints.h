/*-------------------------------------------------------------------------
 *
 * backend/savepoints.h
 *	  Savepoints of a remote transaction that mirror local subtransactions.
 *
 * Floor 6; backends; no network.
 *
 * One is set before the first statement of a subtransaction, and not before.
 * What the end of a subtransaction asks for is noted and goes with the next
 * statement, so that nothing is said to the remote while an error is handled.
 * A savepoint of an inner level stands for the outer ones, too, as long as
 * these have run nothing of their own: at most one is set at a time, and none
 * is released that its outer level can go on with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SAVEPOINTS_H
#define PCFG_SAVEPOINTS_H

#include "nodes/pg_list.h"

/* Zeroed but for the context, there is none. */
typedef struct PcfgSavepoints
{
	MemoryContext context;
	int		   *levels;			/* local nesting levels, rising; from 2 on */
	int			size;
	int			n;				/* savepoints that stand */
	int			nremote;		/* ... that are there, those to be released too */
	int			rollback;		/* to which one first, from 1 on; 0 = none */
} PcfgSavepoints;

/* The local subtransaction of that level ended.  Cannot fail. */
extern void pcfg_savepoints_end(PcfgSavepoints *s, int level, bool committed);

/* The statements that go before one of that level; the last three at most. */
extern List *pcfg_savepoints_prelude(PcfgSavepoints *s, int level);

/* They were carried out. */
extern void pcfg_savepoints_done(PcfgSavepoints *s, int level);

/* The rollback that is due before a COMMIT, or none. */
extern List *pcfg_savepoints_rollback(const PcfgSavepoints *s);

#endif							/* PCFG_SAVEPOINTS_H */
