/*-------------------------------------------------------------------------
 *
 * backend/series.h
 *	  What one call says to the remote, as one series of messages.
 *
 * Floor 9; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SERIES_H
#define PCFG_SERIES_H

#include "backend/statement_cache.h"
#include "wire/reply.h"

/* What the caller wants to run. */
typedef struct PcfgStatement
{
	const char *sql;
	const PcfgWireParam *params;
	int			nparams;
	bool		simple;			/* no rows are wanted and there are no
								 * parameters: several statements may stand in
								 * sql, and COPY can be refused in order */
	bool		describe;		/* it is described only, not run */
} PcfgStatement;

typedef struct PcfgSeries
{
	char	   *data;			/* NULL = none */
	size_t		len;
	int			own_step;		/* first step of the caller's; what is before it
								 * is ours: a reset, savepoints */
} PcfgSeries;

/*
 * What brings the session to where a new one starts, and no further: the
 * statements of a reset.
 */
extern List *pcfg_series_reset(const PcfgTarget *target);

/*
 * Builds the series in the current context, and tells the machine what is
 * owed: the statements of the list "before" (they are not freed), Closes that are due, the statement as planned
 * with its rows in these formats.  One Sync stands at the end, or none behind
 * a simple statement; none stands before it, so that the remote skips the
 * statement when the reset fails.  Errors: 54000 too long, or too many
 * statements of init_sql.
 */
extern void pcfg_series_build(PcfgSeries *series, PcfgReply *reply,
							  const PcfgTarget *target, List *before,
							  PcfgStatementCache *cache,
							  const PcfgStatement *statement,
							  const PcfgPlanned *planned,
							  const int16 *formats, int nformats);

/*
 * Whether the reset must be answered before the statement is sent.  Servers
 * before the minor releases of August 2022 leave DISCARD ALL of a series open
 * until its Sync: VACUUM would not run behind it, and a statement that fails
 * would undo it.
 */
extern bool pcfg_series_resets_alone(int server_version);

/* The reset alone, with its Sync. */
extern void pcfg_series_build_reset(PcfgSeries *series, PcfgReply *reply,
									const PcfgTarget *target);

/* A single CopyFail; nothing new is owed. */
extern void pcfg_series_build_copy_fail(PcfgSeries *series);

extern void pcfg_series_free(PcfgSeries *series);

#endif							/* PCFG_SERIES_H */
