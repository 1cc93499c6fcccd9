/*-------------------------------------------------------------------------
 *
 * backend/run.c
 *	  One run of a statement: series out, answers in.
 *
 * Floor 10; backends.
 *
 * Calls nest: reading a row may run an input function that checks a domain
 * with another call.  So nothing here is static.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>

#include "backend/run.h"
#include "backend/sql_text.h"
#include "mb/pg_wchar.h"
#include "shared/failpoint.h"

/* So much output of a COPY is read and thrown away to keep the connection. */
#define COPY_DRAINED	((size_t) 1024 * 1024)

/*
 * So long are rows passed over that nobody can read, to learn what the
 * statement did, and to keep the connection.
 */
#define UNFIT_PATIENCE	(PCFG_SECOND / 10)

void
pcfg_run_next_series(PcfgRun *run)
{
	pcfg_series_free(&run->series);
	run->sent_before += run->sent;
	run->sent = 0;
}

/*
 * A failure ends the sending; what the remote said before it went is still to
 * be read.
 */
void
pcfg_run_send(PcfgRun *run)
{
	while (run->sent < run->series.len && !run->send_failed)
	{
		size_t		left = run->series.len - run->sent;
		bool		half = PCFG_FAILPOINT_SET(half_sent);
		ssize_t		n = send(run->lease->socket->fd, run->series.data + run->sent,
							 half ? (left + 1) / 2 : left, MSG_NOSIGNAL | MSG_DONTWAIT);

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
		if (half)
		{
			PCFG_FAILPOINT(half_sent);
			return;
		}
	}
}

/* ----------------------------------------------------------------
 * the answers
 * ----------------------------------------------------------------
 */

static void
raise_protocol_violation(PcfgRun *run, const char *what)
{
	run->lease->broken = true;
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("protocol violation on the connection to target \"%s\"",
					run->target->name),
			 errdetail("%s The outcome of the statement is not known; the connection was closed.",
					   what)));
}

static void
keep_error(PcfgRun *run, const PcfgFrame *frame)
{
	PcfgFields	fields;

	if (!pcfg_read_fields(frame, &fields))
		raise_protocol_violation(run, "An error message is malformed.");
	if (run->error != NULL)
		return;
	run->error = pcfg_remote_error_copy(frame);
	pcfg_lease_note_error(run->lease, pcfg_remote_error_sqlstate(run->error));
	run->fatal = fields.severity != NULL &&
		(strcmp(fields.severity, "FATAL") == 0 || strcmp(fields.severity, "PANIC") == 0);
}

/*
 * A parameter of the remote session has a new value.  Text in another
 * encoding than ours must not be read.
 */
static void
take_parameter(PcfgRun *run, const PcfgFrame *frame)
{
	const char *name;
	const char *value;

	if (!pcfg_read_parameter(frame, &name, &value))
		raise_protocol_violation(run, "A parameter status is malformed.");
	if (strcmp(name, "client_encoding") == 0 &&
		pg_char_to_encoding(value) != GetDatabaseEncoding())
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("client_encoding was changed on the connection to target \"%s\"",
						run->target->name),
				 errdetail("It must stay that of the local database, \"%s\"; the connection was closed.",
						   GetDatabaseEncodingName())));
	pcfg_styles_note(&run->lease->styles, name, value);
}

static void
take_tag(PcfgRun *run, const PcfgFrame *frame)
{
	char	   *tag = run->outcome->tag;
	size_t		len = strnlen(frame->body, Min(frame->len, PCFG_TAG_LEN - 1));

	memcpy(tag, frame->body, len);
	tag[len] = '\0';
	if (!pg_verify_mbstr(GetDatabaseEncoding(), tag, (int) len, true))
		raise_protocol_violation(run, "A command tag is malformed.");
	/* another ROLLBACK is one to a savepoint, unless the state tells it */
	if (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "BEGIN") == 0 ||
		strcmp(tag, "START TRANSACTION") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0 ||
		(strcmp(tag, "ROLLBACK") == 0 && pcfg_sql_chains(run->statement->sql)))
		run->transaction = true;
}

bool
pcfg_run_reset_failed(const PcfgRun *run)
{
	return run->error != NULL && run->reply.error_step >= 0 &&
		run->reply.error_step < run->series.own_step;
}

void
pcfg_run_raise_copy(const PcfgRun *run, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("COPY from or to the client is not possible on target \"%s\"",
					run->target->name),
			 what != NULL ? errdetail("%s", what) : 0,
			 errhint("Use a query, or COPY with a file or program of the remote server.")));
	pg_unreachable();
}

/* The remote waits for data: it is told that none will come. */
static void
refuse_copy_in(PcfgRun *run)
{
	if (run->sent < run->series.len)
		raise_protocol_violation(run, "The server answered before it was asked.");
	run->copy = true;
	pcfg_run_next_series(run);
	pcfg_series_build_copy_fail(&run->series);
	pcfg_run_send(run);
}

