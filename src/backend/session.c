/*-------------------------------------------------------------------------
 *
 * backend/session.c
 *	  One statement on a leased connection: send, wait, deliver.
 *
 * Floor 11; backends.
 *
 * The connection is leased for this call, or is one that the session keeps
 * (hold.c).
 *
 * All that a call wants of the remote goes out as one series: the reset of
 * the session if somebody else used it last, then the caller's statement,
 * then one Sync.  With no Sync in between, a failed reset makes the server
 * skip the statement.  In the steady state the call takes one send, one wait
 * and one receive.
 *
 * Errors of our own (interrupts, conversions, memory) may come at any moment
 * between the lease and its give-back, which therefore stands in a PG_TRY;
 * they condemn the connection, and nothing is said to the remote.  Errors of
 * the remote are raised after the give-back.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/parallel.h"
#include "backend/hold.h"
#include "backend/session.h"
#include "backend/sql_text.h"
#include "shared/failpoint.h"

/* A connection that proved dead before it was written to is replaced once. */
#define MAX_ATTEMPTS	2

void
pcfg_session_require_usable(void)
{
	pcfg_require_preload();
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot use remote connections in a parallel worker"),
				 errhint("Mark the calling function PARALLEL RESTRICTED.")));
}

/* ----------------------------------------------------------------
 * the series
 * ----------------------------------------------------------------
 */

/*
 * A statement that is prepared is used if its columns are still what the
 * caller can read; else it goes the long way, whose errors are better.  Not in
 * a transaction, which would fail with a statement that is not there any more.
 */
static void
plan(PcfgRun *run, bool in_transaction)
{
	bool		once = run->statement->simple || run->statement->describe || in_transaction;

	pcfg_statements_plan(once ? NULL : run->cache, run->statement->sql,
						 run->statement->params, run->statement->nparams,
						 run->started, &run->planned);
	if (run->planned.how == PCFG_RUN_PREPARED && run->rows != NULL &&
		!pcfg_rows_expect(run->rows, &run->planned.columns))
	{
		pcfg_statements_failed(run->cache, &run->planned, false);
		memset(&run->planned, 0, sizeof(run->planned));
	}
	run->outcome->had_columns = run->planned.how == PCFG_RUN_PREPARED &&
		run->planned.columns.body != NULL;
}

static void
build_series(PcfgRun *run, List *before)
{
	const int16 *formats = NULL;
	int			nformats = 0;

	if (run->rows != NULL)
		formats = pcfg_rows_formats(run->rows, &nformats);
	run->spoken = true;
	pcfg_run_next_series(run);
	pcfg_series_build(&run->series, &run->reply, run->lease->target, before, run->cache,
					  run->statement, &run->planned, formats, nformats);
}

/* ----------------------------------------------------------------
 * the outcome
 * ----------------------------------------------------------------
 */

/*
 * Whether the caller's statement provably did not run, for no fault of its
 * own, so that it may run elsewhere: nothing was written; the remote had
 * ended the session for idleness, or was shutting down, before it read; or
 * the reset failed.
 */
static bool
may_run_elsewhere(const PcfgRun *run)
{
	if (run->lost && (run->sent == 0 || !run->spoken))
		return true;
	if (run->lost && run->fatal && !run->answered)
	{
		int			code = pcfg_remote_error_sqlstate(run->error);

		return code == ERRCODE_IDLE_SESSION_TIMEOUT || code == ERRCODE_CANNOT_CONNECT_NOW;
	}
	return pcfg_run_reset_failed(run);
}

/* Raised when the replacement did no better. */
static void
raise_not_run(const PcfgRun *run, PcfgHold *hold)
{
	if (!run->lost)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not reset a connection to target \"%s\"", run->target->name),
				 errdetail("The remote server said: %s",
						   pcfg_remote_error_message(run->error)),
				 errhint("The statement was not run. See the setting init_sql.")));
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to target \"%s\" was lost", run->target->name),
			 run->error != NULL ?
			 errdetail("The remote server said: %s", pcfg_remote_error_message(run->error)) : 0,
			 hold != NULL ? pcfg_hold_tell_lost(hold) :
			 errhint("The statement was not run.")));
}

