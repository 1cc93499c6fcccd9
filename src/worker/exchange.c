/*-------------------------------------------------------------------------
 *
 * worker/exchange.c
 *	  A series of the worker's own on a detached socket.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "mb/pg_wchar.h"
#include "wire/reply.h"
#include "worker/exchange.h"
#include "worker/loop.h"

/* A message longer than this is refused; statements of ours return little. */
#define IN_SIZE		65536

/* So often a turn reads; a remote that never stops talking has its limit. */
#define READS_A_TURN	16

struct PcfgExchange
{
	int			sock;
	PcfgExchangeDone done;
	void	   *arg;
	PcfgWatch	watch;
	char	   *out;
	size_t		out_len;
	size_t		out_sent;
	char	   *in;
	PcfgBuffer	buffer;
	PcfgReply	reply;
	PcfgStyles	styles;
	int			encoding;		/* that is wanted */
	bool		other_encoding;
	int			question;		/* its step; -1 = none */
	char		answer[32];
};

static void
destroy(PcfgExchange *x)
{
	pcfg_watch_remove(&x->watch);
	free(x->out);
	free(x->in);
	free(x);
}

void
pcfg_exchange_abandon(PcfgExchange *x)
{
	if (x != NULL)
		destroy(x);
}

/* The end: tells the result. */
static void
finish(PcfgExchange *x, bool ok, bool refused, const char *sqlstate, const char *message)
{
	PcfgExchangeResult result;
	PcfgExchangeDone done = x->done;
	void	   *arg = x->arg;

	memset(&result, 0, sizeof(result));
	result.ok = ok;
	result.refused = refused;
	strlcpy(result.sqlstate, sqlstate, sizeof(result.sqlstate));
	strlcpy(result.message, message, sizeof(result.message));
	strlcpy(result.answer, x->answer, sizeof(result.answer));
	destroy(x);
	done(arg, &result);
}

static void
finish_refused(PcfgExchange *x, const PcfgFrame *frame)
{
	char		sqlstate[6] = "08001";
	char		message[PCFG_CAUSE_LEN];
	PcfgFields	fields;

	if (!pcfg_read_fields(frame, &fields))
	{
		finish(x, false, false, "08P01", "the remote broke the protocol");
		return;
	}
	if (fields.sqlstate != NULL && strlen(fields.sqlstate) == 5)
		strlcpy(sqlstate, fields.sqlstate, sizeof(sqlstate));
	strlcpy(message, fields.message != NULL ? fields.message : "no reason was given",
			sizeof(message));
	finish(x, false, true, sqlstate, message);
}

/* The first row of the answer; a checked frame. */
static void
take_row(PcfgExchange *x, const PcfgFrame *frame)
{
	PcfgReader	r;
	int32		len;
	const char *value;

	pcfg_reader_init(&r, frame->body, frame->len);
	if (pcfg_read_int16(&r) < 1 || x->answer[0] != '\0')
		return;
	len = pcfg_read_int32(&r);
	if (len < 0 || len >= (int32) sizeof(x->answer))
		return;
	value = pcfg_read_bytes(&r, (size_t) len);
	if (value != NULL)
		memcpy(x->answer, value, (size_t) len);
}

/* All is answered. */
static void
finish_answered(PcfgExchange *x)
{
	if (!pcfg_reply_is_clean(&x->reply, &x->buffer))
		finish(x, false, false, "08P01", "the remote did not become idle");
	else if (x->other_encoding)
		finish(x, false, true, "08004", "client_encoding must stay that of the local database");
	else if (pcfg_styles_differ(&x->styles))
		finish(x, false, true, "08004", "DateStyle must stay ISO, and IntervalStyle postgres");
	else
		finish(x, true, false, "", "");
}

/* Takes what came; false when the exchange is over. */
static bool
take_answers(PcfgExchange *x)
{
	for (;;)
	{
		PcfgFrame	frame;
		size_t		need;
		const char *name;
		const char *value;

		switch (pcfg_reply_next(&x->reply, &x->buffer, &frame, &need))
		{
			case PCFG_EVENT_MORE:
				pcfg_buffer_consume(&x->buffer);
				pcfg_buffer_compact(&x->buffer);
				if (need <= x->buffer.size)
					return true;
				finish(x, false, false, "08P01", "the remote sent an over-long message");
				return false;
			case PCFG_EVENT_READY:
				if (!x->reply.done)
					break;
				finish_answered(x);
				return false;
			case PCFG_EVENT_PARAMETER:
				if (!pcfg_read_parameter(&frame, &name, &value))
				{
					finish(x, false, false, "08P01", "the remote broke the protocol");
					return false;
				}
				pcfg_styles_note(&x->styles, name, value);
				if (strcmp(name, "client_encoding") == 0)
					x->other_encoding = pg_char_to_encoding(value) != x->encoding;
				break;
			case PCFG_EVENT_ROW:
				take_row(x, &frame);
				break;
			case PCFG_EVENT_ERROR:
				if (x->question >= 0 && x->reply.error_step == x->question)
					break;
				finish_refused(x, &frame);
				return false;
			case PCFG_EVENT_BAD:
			case PCFG_EVENT_COPY:
				finish(x, false, false, "08P01", "the remote broke the protocol");
				return false;
			default:
				break;
		}
	}
}

