/*-------------------------------------------------------------------------
 *
 * wire/reply.c
 *	  The answers to one series of messages, as a machine.
 *
 * What is owed next is told by the type byte of the message; besides,
 * 'q' is the next result of a Query, or its end, and 'd' is data of a COPY.
 *
 * Floor 2; any process; no I/O, no allocation, no ereport, no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "wire/reply.h"

#include <string.h>

/* The first reply owed for a step. */
static char
first_owed(PcfgStep step)
{
	switch (step)
	{
		case PCFG_STEP_SYNC:
			return 'Z';
		case PCFG_STEP_PREPARED:
			return '2';
		case PCFG_STEP_CLOSE:
			return '3';
		case PCFG_STEP_QUERY:
			return 'Q';
		default:
			return '1';
	}
}

void
pcfg_reply_init(PcfgReply *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->error_step = -1;
}

bool
pcfg_reply_expect(PcfgReply *reply, PcfgStep step)
{
	if (reply->nsteps == PCFG_MAX_STEPS)
		return false;
	reply->steps[reply->nsteps++] = step;
	if (reply->nsteps == 1)
		reply->owed = first_owed(step);
	return true;
}

/* The present step is answered in full. */
static void
next_step(PcfgReply *reply)
{
	reply->step++;
	reply->owed = reply->step < reply->nsteps ?
		first_owed(reply->steps[reply->step]) : '\0';
}

static PcfgEvent
bad(PcfgReply *reply)
{
	reply->bad = true;
	return PCFG_EVENT_BAD;
}

/* A DataRow: a count, and that many values which fill the message. */
static bool
row_is_sound(const PcfgFrame *frame)
{
	PcfgReader	r;
	int			n;

	pcfg_reader_init(&r, frame->body, frame->len);
	n = pcfg_read_int16(&r);
	if (n < 0)
		return false;
	while (n-- > 0)
	{
		int32_t		len = pcfg_read_int32(&r);

		if (len < -1)
			return false;
		if (len > 0)
			(void) pcfg_read_bytes(&r, (size_t) len);
		if (r.failed)
			return false;
	}
	return pcfg_reader_done(&r);
}

/* A RowDescription: a count, and that many names with 18 bytes each. */
static bool
columns_are_sound(const PcfgFrame *frame)
{
	PcfgReader	r;
	int			n;

	pcfg_reader_init(&r, frame->body, frame->len);
	n = pcfg_read_int16(&r);
	if (n < 0)
		return false;
	while (n-- > 0 && !r.failed)
	{
		(void) pcfg_read_string(&r);
		(void) pcfg_read_bytes(&r, 18);
	}
	return pcfg_reader_done(&r);
}

/* A command tag: one string. */
static bool
tag_is_sound(const PcfgFrame *frame)
{
	return frame->len > 0 &&
		memchr(frame->body, '\0', frame->len) == frame->body + frame->len - 1;
}

/*
 * ReadyForQuery.  After an error, what the server skipped is struck off: a
 * Query skips nothing but the rest of itself.
 */
static PcfgEvent
take_ready(PcfgReply *reply, const PcfgFrame *frame)
{
	if (frame->len != 1 ||
		(frame->body[0] != 'I' && frame->body[0] != 'T' && frame->body[0] != 'E'))
		return bad(reply);
	reply->status = frame->body[0];
	if (reply->error_seen)
	{
		while (reply->step < reply->nsteps &&
			   reply->steps[reply->step] != PCFG_STEP_SYNC &&
			   (reply->steps[reply->step] != PCFG_STEP_QUERY ||
				reply->step != reply->error_step))
			reply->step++;
		if (reply->step == reply->nsteps)
			return bad(reply);
		reply->error_seen = false;
	}
	next_step(reply);
	reply->done = reply->owed == '\0';
	return PCFG_EVENT_READY;
}

static PcfgEvent
take_error(PcfgReply *reply)
{
	if (reply->error_seen || reply->owed == '\0')
		return bad(reply);
	reply->error_seen = true;
	if (reply->error_step < 0)
	{
		reply->error_step = reply->step;
		reply->error_owed = reply->owed;
	}
	reply->owed = 'Z';
	return PCFG_EVENT_ERROR;
}

/* RowDescription or NoData. */
static PcfgEvent
take_columns(PcfgReply *reply, PcfgStep step, const PcfgFrame *frame)
{
	bool		queried = step == PCFG_STEP_QUERY &&
		(reply->owed == 'Q' || reply->owed == 'q') && frame->type == 'T';

	if ((reply->owed != 'T' && !queried) ||
		(frame->type == 'n' ? frame->len != 0 : !columns_are_sound(frame)))
		return bad(reply);
	if (step == PCFG_STEP_DESCRIBE)
		next_step(reply);
	else
		reply->owed = queried ? 'C' : '2';
	return frame->type == 'T' ? PCFG_EVENT_COLUMNS : PCFG_EVENT_NO_COLUMNS;
}