static void
raise_lost(const PcfgRun *run, PcfgHold *hold)
{
	const char *said = run->error != NULL ? pcfg_remote_error_message(run->error) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to target \"%s\" was lost", run->target->name),
			 said != NULL ?
			 errdetail("The remote server said: %s. Whether the statement took effect is not known.", said) :
			 run->lost_errno != 0 ?
			 errdetail("%s. Whether the statement took effect is not known.", strerror(run->lost_errno)) :
			 errdetail("The remote server closed it without a word. Whether the statement took effect is not known."),
			 hold != NULL ? pcfg_hold_tell_lost(hold) : 0));
}

/*
 * A transaction that a call leaves open ends with it.  A mere BEGIN has done
 * nothing yet.
 */
static void
require_ended(const PcfgRun *run)
{
	const char *tag = run->outcome->tag;

	if (run->reply.status == 'I' || (run->completed == 1 &&
									 (strcmp(tag, "BEGIN") == 0 || strcmp(tag, "START TRANSACTION") == 0)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
			 errmsg("the statement left a transaction open on target \"%s\"", run->target->name),
			 errdetail("It was rolled back, with all that was done in it."),
			 errhint("End it in the same call; or use join_transaction(), or acquire(), which keeps the connection for further calls.")));
}

/* State that a call leaves behind in the remote session goes astray. */
static void
warn_of_state(const PcfgRun *run)
{
	static const char *const tags[] = {
		"SET", "PREPARE", "LISTEN", "DECLARE CURSOR", "BEGIN", "START TRANSACTION"
	};
	int			i;

	for (i = 0; i < lengthof(tags); i++)
	{
		if (strcmp(run->outcome->tag, tags[i]) == 0)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("the effect of %s on target \"%s\" does not outlive this call",
							tags[i], run->target->name),
					 errhint("Each call stands alone on a connection that others use too: acquire() keeps one for this session. What every connection needs belongs into the setting init_sql.")));
	}
}

/* Rows are read only as long as nothing in them can be misread. */
static void
require_styles(const PcfgRun *run, const char *outcome)
{
	const char *name = run->lease->styles.dates ? "DateStyle" : "IntervalStyle";

	if (run->rows != NULL && pcfg_styles_differ(&run->lease->styles))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s was changed on the connection to target \"%s\"",
						name, run->target->name),
				 errdetail("Values of the remote could be misread. %s", outcome),
				 errhint("Use to_char() for another form of a value. On a connection that is kept, exec(..., 'RESET %s') makes its rows readable again.",
						 name)));
}

/*
 * Raises what the remote's answer calls for; the connection has been given
 * back.
 */
static void
judge(const PcfgRun *run, PcfgHold *hold)
{
	if (run->copy && !run->lost)
		pcfg_run_raise_copy(run, run->error != NULL ? NULL :
				   "The statement was run, and its output thrown away.");
	if (run->rows != NULL && !run->lost)
		pcfg_rows_require_fit(run->rows, run->outcome->tag);
	if (run->error != NULL && !(run->lost && run->fatal))
		pcfg_remote_error_throw(run->error, run->target->name, run->statement->sql,
								run->statement->nparams > 0);
	if (run->lost)
		raise_lost(run, hold);
	require_styles(run, "The statement was run, and its result thrown away.");
	if (run->no_columns)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the statement on target \"%s\" returns no columns", run->target->name),
				 run->outcome->tag[0] != '\0' ?
				 errdetail("It was run, and the remote server answered: %s.", run->outcome->tag) : 0,
				 errhint("Use pool_config.exec() for statements without a result.")));
	if (hold != NULL)
		pcfg_hold_require_joined(hold);
	else
	{
		require_ended(run);
		warn_of_state(run);
	}
}

/* ----------------------------------------------------------------
 * a run
 * ----------------------------------------------------------------
 */

static void
name_target(void *arg)
{
	PcfgRun    *run = arg;

	if (!run->reporting)
		errcontext("remote statement on target \"%s\"", run->target->name);
}

/* How the connection comes out of a run. */
typedef enum Ending
{
	UNTOUCHED,					/* nothing was sent or received */
	SETTLED,					/* between two series, as far as was asked */
	DOUBTFUL					/* not to be used any more */
} Ending;

