/*-------------------------------------------------------------------------
 *
 * backend/rows.h
 *	  Rows of a remote result into a tuplestore.
 *
 * Floor 6; backends; no network.
 *
 * Columns travel binary where both sides' types are the same built-in type
 * whose binary form is fixed, and as text otherwise; what the remote
 * announces is checked before the first row, so that bytes are never read as
 * another type than they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ROWS_H
#define PCFG_ROWS_H

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "wire/message.h"

typedef struct PcfgRows PcfgRows;

/*
 * A sink for rows of *desc.  by_name: remote columns are matched by name
 * (query_as), else by position.  Lives in the current memory context, as do
 * its rows' scratch contexts.  store may be NULL: rows are then only checked
 * and counted.
 */
extern PcfgRows *pcfg_rows_create(TupleDesc desc, Tuplestorestate *store, bool by_name);

/*
 * A sink that makes each row one jsonb object, with the remote's columns for
 * keys, in the one column of *store_desc.
 */
extern PcfgRows *pcfg_rows_create_json(TupleDesc store_desc, Tuplestorestate *store);

/* Result formats to ask for in Bind: *n codes (0 = all text, 1 = for all). */
extern const int16 *pcfg_rows_formats(PcfgRows *rows, int *n);

/*
 * The RowDescription that is to be expected, from an earlier run: chooses the
 * formats for it, column by column, and prepares to read them.  False, and
 * nothing done, when the columns do not fit the row type (NULL body: none).
 */
extern bool pcfg_rows_expect(PcfgRows *rows, const PcfgFrame *columns);

/* As if just created: what was expected or described does not count. */
extern void pcfg_rows_restart(PcfgRows *rows);

/*
 * The remote's RowDescription, or NULL for a statement without columns.
 * Errors: 42804 naming the missing or extra column, or the column whose type
 * cannot be read as asked, with the cast that helps.
 */
extern void pcfg_rows_describe(PcfgRows *rows, const PcfgFrame *columns);

/*
 * By position, another count of columns is no error yet: the remote may be
 * about to refuse the statement for that very reason, and the connection
 * lives.  Rows are passed over, and this raises it, 42804 with both counts,
 * and the tag of the remote's answer; NULL = it was not waited for.
 */
extern void pcfg_rows_require_fit(const PcfgRows *rows, const char *tag);
extern bool pcfg_rows_are_unfit(const PcfgRows *rows);

/* One DataRow.  Errors of input functions name the column in the context. */
extern void pcfg_rows_add(PcfgRows *rows, const PcfgFrame *row);

extern uint64 pcfg_rows_count(const PcfgRows *rows);

#endif							/* PCFG_ROWS_H */