/* Sends what is left; false when the exchange is over. */
static bool
send_rest(PcfgExchange *x)
{
	while (x->out_sent < x->out_len)
	{
		ssize_t		n = send(x->sock, x->out + x->out_sent, x->out_len - x->out_sent,
							 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
		{
			finish(x, false, false, "08006", "the remote closed the connection");
			return false;
		}
		x->out_sent += (size_t) n;
	}
	return true;
}

static void
socket_ready(void *arg)
{
	PcfgExchange *x = arg;
	int			i;

	if (!send_rest(x))
		return;
	for (i = 0; i < READS_A_TURN; i++)
	{
		size_t		room;
		char	   *space = pcfg_buffer_space(&x->buffer, &room);
		ssize_t		n = recv(x->sock, space, room, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0)
		{
			finish(x, false, false, "08006", "the remote closed the connection");
			return;
		}
		pcfg_buffer_filled(&x->buffer, (size_t) n);
		if (!take_answers(x))
			return;
	}
	if (!pcfg_watch_set(&x->watch, x->sock, PCFG_WATCH_READ |
						(x->out_sent < x->out_len ? PCFG_WATCH_WRITE : 0)))
		finish(x, false, false, "53000", "the worker could not watch the connection");
}

/* Writes the series and what is owed for it; false when it does not fit. */
static bool
write_series(PcfgExchange *x, size_t size, bool owed, const char *const *statements, int n,
			 const char *question)
{
	PcfgWriter	w;
	int			i;

	pcfg_reply_init(&x->reply);
	pcfg_writer_init(&w, x->out, size);
	if (owed && !pcfg_reply_expect(&x->reply, PCFG_STEP_QUERY))
		return false;
	for (i = 0; i < n; i++)
	{
		pcfg_write_command(&w, statements[i]);
		if (!pcfg_reply_expect(&x->reply, PCFG_STEP_COMMAND))
			return false;
	}
	x->question = -1;
	if (question != NULL)
	{
		if (n > 0)
		{
			/* what is to stand would be undone with a question that fails */
			pcfg_write_sync(&w);
			if (!pcfg_reply_expect(&x->reply, PCFG_STEP_SYNC))
				return false;
		}
		x->question = x->reply.nsteps;
		pcfg_write_parse(&w, "", question, NULL, 0);
		pcfg_write_describe_statement(&w, "");
		pcfg_write_bind(&w, "", NULL, 0, NULL, 0);
		pcfg_write_execute(&w);
		if (!pcfg_reply_expect(&x->reply, PCFG_STEP_STATEMENT))
			return false;
	}
	pcfg_write_sync(&w);
	x->out_len = w.used;
	return pcfg_reply_expect(&x->reply, PCFG_STEP_SYNC) && !w.failed;
}

PcfgExchange *
pcfg_exchange_start(int sock, bool owed, const char *const *statements, int n,
					const char *question, int encoding,
					PcfgExchangeDone done, void *arg)
{
	PcfgExchange *x = calloc(1, sizeof(*x));
	size_t		size = 64;
	int			i;

	if (x == NULL)
		return NULL;
	for (i = 0; i < n; i++)
		size += pcfg_statement_bound(0, strlen(statements[i]), NULL, 0, 0);
	if (question != NULL)
		size += pcfg_statement_bound(0, strlen(question), NULL, 0, 0);
	x->sock = sock;
	x->encoding = encoding;
	x->done = done;
	x->arg = arg;
	pcfg_watch_init(&x->watch, socket_ready, x);
	x->out = malloc(size);
	x->in = malloc(IN_SIZE);
	if (x->in != NULL)
		pcfg_buffer_init(&x->buffer, x->in, IN_SIZE);
	if (x->out == NULL || x->in == NULL || !write_series(x, size, owed, statements, n, question) ||
		!pcfg_watch_set(&x->watch, sock, PCFG_WATCH_READ | PCFG_WATCH_WRITE))
	{
		destroy(x);
		return NULL;
	}
	return x;
}
