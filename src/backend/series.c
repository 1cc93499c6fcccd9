/*-------------------------------------------------------------------------
 *
 * backend/series.c
 *	  What one call says to the remote, as one series of messages.
 *
 * Floor 9; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/sql_text.h"
#include "backend/series.h"

/* Statements closed in passing, at most that many a series. */
#define CLOSES_MAX	8

/* Besides init_sql: a reset, a transaction, savepoints, the caller's. */
#define OWN_STEPS	9

/*
 * A transaction of their own: what fails behind them must not undo them, VACUUM
 * must find none open, and from 18 on one that a series leaves open until its
 * Sync does not end with a Query.
 */
static List *
in_transaction(List *statements)
{
	return lappend(lcons("BEGIN", statements), "COMMIT");
}

List *
pcfg_series_reset(const PcfgTarget *target)
{
	List	   *init;

	switch (target->policy.value[PCFG_POOL_RESET])
	{
		case PCFG_RESET_AUTO:
		case PCFG_RESET_ALWAYS:
			init = pcfg_sql_split(target->init_sql);
			return lcons("DISCARD ALL", init == NIL ? NIL : in_transaction(init));
		default:
			/* the connection is idle, so cursors are all that may be left */
			return in_transaction(list_make1("CLOSE ALL"));
	}
}

static void
expect(PcfgReply *reply, PcfgStep step, const PcfgTarget *target)
{
	if (!pcfg_reply_expect(reply, step))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("init_sql of target \"%s\" has too many statements", target->name),
				 errdetail("At most %d are possible.", PCFG_MAX_STEPS - OWN_STEPS - CLOSES_MAX),
				 errhint("Combine them: SELECT set_config(...), set_config(...).")));
}

static void
raise_too_long(const PcfgTarget *target)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the statement for target \"%s\" is too long", target->name),
			 errdetail("With its parameters it may take up to 1 GB.")));
}

/* The caller's statement with parameters and results. */
static void
write_statement(PcfgWriter *w, const PcfgStatement *statement, const PcfgPlanned *planned,
				const int16 *formats, int nformats)
{
	if (planned->how != PCFG_RUN_PREPARED)
	{
		pcfg_write_parse(w, planned->name, statement->sql,
						 statement->params, statement->nparams);
		pcfg_write_describe_statement(w, planned->name);
	}
	pcfg_write_bind(w, planned->name, statement->params, statement->nparams,
					formats, nformats);
	pcfg_write_execute(w);
}

static size_t
list_bound(List *statements)
{
	size_t		bound = 0;
	ListCell   *lc;

	foreach(lc, statements)
		bound += pcfg_statement_bound(0, strlen(lfirst(lc)), NULL, 0, 0);
	return bound;
}

/* Starts the series and the list of what is owed with these. */
static void
begin(PcfgSeries *series, PcfgWriter *w, size_t bound, PcfgReply *reply,
	  List *before, const PcfgTarget *target)
{
	ListCell   *lc;

	bound += list_bound(before);
	if (bound > PCFG_FRAME_MAX)
		raise_too_long(target);
	series->data = palloc_extended(bound, MCXT_ALLOC_HUGE);
	series->own_step = list_length(before);
	pcfg_reply_init(reply);
	pcfg_writer_init(w, series->data, bound);
	foreach(lc, before)
	{
		pcfg_write_command(w, lfirst(lc));
		expect(reply, PCFG_STEP_COMMAND, target);
	}
}

static void
end(PcfgSeries *series, const PcfgWriter *w, const PcfgTarget *target)
{
	if (w->failed)
		raise_too_long(target);
	series->len = w->used;
}

void
pcfg_series_build(PcfgSeries *series, PcfgReply *reply, const PcfgTarget *target,
				  List *before, PcfgStatementCache *cache,
				  const PcfgStatement *statement, const PcfgPlanned *planned,
				  const int16 *formats, int nformats)
{
	size_t		bound = pcfg_statement_bound(PCFG_STATEMENT_NAME_LEN, strlen(statement->sql),
											 statement->params, statement->nparams, nformats);
	char		closed[PCFG_STATEMENT_NAME_LEN];
	PcfgWriter	w;
	int			i;

	bound += CLOSES_MAX * pcfg_statement_bound(PCFG_STATEMENT_NAME_LEN, 0, NULL, 0, 0);
	begin(series, &w, bound, reply, before, target);
	for (i = 0; i < CLOSES_MAX && pcfg_statements_next_closed(cache, closed); i++)
	{
		pcfg_write_close_statement(&w, closed);
		expect(reply, PCFG_STEP_CLOSE, target);
	}
	if (statement->simple)
	{
		pcfg_write_query(&w, statement->sql);
		expect(reply, PCFG_STEP_QUERY, target);
	}
	else if (statement->describe)
	{
		pcfg_write_parse(&w, "", statement->sql, statement->params, statement->nparams);
		pcfg_write_describe_statement(&w, "");
		expect(reply, PCFG_STEP_DESCRIBE, target);
		pcfg_write_sync(&w);
		expect(reply, PCFG_STEP_SYNC, target);
	}
	else
	{
		write_statement(&w, statement, planned, formats, nformats);
		expect(reply, planned->how == PCFG_RUN_PREPARED ?
			   PCFG_STEP_PREPARED : PCFG_STEP_STATEMENT, target);
		pcfg_write_sync(&w);
		expect(reply, PCFG_STEP_SYNC, target);
	}
	end(series, &w, target);
}

bool
pcfg_series_resets_alone(int server_version)
{
	switch (server_version / 10000)
	{
		case 14:
			return server_version < 140005;
		case 13:
			return server_version < 130008;
		case 12:
			return server_version < 120012;
		case 11:
			return server_version < 110017;
		case 10:
			return server_version < 100022;
		default:
			return server_version < 100000;
	}
}

void
pcfg_series_build_reset(PcfgSeries *series, PcfgReply *reply, const PcfgTarget *target)
{
	List	   *resets = pcfg_series_reset(target);
	PcfgWriter	w;

	begin(series, &w, pcfg_statement_bound(0, 0, NULL, 0, 0), reply, resets, target);
	pcfg_write_sync(&w);
	expect(reply, PCFG_STEP_SYNC, target);
	end(series, &w, target);
	list_free(resets);
}

void
pcfg_series_build_copy_fail(PcfgSeries *series)
{
	size_t		bound = pcfg_statement_bound(0, 0, NULL, 0, 0);
	PcfgWriter	w;

	series->data = palloc(bound);
	pcfg_writer_init(&w, series->data, bound);
	pcfg_write_copy_fail(&w, "not supported");
	Assert(!w.failed);
	series->len = w.used;
}

void
pcfg_series_free(PcfgSeries *series)
{
	if (series->data != NULL)
		pfree(series->data);
	series->data = NULL;
}
