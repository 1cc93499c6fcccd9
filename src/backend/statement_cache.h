/*-------------------------------------------------------------------------
 *
 * backend/statement_cache.h
 *	  Statements that are kept prepared at the remote while this session
 *	  stays the only user of a connection.
 *
 * Floor 8; backends; no network.
 *
 * A cache belongs to one connection and to an unbroken chain of uses of it:
 * whatever comes in between (another session or role, a reset, another
 * connection) voids it.  It knows a statement at its second run; what it
 * says of the remote may be wrong at any time (a pooler, a DEALLOCATE), and
 * is then met by an error before anything was executed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_STATEMENT_CACHE_H
#define PCFG_STATEMENT_CACHE_H

#include "backend/target.h"
#include "wire/message.h"

typedef struct PcfgStatementCache PcfgStatementCache;

#define PCFG_STATEMENT_NAME_LEN	48

/* How a statement is to be run. */
typedef enum PcfgHow
{
	PCFG_RUN_ONCE,				/* unnamed */
	PCFG_RUN_PREPARE,			/* parsed under the name given, and run */
	PCFG_RUN_PREPARED			/* it is there under the name given */
} PcfgHow;

typedef struct PcfgPlanned
{
	PcfgHow		how;
	char		name[PCFG_STATEMENT_NAME_LEN];	/* "" = unnamed */
	uint64		number;			/* part of the name */
	uint64		hash;			/* of the statement; 0 = not to be kept */

	/*
	 * PREPARED: its RowDescription, which a nested use cannot free; NULL body:
	 * no columns.
	 */
	PcfgFrame	columns;
} PcfgPlanned;

/*
 * The one place that decides whether statements may be kept prepared on
 * connections of that target.
 */
extern bool pcfg_statements_allowed(const PcfgTarget *target);

/*
 * Begins a use of the cache by a lease of that target, which is pinned;
 * "reset": the series starts with a reset.  NULL when there is none to be
 * had: not allowed, or an outer call is using it.
 */
extern PcfgStatementCache *pcfg_statements_begin(PcfgTarget *target,
												 const PcfgGrant *grant, bool reset);

/* Ends the use.  Cannot fail; NULL is harmless. */
extern void pcfg_statements_end(PcfgStatementCache *cache);

/* How the statement is to be run now. */
extern void pcfg_statements_plan(PcfgStatementCache *cache, const char *sql,
								 const PcfgWireParam *params, int nparams,
								 PcfgTime now, PcfgPlanned *planned);

/*
 * It ran well as planned, with these columns (NULL body: none) and this
 * command tag.  What is not a plain query or change is not kept, and voids
 * what is: it may have changed what names stand for.
 */
extern void pcfg_statements_ran(PcfgStatementCache *cache, const PcfgPlanned *planned,
								const char *sql, const PcfgFrame *columns,
								const char *tag, PcfgTime now);

/*
 * It did not: what was to be prepared, or was, is not relied on any more.
 * "unknown": the remote said that it knows no such statement.
 */
extern void pcfg_statements_failed(PcfgStatementCache *cache,
								   const PcfgPlanned *planned, bool unknown);

/*
 * Something unseen was run, which may have changed what names stand for: all
 * are to be parsed anew.
 */
extern void pcfg_statements_void(PcfgStatementCache *cache);

/*
 * The name of a statement to be closed at the remote with the next series;
 * false: no more.  Whoever takes it sends it, or loses the connection.
 */
extern bool pcfg_statements_next_closed(PcfgStatementCache *cache, char *name);

#endif							/* PCFG_STATEMENT_CACHE_H */