static void
take_columns(PcfgRun *run, const PcfgFrame *frame)
{
	run->answered = true;
	run->outcome->had_columns = true;
	if (run->rows != NULL)
	{
		pcfg_rows_describe(run->rows, frame);
		if (pcfg_rows_are_unfit(run->rows))
			run->unfit_until = pcfg_now() + UNFIT_PATIENCE;
	}
	if (run->planned.how == PCFG_RUN_PREPARE || run->statement->describe)
	{
		char	   *body = MemoryContextAlloc(run->context, frame->len);

		memcpy(body, frame->body, frame->len);
		run->columns = *frame;
		run->columns.body = body;
	}
}

/* Handles one event.  True when the series is answered. */
static bool
take_event(PcfgRun *run, PcfgEvent event, const PcfgFrame *frame)
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
			run->answered = true;
			if (run->rows != NULL)
				pcfg_rows_add(run->rows, frame);
			PCFG_FAILPOINT(row_taken);
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
			return pcfg_run_reset_failed(run);
		case PCFG_EVENT_PARAMETER:
			take_parameter(run, frame);
			return false;
		case PCFG_EVENT_NOTIFY:
			/* before the reset they are those that somebody else asked for */
			if (run->notifications != NULL &&
				(!run->lease->needs_reset || run->reply.step >= run->series.own_step) &&
				!pcfg_notifications_add(run->notifications, frame))
				raise_protocol_violation(run, "A notification is malformed.");
			return false;
		case PCFG_EVENT_COPY_IN:
			refuse_copy_in(run);
			return false;
		case PCFG_EVENT_COPY_OUT:
			run->copy = true;
			run->copied += frame->len;
			if (run->copied > COPY_DRAINED)
				pcfg_run_raise_copy(run, "Whether the statement took effect is not known; the connection was closed.");
			return false;
		case PCFG_EVENT_COPY:
			pcfg_run_raise_copy(run, "The statement was not run to its end; the connection was closed.");
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
receive(PcfgRun *run)
{
	size_t		room;
	char	   *space = pcfg_buffer_space(&run->inbox.buffer, &room);
	ssize_t		n;

	do
		n = recv(run->lease->socket->fd, space, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);

	run->more_at_hand = n == (ssize_t) room;
	if (n > 0)
	{
		pcfg_buffer_filled(&run->inbox.buffer, (size_t) n);
		run->received += (uint64) n;
		PCFG_FAILPOINT(received);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	/* what was answered in full is not lost with the connection */
	run->lost = !run->reply.done;
	if (n < 0)
		run->lost_errno = errno;
	return false;
}

static void
require_time_left(PcfgRun *run)
{
	char		limit[32];

	if (run->unfit_until != 0 && pcfg_now() >= run->unfit_until)
		pcfg_rows_require_fit(run->rows, NULL);
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
exchange(PcfgRun *run, size_t need)
{
	int			happened = WL_SOCKET_READABLE;

	pcfg_inbox_make_room(&run->inbox, need);
	require_time_left(run);
	if (!run->more_at_hand)
	{
		int			events = WL_SOCKET_READABLE;

		if (run->sent < run->series.len && !run->send_failed)
			events |= WL_SOCKET_WRITEABLE;
		happened = pcfg_socket_wait(run->lease->socket, events,
									run->unfit_until != 0 ? Min(run->unfit_until, run->deadline) :
									run->deadline,
									pcfg_wait_event(PCFG_WAIT_FOR_RESULT));
	}
	CHECK_FOR_INTERRUPTS();
	if (happened & WL_SOCKET_WRITEABLE)
		pcfg_run_send(run);
	if (happened & WL_SOCKET_READABLE)
		return receive(run);
	return true;
}

/*
 * Whether more came behind the answer, on a connection that is listened on:
 * notifications, which are taken, or it would seem to be out of step.  What
 * else it is condemns the connection, which is not settled then; the answer
 * stands.
 */
static bool
listens_on(const PcfgRun *run)
{
	return run->notifications != NULL && run->reply.done && !run->reply.bad &&
		run->inbox.buffer.parsed < run->inbox.buffer.filled;
}

void
pcfg_run_converse(PcfgRun *run)
{
	size_t		need = 0;

	pcfg_run_send(run);
	PCFG_FAILPOINT(sent);
	if (run->send_failed && run->sent == 0)
	{
		run->lost = true;
		return;
	}
	for (;;)
	{
		PcfgFrame	frame;
		PcfgEvent	event = pcfg_reply_next(&run->reply, &run->inbox.buffer, &frame, &need);

		if (event == PCFG_EVENT_BAD && run->reply.done)
			return;
		if (event != PCFG_EVENT_MORE)
		{
			if (take_event(run, event, &frame) && !listens_on(run))
				return;
		}
		else if (run->reply.done &&
				 pcfg_reply_is_settled(&run->reply, &run->inbox.buffer))
			return;
		else if (!exchange(run, need))
			return;
	}
}