/* Ends the use of the connection, whatever happened.  Cannot fail. */
static void
end_run(PcfgRun *run, PcfgHold *hold, Ending ending)
{
	if (run->lease->grant.slot != PCFG_NONE)
	{
		PcfgSlot   *slot = &pcfg_slots[run->lease->grant.slot];

		slot->bytes_sent += run->sent_before + run->sent;
		slot->bytes_received += run->received;
	}
	pcfg_inbox_close(&run->inbox);
	pcfg_statements_end(run->cache);
	if (hold == NULL)
	{
		pcfg_lease_give_back(run->lease, ending != DOUBTFUL);
		/* a reset that was due has not been made */
		if (ending == UNTOUCHED)
			run->lease->target->last.slot = PCFG_NONE;
	}
	else if (ending == DOUBTFUL)
		pcfg_hold_lose(hold);
	else
		pcfg_hold_rest(hold, ending == SETTLED ? run->reply.status : hold->status);
}

/*
 * The statement that was taken for prepared is not there, or not what it was,
 * and that was said before it was bound: nothing was executed.
 */
static bool
is_stale(const PcfgRun *run)
{
	int			code;

	if (run->planned.how != PCFG_RUN_PREPARED || run->lost || run->error == NULL ||
		run->reply.error_owed != '2' || !pcfg_reply_is_clean(&run->reply, &run->inbox.buffer))
		return false;
	code = pcfg_remote_error_sqlstate(run->error);
	return code == ERRCODE_INVALID_SQL_STATEMENT_NAME || code == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* Runs it as if it had never been prepared, over the same connection. */
static void
run_unprepared(PcfgRun *run)
{
	pcfg_statements_failed(run->cache, &run->planned,
						   pcfg_remote_error_sqlstate(run->error) ==
						   ERRCODE_INVALID_SQL_STATEMENT_NAME);
	if (run->rows != NULL)
		pcfg_rows_restart(run->rows);
	run->unfit_until = 0;
	memset(&run->planned, 0, sizeof(run->planned));
	memset(run->outcome, 0, sizeof(*run->outcome));
	run->error = NULL;
	run->answered = false;
	build_series(run, NIL);
	pcfg_run_converse(run);
}

/*
 * The reset in a round trip of its own, for a remote that needs it so.  False
 * when it failed.
 */
static bool
reset_alone(PcfgRun *run)
{
	pcfg_series_build_reset(&run->series, &run->reply, run->lease->target);
	pcfg_run_converse(run);
	return run->error == NULL && !run->lost;
}

/*
 * What a call that has to wait will say if its connection comes from somebody
 * else.
 */
static const char *
compose(PcfgLease *lease, void *arg, size_t *len)
{
	PcfgRun    *run = arg;
	const PcfgStatement *statement = run->statement;

	if (pcfg_series_resets_alone(lease->target->server_version) ||
		pcfg_statement_bound(0, strlen(statement->sql), statement->params,
							 statement->nparams, 0) > PCFG_POST_MAX)
		return NULL;
	build_series(run, lease->target->policy.value[PCFG_POOLER] == PCFG_POOLER_TRANSACTION ?
				 NIL : pcfg_series_reset(lease->target));
	*len = run->series.len;
	return run->series.data;
}

/*
 * The worker has said it.  The plan is only made for what it notes, for behind
 * a reset nothing is prepared.
 */
static void
await_answer(PcfgRun *run)
{
	plan(run, false);
	Assert(run->planned.how == PCFG_RUN_ONCE);
	run->lost = run->lease->socket == NULL;
	if (!run->lost)
		pcfg_run_converse(run);
}

/*
 * One series, two when the reset has to be alone or what was prepared is not
 * there any more.
 */
static void
speak(PcfgRun *run, PcfgHold *hold)
{
	bool		reset = run->lease->needs_reset;
	List	   *before = NIL;

	if (run->lease->grant.sent)
	{
		await_answer(run);
		return;
	}
	run->spoken = false;
	if (reset && pcfg_series_resets_alone(pcfg_slots[run->lease->grant.slot].server_version))
	{
		if (!reset_alone(run))
			return;
	}
	else if (reset)
		before = pcfg_series_reset(run->lease->target);
	if (hold != NULL)
		before = list_concat(before, pcfg_hold_prelude(hold));
	plan(run, hold != NULL && (hold->joined || hold->status != 'I'));
	build_series(run, before);
	pcfg_run_converse(run);
	if (is_stale(run))
		run_unprepared(run);
}

/* Tells the cache what became of the statement. */
static void
remember(PcfgRun *run, bool clean)
{
	const char *tag = run->outcome->tag;

	if (!clean)
		return;
	if (run->error != NULL)
		pcfg_statements_failed(run->cache, &run->planned, false);
	else
		pcfg_statements_ran(run->cache, &run->planned, run->statement->sql,
							&run->columns, tag, run->started);

	/* what does not show in the tag may have made new objects */
	if (run->error != NULL || run->completed != 1 ||
		((run->rows == NULL || run->no_columns) && strncmp(tag, "SELECT", 6) == 0))
		pcfg_statements_void(run->cache);
}

/* All was carried out that went before the caller's statement. */
static void
settle(PcfgRun *run, PcfgHold *hold)
{
	run->lease->needs_reset = false;
	if (hold == NULL || !hold->joined)
		return;
	pcfg_hold_prelude_done(hold);
	hold->ended = run->transaction || run->reply.status == 'I';
}

/*
 * How the connection comes out of a conversation that ended.  One that goes
 * back to the pool must not leave a transaction behind, nor other styles: what
 * the remote told of them is not told again to who comes next.
 */
static Ending
find_ending(const PcfgRun *run, const PcfgHold *hold)
{
	if (run->lost || pcfg_run_reset_failed(run))
		return DOUBTFUL;
	if (hold == NULL && pcfg_styles_differ(&run->lease->styles))
		return DOUBTFUL;
	if (hold != NULL ? pcfg_reply_is_settled(&run->reply, &run->inbox.buffer) :
		pcfg_reply_is_clean(&run->reply, &run->inbox.buffer))
		return SETTLED;
	return DOUBTFUL;
}

/* Gets the connection, converses, lets it go.  The findings are in *run. */
static void
run_once(PcfgRun *run, PcfgHold *hold)
{
	ErrorContextCallback callback;
	Ending		ending;

	if (hold != NULL)
		pcfg_hold_begin(hold, run->target);
	else
		pcfg_lease_take(run->lease, run->target, compose, run);
	run->started = pcfg_now();
	if (hold == NULL && run->lease->grant.sent)
	{
		run->started = pcfg_slots[run->lease->grant.slot].leased_at;
		run->sent = run->series.len;
	}
	PG_TRY();
	{
		callback.callback = name_target;
		callback.arg = run;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		pcfg_inbox_open(&run->inbox);
		PCFG_FAILPOINT(leased);
		run->cache = pcfg_statements_begin(run->lease->target, &run->lease->grant,
										   run->lease->needs_reset);
		run->deadline = pcfg_target_command_deadline(run->target, run->started);
		require_styles(run, "The statement was not run.");
		speak(run, hold);
		ending = find_ending(run, hold);
		remember(run, ending == SETTLED);
		if (ending == SETTLED)
			settle(run, hold);
		PCFG_FAILPOINT(answered);
		error_context_stack = callback.previous;
	}
	PG_CATCH();
	{
		end_run(run, hold, run->sent + run->sent_before == 0 && run->received == 0 ?
				UNTOUCHED : DOUBTFUL);
		PG_RE_THROW();
	}
	PG_END_TRY();

	/* lost or answered: nothing is running there that could be cancelled */
	run->lease->broken = ending == DOUBTFUL;
	end_run(run, hold, ending);
	pcfg_series_free(&run->series);
}

void
pcfg_session_run(PcfgTarget *target, const PcfgStatement *statement, PcfgRows *rows,
				 PcfgOutcome *outcome)
{
	PcfgHold   *hold = pcfg_hold_find(target);
	PcfgLease	lease;
	PcfgRun		run;
	int			attempt;

	pcfg_target_pin(target);
	PG_TRY();
	{
		for (attempt = 1;; attempt++)
		{
			memset(&run, 0, sizeof(run));
			memset(outcome, 0, sizeof(*outcome));
			run.target = target;
			run.lease = hold != NULL ? &hold->lease : &lease;
			run.notifications = hold != NULL ? &hold->notifications : NULL;
			run.statement = statement;
			run.rows = rows;
			run.outcome = outcome;
			run.context = CurrentMemoryContext;
			if (pcfg_sql_copies_here(statement->sql))
				pcfg_run_raise_copy(&run, "The statement was not run.");
			run_once(&run, hold);
			if (!may_run_elsewhere(&run))
				break;
			if (attempt == MAX_ATTEMPTS || hold != NULL)
				raise_not_run(&run, hold);
			if (rows != NULL)
				pcfg_rows_restart(rows);
		}
		judge(&run, hold);
		outcome->columns = run.columns;
	}
	PG_FINALLY();
	{
		pcfg_target_unpin(target);
	}
	PG_END_TRY();
}
