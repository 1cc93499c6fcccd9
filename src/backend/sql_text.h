/*-------------------------------------------------------------------------
 *
 * backend/sql_text.h
 *	  What the text of statements tells without a parser.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SQL_TEXT_H
#define PCFG_SQL_TEXT_H

#include "nodes/pg_list.h"

/*
 * Splits at semicolons outside of quotes, comments and parentheses, as the
 * extended protocol takes one statement at a time.  A list of palloc'd
 * strings without blank ones; NIL for NULL.
 */
extern List *pcfg_sql_split(const char *text);

/* Whether the first statement is a COPY from or to the client. */
extern bool pcfg_sql_copies_here(const char *text);

/*
 * Whether a ROLLBACK in it may begin the next transaction at once (AND CHAIN),
 * which its tag does not tell.
 */
extern bool pcfg_sql_chains(const char *text);

/* Whether it looks like a statement that EXPLAIN takes. */
extern bool pcfg_sql_has_plan(const char *text);

#endif							/* PCFG_SQL_TEXT_H */
