/*-------------------------------------------------------------------------
 *
 * backend/run.h
 *	  One run of a statement: series out, answers in.
 *
 * Floor 10; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_RUN_H
#define PCFG_RUN_H

#include "backend/inbox.h"
#include "backend/lease.h"
#include "backend/notifications.h"
#include "backend/remote_error.h"
#include "backend/rows.h"
#include "backend/series.h"

#define PCFG_TAG_LEN	64		/* longest command tag of the server */

typedef struct PcfgOutcome
{
	char		tag[PCFG_TAG_LEN];	/* command tag; "" for an empty query */
	bool		had_columns;
	PcfgFrame	columns;		/* of a statement that was only described; NULL
								 * body: it has none */
} PcfgOutcome;

/*
 * The caller fills what is above the line, zeroes the rest, and owns it all:
 * lease, inbox and series are his to end.
 */
typedef struct PcfgRun
{
	PcfgTarget *target;
	const PcfgStatement *statement;
	PcfgRows   *rows;			/* NULL = discard */
	PcfgOutcome *outcome;
	PcfgLease  *lease;
	PcfgNotifications *notifications;	/* NULL = discard */
	PcfgTime	started;		/* when the connection was there */
	PcfgTime	deadline;		/* command_timeout */
	PcfgTime	unfit_until;	/* rows that nobody can read are waited for no
								 * longer; 0 = they can be read */
	MemoryContext context;		/* of the caller */

	/* ---- */

	/* what we say; the series is in the caller's context */
	PcfgStatementCache *cache;	/* NULL = none, or an outer call has it */
	PcfgPlanned planned;
	PcfgSeries	series;
	size_t		sent;			/* of the series */
	bool		spoken;			/* the series is the caller's statement */
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
	bool		transaction;	/* some statement began or ended one */
	bool		reporting;		/* a notice, which names its place itself */
} PcfgRun;

/* Counts the last series as said, frees it, and makes ready for the next. */
extern void pcfg_run_next_series(PcfgRun *run);

/* Sends as much of the series as goes without waiting. */
extern void pcfg_run_send(PcfgRun *run);

/*
 * Says the series and takes the answers: to the end, to the loss of the
 * connection ("lost"), or to a reset that failed.  Rows go where they belong,
 * notices are reported, the remote's first error is kept.  Errors of our own:
 * 08P01 protocol violation (the lease is marked broken), 57014
 * command_timeout, 42804 rows that nobody can read and that do not end, 0A000
 * a COPY that cannot be ended in order, those of values, and interrupts.
 */
extern void pcfg_run_converse(PcfgRun *run);

/* The reset failed, so the server skips the caller's statement. */
extern bool pcfg_run_reset_failed(const PcfgRun *run);

/*
 * Error 0A000 for a COPY from or to us.  "what" became of it, a sentence;
 * NULL = nothing to tell.
 */
PCFG_NORETURN extern void pcfg_run_raise_copy(const PcfgRun *run, const char *what);

#endif							/* PCFG_RUN_H */
