/*-------------------------------------------------------------------------
 *
 * backend/session.c
 *	  One statement on a leased connection: send, wait, deliver.
 *
 * Floor 8; backends.
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
 * Calls nest: reading a row may run an input function that checks a domain
 * with another call.  So nothing here is static.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>

#include "backend/inbox.h"
#include "backend/remote_error.h"
#include "backend/session.h"
#include "backend/sql_text.h"
#include "mb/pg_wchar.h"

/* A connection that proved dead before it was written to is replaced once. */
#define MAX_ATTEMPTS	2

/* So much output of a COPY is read and thrown away to keep the connection. */
#define COPY_DRAINED	((size_t) 1024 * 1024)

typedef struct Run
{
	PcfgTarget *target;
	const PcfgStatement *statement;
	PcfgRows   *rows;			/* NULL = discard */
	PcfgOutcome *outcome;
	PcfgLease	lease;
	PcfgTime	started;		/* when the connection was there */
	PcfgTime	deadline;		/* command_timeout */
	MemoryContext context;		/* of the caller */

	/* what we say; the series is in the caller's context */
	PcfgStatementCache *cache;	/* NULL = none, or an outer call has it */
	PcfgPlanned planned;
	PcfgSeries	series;
	size_t		sent;			/* of the series */
	uint64		sent_before;	/* of others of this run */
	bool		send_failed;

	/* the answers */
	PcfgReply	reply;
	PcfgInbox	inbox;
	bool		more_at_hand;	/* the last receive filled all the room */
	uint64		received;
	PcfgFrame	columns;		/* a copy, if the statement may be kept */

	/* findings */
	bool		lost;			/* end of file, or an error of the socket */
	int			lost_errno;		/* 0 = end of file */
	PcfgRemoteError *error;		/* the first one */
	bool		fatal;			/* ... ended the remote session */
	bool		answered;		/* some part of the series was carried out */
	bool		no_columns;		/* where the caller wanted rows */
	int			completed;		/* statements that ran to their end */
	bool		copy;			/* there was a COPY, whose data went nowhere */
	size_t		copied;			/* bytes of it */
	bool		style_changed;	/* text of the next call may look different */
	bool		reporting;		/* a notice, which names its place itself */
} Run;

/* ----------------------------------------------------------------
 * the series
 * ----------------------------------------------------------------
 */

/*
 * A statement that is prepared is used if its columns are still what the
 * caller can read; else it goes the long way, whose errors are better.
 */
static void
plan(Run *run)
{
	pcfg_statements_plan(run->statement->simple ? NULL : run->cache, run->statement->sql,
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
build_series(Run *run, bool reset)
{
	const int16 *formats = NULL;
	int			nformats = 0;

	if (run->rows != NULL)
		formats = pcfg_rows_formats(run->rows, &nformats);
	pcfg_series_free(&run->series);
	run->sent_before += run->sent;
	run->sent = 0;
	pcfg_series_build(&run->series, &run->reply, run->lease.target, reset, run->cache,
					  run->statement, &run->planned, formats, nformats);
}

/*
 * Sends as much of the series as goes without waiting.  A failure ends the
 * sending; what the remote said before it went is still to be read.
 */
static void
send_more(Run *run)
{
	while (run->sent < run->series.len && !run->send_failed)
	{
		ssize_t		n = send(run->lease.socket->fd, run->series.data + run->sent,
							 run->series.len - run->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			run->sent += (size_t) n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			return;
		else
		{
			run->send_failed = true;
			run->lost_errno = errno;
		}
	}
}

/* ----------------------------------------------------------------
 * the answers
 * ----------------------------------------------------------------
 */

static void
raise_protocol_violation(Run *run, const char *what)
{
	run->lease.broken = true;
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("protocol violation on the connection to target \"%s\"",
					run->target->name),
			 errdetail("%s The outcome of the statement is not known; the connection was closed.",
					   what)));
}

static void
keep_error(Run *run, const PcfgFrame *frame)
{
	PcfgFields	fields;

	if (!pcfg_read_fields(frame, &fields))
		raise_protocol_violation(run, "An error message is malformed.");
	if (run->error != NULL)
		return;
	run->error = pcfg_remote_error_copy(frame);
	pcfg_lease_note_error(&run->lease, pcfg_remote_error_sqlstate(run->error));
	run->fatal = fields.severity != NULL &&
		(strcmp(fields.severity, "FATAL") == 0 || strcmp(fields.severity, "PANIC") == 0);
}

/*
 * A parameter of the remote session has a new value.  Text in another
 * encoding than ours must not be read; other styles of dates only end the
 * reuse without a reset.
 */
static void
take_parameter(Run *run, const PcfgFrame *frame)
{
	PcfgReader	r;
	const char *name;
	const char *value;

	pcfg_reader_init(&r, frame->body, frame->len);
	name = pcfg_read_string(&r);
	value = pcfg_read_string(&r);
	if (!pcfg_reader_done(&r))
		raise_protocol_violation(run, "A parameter status is malformed.");
	if (strcmp(name, "client_encoding") == 0 &&
		pg_char_to_encoding(value) != GetDatabaseEncoding())
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("client_encoding was changed on the connection to target \"%s\"",
						run->target->name),
				 errdetail("It must stay that of the local database, \"%s\"; the connection was closed.",
						   GetDatabaseEncodingName())));
	if ((strcmp(name, "DateStyle") == 0 && strncmp(value, "ISO", 3) != 0) ||
		(strcmp(name, "IntervalStyle") == 0 && strcmp(value, "postgres") != 0))
		run->style_changed = true;
}