/* CommandComplete or EmptyQueryResponse. */
static PcfgEvent
take_end(PcfgReply *reply, PcfgStep step, const PcfgFrame *frame)
{
	bool		queried = step == PCFG_STEP_QUERY &&
		(reply->owed == 'Q' || reply->owed == 'q');

	if ((reply->owed != 'C' && !queried) ||
		(frame->type == 'I' ? frame->len != 0 : !tag_is_sound(frame)))
		return bad(reply);
	if (step == PCFG_STEP_QUERY)
		reply->owed = 'q';
	else
		next_step(reply);
	if (step == PCFG_STEP_COMMAND)
		return PCFG_EVENT_MORE;
	return frame->type == 'C' ? PCFG_EVENT_COMPLETE : PCFG_EVENT_EMPTY;
}

/*
 * A COPY starts.  Out of the server it can be read to its end.  Into it, only
 * a Query can be told to give up: a Sync sent behind an Execute may or may
 * not have been swallowed by then.
 */
static PcfgEvent
take_copy(PcfgReply *reply, PcfgStep step, const PcfgFrame *frame)
{
	bool		queried = step == PCFG_STEP_QUERY &&
		(reply->owed == 'Q' || reply->owed == 'q');

	if (reply->owed != 'C' && !queried)
		return bad(reply);
	if (frame->type == 'H' && step != PCFG_STEP_COMMAND)
	{
		reply->owed = 'd';
		return PCFG_EVENT_COPY_OUT;
	}
	if (frame->type == 'G' && step == PCFG_STEP_QUERY)
	{
		reply->owed = 'C';
		return PCFG_EVENT_COPY_IN;
	}
	return PCFG_EVENT_COPY;
}

/*
 * A reply that is owed, or not.  PCFG_EVENT_MORE: taken, nothing to tell.
 */
static PcfgEvent
take_owed(PcfgReply *reply, const PcfgFrame *frame)
{
	PcfgStep	step = reply->steps[reply->step];

	switch (frame->type)
	{
		case '1':
			if (reply->owed != '1' || frame->len != 0)
				return bad(reply);
			reply->owed = step == PCFG_STEP_COMMAND ? '2' : 't';
			return PCFG_EVENT_MORE;
		case 't':
			if (reply->owed != 't')
				return bad(reply);
			reply->owed = 'T';
			return PCFG_EVENT_MORE;
		case 'T':
		case 'n':
			return take_columns(reply, step, frame);
		case '2':
			if (reply->owed != '2' || frame->len != 0)
				return bad(reply);
			reply->owed = 'C';
			return PCFG_EVENT_MORE;
		case '3':
			if (reply->owed != '3' || frame->len != 0)
				return bad(reply);
			next_step(reply);
			return PCFG_EVENT_MORE;
		case 'C':
		case 'I':
			return take_end(reply, step, frame);
		case 'G':
		case 'H':
		case 'W':
			return take_copy(reply, step, frame);
		case 'd':
			return reply->owed == 'd' ? PCFG_EVENT_COPY_OUT : bad(reply);
		case 'c':
			if (reply->owed != 'd')
				return bad(reply);
			reply->owed = 'C';
			return PCFG_EVENT_MORE;
		default:
			return bad(reply);
	}
}

static bool
rows_are_wanted(PcfgStep step)
{
	return step == PCFG_STEP_STATEMENT || step == PCFG_STEP_PREPARED;
}

PcfgEvent
pcfg_reply_next(PcfgReply *reply, PcfgBuffer *buf, PcfgFrame *frame, size_t *need)
{
	PcfgEvent	event = PCFG_EVENT_MORE;

	*need = 0;
	if (reply->bad)
		return PCFG_EVENT_BAD;
	while (event == PCFG_EVENT_MORE)
	{
		switch (pcfg_frame_next(buf, frame, need))
		{
			case PCFG_FRAME_MORE:
				return PCFG_EVENT_MORE;
			case PCFG_FRAME_BAD:
				return bad(reply);
			case PCFG_FRAME_OK:
				break;
		}
		switch (frame->type)
		{
			case 'D':
				if (reply->owed != 'C' || !row_is_sound(frame))
					return bad(reply);
				if (rows_are_wanted(reply->steps[reply->step]))
					event = PCFG_EVENT_ROW;
				break;
			case 'N':
				event = PCFG_EVENT_NOTICE;
				break;
			case 'S':
				event = PCFG_EVENT_PARAMETER;
				break;
			case 'A':
				event = PCFG_EVENT_NOTIFY;
				break;
			case 'E':
				event = take_error(reply);
				break;
			case 'Z':
				event = reply->owed == 'Z' || reply->owed == 'q' ?
					take_ready(reply, frame) : bad(reply);
				break;
			default:
				event = reply->owed != '\0' && !reply->error_seen ?
					take_owed(reply, frame) : bad(reply);
				break;
		}
	}
	return event;
}

bool
pcfg_reply_is_settled(const PcfgReply *reply, const PcfgBuffer *buf)
{
	return !reply->bad && reply->done && buf->parsed == buf->filled;
}

bool
pcfg_reply_is_clean(const PcfgReply *reply, const PcfgBuffer *buf)
{
	return pcfg_reply_is_settled(reply, buf) && reply->status == 'I';
}
