/*-------------------------------------------------------------------------
 *
 * backend/init_sql.h
 *	  The text of the setting init_sql, as single statements.
 *
 * Floor 4; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_INIT_SQL_H
#define PCFG_INIT_SQL_H

#include "nodes/pg_list.h"

/*
 * Splits at semicolons outside of quotes, comments and parentheses, as the
 * extended protocol takes one statement at a time.  A list of palloc'd
 * strings without blank ones; NIL for NULL.
 */
extern List *pcfg_init_sql_split(const char *text);

#endif							/* PCFG_INIT_SQL_H */