static void
take_tag(Run *run, const PcfgFrame *frame)
{
	char	   *tag = run->outcome->tag;
	size_t		len = strnlen(frame->body, Min(frame->len, PCFG_TAG_LEN - 1));

	memcpy(tag, frame->body, len);
	tag[len] = '\0';
	if (!pg_verify_mbstr(GetDatabaseEncoding(), tag, (int) len, true))
		raise_protocol_violation(run, "A command tag is malformed.");
}

/* The reset failed, so the server skips the caller's statement. */
static bool
reset_failed(const Run *run)
{
	return run->error != NULL && run->reply.error_step >= 0 &&
		run->reply.error_step < run->series.own_step;
}

/* "what" became of it, a sentence; NULL = nothing to tell. */
static void
raise_copy(const Run *run, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("COPY from or to the client is not possible on target \"%s\"",
					run->target->name),
			 what != NULL ? errdetail("%s", what) : 0,
			 errhint("Use a query, or COPY with a file or program of the remote server.")));
}

/* The remote waits for data: it is told that none will come. */
static void
refuse_copy_in(Run *run)
{
	if (run->sent < run->series.len)
		raise_protocol_violation(run, "The server answered before it was asked.");
	run->copy = true;
	pcfg_series_free(&run->series);
	run->sent_before += run->sent;
	run->sent = 0;
	pcfg_series_build_copy_fail(&run->series);
	send_more(run);
}

static void
take_columns(Run *run, const PcfgFrame *frame)
{
	run->answered = true;
	run->outcome->had_columns = true;
	if (run->rows != NULL)
		pcfg_rows_describe(run->rows, frame);
	if (run->planned.how == PCFG_RUN_PREPARE)
	{
		char	   *body = MemoryContextAlloc(run->context, frame->len);

		memcpy(body, frame->body, frame->len);
		run->columns = *frame;
		run->columns.body = body;
	}
}

/* Handles one event.  True when the series is answered. */
static bool
take_event(Run *run, PcfgEvent event, const PcfgFrame *frame)
{
	switch (event)
	{
		case PCFG_EVENT_COLUMNS:
			take_columns(run, frame);
			return false;
		case PCFG_EVENT_NO_COLUMNS:
			run->answered = true;
			run->no_columns = run->rows != NULL;
			return false;
		case PCFG_EVENT_ROW:
			if (run->rows != NULL)
				pcfg_rows_add(run->rows, frame);
			return false;
		case PCFG_EVENT_COMPLETE:
			run->answered = true;
			run->completed++;
			take_tag(run, frame);
			return false;
		case PCFG_EVENT_EMPTY:
			run->answered = true;
			run->completed++;
			run->outcome->tag[0] = '\0';
			return false;
		case PCFG_EVENT_NOTICE:
			run->reporting = true;
			pcfg_remote_notice_report(frame, run->target->name);
			run->reporting = false;
			return false;
		case PCFG_EVENT_ERROR:
			keep_error(run, frame);
			return reset_failed(run);
		case PCFG_EVENT_PARAMETER:
			take_parameter(run, frame);
			return false;
		case PCFG_EVENT_NOTIFY:
			return false;
		case PCFG_EVENT_COPY_IN:
			refuse_copy_in(run);
			return false;
		case PCFG_EVENT_COPY_OUT:
			run->copy = true;
			run->copied += frame->len;
			if (run->copied > COPY_DRAINED)
				raise_copy(run, "Whether the statement took effect is not known; the connection was closed.");
			return false;
		case PCFG_EVENT_COPY:
			raise_copy(run, "The statement was not run to its end; the connection was closed.");
			break;
		case PCFG_EVENT_READY:
			if (run->sent < run->series.len)
				raise_protocol_violation(run, "The server answered before it was asked.");
			return true;
		case PCFG_EVENT_BAD:
			raise_protocol_violation(run, "The server sent a message that is not due.");
			break;
		case PCFG_EVENT_MORE:
			break;
	}
	return false;
}

