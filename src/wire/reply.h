/*-------------------------------------------------------------------------
 *
 * wire/reply.h
 *	  The answers to one series of messages, as a machine: bytes in; columns,
 *	  rows, notices, errors and "ready" out.
 *
 * Floor 2; any process; no I/O, no allocation, no ereport, no server header.
 *
 * A series is a list of steps closed by one Sync, or by a simple Query, which
 * brings its own ReadyForQuery.  The machine holds an
 * explicit queue of the replies that are still owed; a message that is not
 * the next one owed, nor one that may come at any time (NoticeResponse,
 * ParameterStatus, NotificationResponse), nor an ErrorResponse, is a
 * protocol violation, after which the connection must be destroyed.  After
 * an ErrorResponse the server skips to the Sync, so everything owed before
 * ReadyForQuery is struck off; an error before a Query at the end of a series
 * leaves the server waiting for a Sync that does not come: the connection is
 * of no more use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_WIRE_REPLY_H
#define PCFG_WIRE_REPLY_H

#include "wire/message.h"

typedef enum PcfgStep
{
	PCFG_STEP_COMMAND,			/* Parse, Bind, Execute: 1 2 (D)* C|I */
	PCFG_STEP_STATEMENT,		/* Parse, Describe(S), Bind, Execute: 1 t T|n
								 * 2 (D)* C|I */
	PCFG_STEP_PREPARED,			/* Bind, Execute: 2 (D)* C|I */
	PCFG_STEP_DESCRIBE,			/* Parse, Describe(S): 1 t T|n */
	PCFG_STEP_CLOSE,			/* Close: 3 */
	PCFG_STEP_QUERY,			/* Query: ([T (D)*] C | I)* Z */
	PCFG_STEP_SYNC				/* Sync: Z */
} PcfgStep;

#define PCFG_MAX_STEPS	36

typedef enum PcfgEvent
{
	PCFG_EVENT_MORE,			/* receive more bytes */
	PCFG_EVENT_COLUMNS,			/* RowDescription of any but a COMMAND */
	PCFG_EVENT_NO_COLUMNS,		/* NoData of a STATEMENT or DESCRIBE */
	PCFG_EVENT_ROW,				/* DataRow of a STATEMENT or PREPARED (others
								 * are passed over) */
	PCFG_EVENT_COMPLETE,		/* CommandComplete; the body is the tag */
	PCFG_EVENT_EMPTY,			/* EmptyQueryResponse */
	PCFG_EVENT_NOTICE,
	PCFG_EVENT_ERROR,
	PCFG_EVENT_PARAMETER,		/* ParameterStatus: two strings */
	PCFG_EVENT_NOTIFY,			/* NotificationResponse */
	PCFG_EVENT_COPY_IN,			/* a QUERY waits for data, or a CopyFail */
	PCFG_EVENT_COPY_OUT,		/* COPY sends data, or did so (CopyData) */
	PCFG_EVENT_COPY,			/* a COPY that cannot be ended in order: the
								 * connection has to be destroyed */
	PCFG_EVENT_READY,			/* ReadyForQuery; "status" of the machine is
								 * valid; nothing more is owed */
	PCFG_EVENT_BAD				/* protocol violation; sticky */
} PcfgEvent;

typedef struct PcfgReply
{
	PcfgStep	steps[PCFG_MAX_STEPS];
	int			nsteps;
	int			step;			/* index of the step whose reply is owed */
	char		owed;			/* type byte owed next within the step */
	bool		error_seen;		/* skipping to the Sync */
	int			error_step;		/* step that failed, -1 = none */
	char		error_owed;		/* what was owed then: '2' = not bound yet */
	bool		done;			/* ReadyForQuery seen */
	bool		bad;
	char		status;			/* 'I', 'T', 'E' of the ReadyForQuery */
} PcfgReply;

/* Starts with nothing owed. */
extern void pcfg_reply_init(PcfgReply *reply);

/* Adds a step; false when there are PCFG_MAX_STEPS already. */
extern bool pcfg_reply_expect(PcfgReply *reply, PcfgStep step);

/*
 * Takes one message off the buffer.  "frame" is valid for every event that
 * stands for a message, until the buffer is consumed, compacted or filled.
 * *need as in pcfg_frame_next.  ROW frames are checked to be a count and
 * that many lengths which fit in the message exactly, so that the row reader
 * may trust them; COLUMNS frames likewise.
 */
extern PcfgEvent pcfg_reply_next(PcfgReply *reply, PcfgBuffer *buf,
								 PcfgFrame *frame, size_t *need);

/*
 * True when all expected replies came and no byte is left; a transaction may
 * be open.
 */
extern bool pcfg_reply_is_settled(const PcfgReply *reply, const PcfgBuffer *buf);

/*
 * True when the connection is provably between two series: all expected
 * replies came, the last ReadyForQuery was idle ('I') and no byte is left.
 */
extern bool pcfg_reply_is_clean(const PcfgReply *reply, const PcfgBuffer *buf);

#endif							/* PCFG_WIRE_REPLY_H */