/* False when the connection is lost. */
static bool
receive(Run *run)
{
	size_t		room;
	char	   *space = pcfg_buffer_space(&run->inbox.buffer, &room);
	ssize_t		n;

	do
		n = recv(run->lease.socket->fd, space, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);

	run->more_at_hand = n == (ssize_t) room;
	if (n > 0)
	{
		pcfg_buffer_filled(&run->inbox.buffer, (size_t) n);
		run->received += (uint64) n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	run->lost = true;
	if (n < 0)
		run->lost_errno = errno;
	return false;
}

static void
require_time_left(Run *run)
{
	char		limit[32];

	if (run->deadline == PCFG_FOREVER || pcfg_now() < run->deadline)
		return;
	pcfg_setting_format(&pcfg_settings[PCFG_COMMAND_TIMEOUT],
						run->target->policy.value[PCFG_COMMAND_TIMEOUT],
						limit, sizeof(limit));
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling statement on target \"%s\" due to command_timeout (%s)",
					run->target->name, limit)));
}

/*
 * Waits until bytes can be read, or written while some are left, and moves
 * them.  Reading goes on while we write: else both sides could wait for the
 * other to read.  False when the connection is lost.
 */
static bool
exchange(Run *run, size_t need)
{
	int			happened = WL_SOCKET_READABLE;

	pcfg_inbox_make_room(&run->inbox, need);
	require_time_left(run);
	if (!run->more_at_hand)
	{
		int			events = WL_SOCKET_READABLE;

		if (run->sent < run->series.len && !run->send_failed)
			events |= WL_SOCKET_WRITEABLE;
		happened = pcfg_socket_wait(run->lease.socket, events, run->deadline,
									pcfg_wait_event(PCFG_WAIT_FOR_RESULT));
	}
	CHECK_FOR_INTERRUPTS();
	if (happened & WL_SOCKET_WRITEABLE)
		send_more(run);
	if (happened & WL_SOCKET_READABLE)
		return receive(run);
	return true;
}

/* Runs the series to its end or to the loss of the connection. */
static void
converse(Run *run)
{
	size_t		need = 0;

	send_more(run);
	if (run->send_failed && run->sent == 0)
	{
		run->lost = true;
		return;
	}
	for (;;)
	{
		PcfgFrame	frame;
		PcfgEvent	event = pcfg_reply_next(&run->reply, &run->inbox.buffer, &frame, &need);

		if (event != PCFG_EVENT_MORE)
		{
			if (take_event(run, event, &frame))
				return;
		}
		else if (!exchange(run, need))
			return;
	}
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
may_run_elsewhere(const Run *run)
{
	if (run->lost && run->sent == 0)
		return true;
	if (run->lost && run->fatal && !run->answered)
	{
		int			code = pcfg_remote_error_sqlstate(run->error);

		return code == ERRCODE_IDLE_SESSION_TIMEOUT || code == ERRCODE_CANNOT_CONNECT_NOW;
	}
	return reset_failed(run);
}

/* Raised when the replacement did no better. */
static void
raise_not_run(const Run *run)
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
			 errhint("The statement was not run.")));
}

static void
raise_lost(const Run *run)
{
	const char *said = run->error != NULL ? pcfg_remote_error_message(run->error) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to target \"%s\" was lost", run->target->name),
			 said != NULL ?
			 errdetail("The remote server said: %s. Whether the statement took effect is not known.", said) :
			 run->lost_errno != 0 ?
			 errdetail("%s. Whether the statement took effect is not known.", strerror(run->lost_errno)) :
			 errdetail("The remote server closed it without a word. Whether the statement took effect is not known.")));
}

/* State that a call leaves behind in the remote session goes astray. */
static void
warn_of_state(const Run *run)
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
					 errhint("Each call stands alone on a connection that others use too. What every connection needs belongs into the setting init_sql.")));
	}
}

/*
 * Raises what the remote's answer calls for; the connection has been given
 * back.
 */
static void
judge(const Run *run)
{
	if (run->copy && !run->lost)
		raise_copy(run, run->error != NULL ? NULL :
				   "The statement was run, and its output thrown away.");
	if (run->error != NULL && !(run->lost && run->fatal))
		pcfg_remote_error_throw(run->error, run->target->name, run->statement->sql,
								run->statement->nparams > 0);
	if (run->lost)
		raise_lost(run);
	if (run->no_columns)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the statement on target \"%s\" returns no columns", run->target->name),
				 run->outcome->tag[0] != '\0' ?
				 errdetail("It was run, and the remote server answered: %s.", run->outcome->tag) : 0,
				 errhint("Use pool_config.exec() for statements without a result.")));
	warn_of_state(run);
}

/* ----------------------------------------------------------------
 * a run
 * ----------------------------------------------------------------
 */

static void
name_target(void *arg)
{
	Run		   *run = arg;

	if (!run->reporting)
		errcontext("remote statement on target \"%s\"", run->target->name);
}

/* Ends the lease, whatever happened.  Cannot fail. */
static void
end_run(Run *run, bool clean)
{
	bool		untouched = run->sent + run->sent_before == 0 && run->received == 0;

	if (run->lease.grant.slot != PCFG_NONE)
	{
		PcfgSlot   *slot = &pcfg_slots[run->lease.grant.slot];

		slot->bytes_sent += run->sent_before + run->sent;
		slot->bytes_received += run->received;
	}
	pcfg_inbox_close(&run->inbox);
	pcfg_statements_end(run->cache);
	pcfg_lease_give_back(&run->lease, clean);

	/* a reset that was due has not been made, or is to be made anew */
	if (run->style_changed || untouched)
		run->lease.target->last.slot = PCFG_NONE;
}

/*
 * The statement that was taken for prepared is not there, or not what it was,
 * and that was said before it was bound: nothing was executed.
 */
static bool
is_stale(const Run *run)
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
run_unprepared(Run *run)
{
	pcfg_statements_failed(run->cache, &run->planned,
						   pcfg_remote_error_sqlstate(run->error) ==
						   ERRCODE_INVALID_SQL_STATEMENT_NAME);
	if (run->rows != NULL)
		pcfg_rows_restart(run->rows);
	memset(&run->planned, 0, sizeof(run->planned));
	memset(run->outcome, 0, sizeof(*run->outcome));
	run->error = NULL;
	run->answered = false;
	build_series(run, false);
	converse(run);
}

/* Tells the cache what became of the statement. */
static void
remember(Run *run, bool clean)
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
		(run->rows == NULL && strncmp(tag, "SELECT", 6) == 0))
		pcfg_statements_void(run->cache);
}

/* Leases, converses, gives back.  The findings are in *run. */
static void
run_once(Run *run)
{
	ErrorContextCallback callback;
	bool		clean;

	pcfg_lease_take(&run->lease, run->target);
	run->started = pcfg_now();
	PG_TRY();
	{
		callback.callback = name_target;
		callback.arg = run;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		pcfg_inbox_open(&run->inbox);
		run->cache = pcfg_statements_begin(run->lease.target, &run->lease.grant,
										   run->lease.needs_reset);
		plan(run);
		build_series(run, run->lease.needs_reset);
		run->deadline = pcfg_target_command_deadline(run->target, run->started);
		converse(run);
		if (is_stale(run))
			run_unprepared(run);
		clean = !run->lost && !reset_failed(run) &&
			pcfg_reply_is_clean(&run->reply, &run->inbox.buffer);
		remember(run, clean);
		error_context_stack = callback.previous;
	}
	PG_CATCH();
	{
		end_run(run, run->sent + run->sent_before == 0 && run->received == 0);
		PG_RE_THROW();
	}
	PG_END_TRY();

	/* lost or answered: nothing is running there that could be cancelled */
	run->lease.broken = !clean;
	end_run(run, clean);
	pcfg_series_free(&run->series);
}

void
pcfg_session_run(PcfgTarget *target, const PcfgStatement *statement, PcfgRows *rows,
				 PcfgOutcome *outcome)
{
	Run			run;
	int			attempt;

	pcfg_target_pin(target);
	PG_TRY();
	{
		for (attempt = 1;; attempt++)
		{
			memset(&run, 0, sizeof(run));
			memset(outcome, 0, sizeof(*outcome));
			run.target = target;
			run.statement = statement;
			run.rows = rows;
			run.outcome = outcome;
			run.context = CurrentMemoryContext;
			if (pcfg_sql_copies_here(statement->sql))
				raise_copy(&run, "The statement was not run.");
			run_once(&run);
			if (!may_run_elsewhere(&run))
				break;
			if (attempt == MAX_ATTEMPTS)
				raise_not_run(&run);
			if (rows != NULL)
				pcfg_rows_restart(rows);
		}
		judge(&run);
	}
	PG_FINALLY();
	{
		pcfg_target_unpin(target);
	}
	PG_END_TRY();
}
