/*-------------------------------------------------------------------------
 *
 * backend/commit.c
 *	  The COMMITs of joined transactions.
 *
 * Floor 11; backends.
 *
 * There is no second phase: when one remote refuses its COMMIT, others may
 * have done theirs, and that is told.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/commit.h"
#include "backend/hold.h"
#include "backend/run.h"
#include "lib/stringinfo.h"
#include "shared/failpoint.h"
#include "storage/proc.h"
#include "utils/timeout.h"

static const PcfgStatement commit_statement = {.sql = "COMMIT", .simple = true};

/* What became of a COMMIT. */
typedef enum Verdict
{
	COMMITTED,
	REFUSED,					/* the remote has rolled back */
	UNSENT,						/* it was not told to commit */
	UNKNOWN
} Verdict;

/* One COMMIT; in the memory of the local transaction. */
typedef struct Commit
{
	PcfgHold   *hold;
	PcfgRun		run;
	PcfgOutcome outcome;
	bool		open;			/* the connection is in use for it */
	Verdict		verdict;
} Commit;

/* ----------------------------------------------------------------
 * one COMMIT
 * ----------------------------------------------------------------
 */

static void
open_commit(Commit *c)
{
	PcfgHold   *hold = c->hold;
	PcfgRun    *run = &c->run;

	c->verdict = UNSENT;
	run->target = hold->lease.target;
	run->statement = &commit_statement;
	run->outcome = &c->outcome;
	run->lease = &hold->lease;
	run->notifications = &hold->notifications;
	run->context = CurrentMemoryContext;
	pcfg_hold_resume(hold);
	c->open = true;
	pcfg_inbox_open(&run->inbox);
	pcfg_series_build(&run->series, &run->reply, run->target,
					  pcfg_savepoints_rollback(&hold->savepoints), NULL,
					  &commit_statement, &run->planned, NULL, 0);
	run->started = pcfg_now();
	run->deadline = pcfg_target_command_deadline(run->target, run->started);
}

/* What is known by the answer, as far as it came. */
static Verdict
find_verdict(const Commit *c)
{
	const PcfgRun *run = &c->run;

	if (run->sent == 0)
		return UNSENT;
	if (run->error != NULL && !run->fatal)
		return REFUSED;
	if (run->lost || !run->reply.done)
		return UNKNOWN;
	return strcmp(c->outcome.tag, "COMMIT") == 0 ? COMMITTED : REFUSED;
}

/* Lets the connection go; cannot fail. */
static void
close_commit(Commit *c)
{
	PcfgRun    *run = &c->run;
	bool		untouched = run->sent == 0 && run->received == 0;
	bool		settled = !run->lost &&
		pcfg_reply_is_settled(&run->reply, &run->inbox.buffer);

	if (!c->open)
		return;
	c->open = false;
	if (pcfg_grant_stands(&run->lease->grant))
	{
		PcfgSlot   *slot = &pcfg_slots[run->lease->grant.slot];

		slot->bytes_sent += run->sent;
		slot->bytes_received += run->received;
	}
	pcfg_inbox_close(&run->inbox);
	run->lease->broken = run->lost;
	if (settled)
		pcfg_hold_rest(c->hold, run->reply.status);
	else if (untouched && !run->lost)
		pcfg_hold_rest(c->hold, c->hold->status);
	else
		pcfg_hold_lose(c->hold);
}

/* Waits for the answer and says what it means. */
static void
conclude(Commit *c)
{
	pcfg_run_converse(&c->run);
	c->verdict = find_verdict(c);
	close_commit(c);
}

/* ----------------------------------------------------------------
 * all of them
 * ----------------------------------------------------------------
 */

/* The first one with that verdict, or NULL. */
static Commit *
find(Commit *commits, int n, Verdict verdict)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (commits[i].verdict == verdict)
			return &commits[i];
	}
	return NULL;
}

/* What is known of each remote, as a sentence. */
static const char *
describe(Commit *commits, int n)
{
	static const char *const words[] = {"committed", "rolled back", "rolled back", "not known"};
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	for (i = 0; i < n; i++)
		appendStringInfo(&text, "%s\"%s\": %s", i > 0 ? ", " : "",
						 commits[i].hold->name, words[commits[i].verdict]);
	return text.data;
}

/*
 * An error unless no COMMIT went wrong, nor the waiting for them ("reason",
 * else NULL).  One that a caller could take for "try it
 * again" is raised only when nothing is committed, or may be.
 */
static void
judge(Commit *commits, int n, const char *reason)
{
	Commit	   *unknown = find(commits, n, UNKNOWN);
	Commit	   *refused = find(commits, n, REFUSED);
	Commit	   *unsent = find(commits, n, UNSENT);

	if (unknown == NULL && refused == NULL && unsent == NULL && reason == NULL)
		return;
	if (reason == NULL && refused != NULL && refused->run.error != NULL)
		reason = pcfg_remote_error_message(refused->run.error);
	if (unknown != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("it is not known whether the joined transaction on target \"%s\" was committed",
						unknown->hold->name),
				 errdetail("%s: %s.", reason != NULL ? reason :
						   "The connection was lost before the answer to COMMIT came",
						   describe(commits, n)),
				 errhint("The local transaction is rolled back. Look at the remote before you repeat it.")));
	if (find(commits, n, COMMITTED) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("joined transactions were committed in part"),
				 errdetail("%s: %s.", reason != NULL ? reason : "A connection was lost before COMMIT was sent",
						   describe(commits, n)),
				 errhint("The local transaction is rolled back. What is committed elsewhere stays: repair it before you repeat the transaction.")));
	if (refused != NULL && refused->run.error != NULL)
		pcfg_remote_error_throw(refused->run.error, refused->hold->name, "COMMIT", false);
	ereport(ERROR,
			(errcode(refused != NULL ? ERRCODE_TRANSACTION_ROLLBACK : ERRCODE_CONNECTION_FAILURE),
			 refused != NULL ?
			 errmsg("the joined transaction on target \"%s\" was rolled back instead of committed",
					refused->hold->name) :
			 errmsg("connection to target \"%s\" was lost before COMMIT was sent",
					unsent->hold->name),
			 errdetail("Nothing was committed.")));
}

/*
 * An error of our own, an interrupt perhaps.  Once a COMMIT is out it is not
 * that error that matters, but that the outcome is not known.
 */
static void
fail(Commit *commits, int n, MemoryContext context)
{
	bool		sent = false;
	ErrorData  *error;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (commits[i].open)
			commits[i].verdict = find_verdict(&commits[i]);
		sent = sent || commits[i].verdict != UNSENT;
		close_commit(&commits[i]);
	}
	if (!sent)
		return;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	judge(commits, n, error->message);
}

/*
 * The server has stopped the clock of statement_timeout before it commits, if
 * it is not a procedure that does: here it runs on.  True if so.
 */
static bool
start_clock(void)
{
	if (StatementTimeout <= 0 || get_timeout_active(STATEMENT_TIMEOUT))
		return false;
	enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	return true;
}

static void
stop_clock(bool started)
{
	if (started)
		disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
commit_all(Commit *commits, int n)
{
	MemoryContext context = CurrentMemoryContext;
	bool		clock = start_clock();
	int			i;

	PG_TRY();
	{
		for (i = 0; i < n; i++)
			open_commit(&commits[i]);
		for (i = 0; i < n; i++)
			pcfg_run_send(&commits[i].run);
		PCFG_FAILPOINT(committing);
		for (i = 0; i < n; i++)
			conclude(&commits[i]);
	}
	PG_CATCH();
	{
		stop_clock(clock);
		fail(commits, n, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	stop_clock(clock);
	judge(commits, n, NULL);
}

/* What can be known before any COMMIT is sent. */
static void
require_sound(PcfgHold *hold)
{
	pcfg_hold_require_joined(hold);
	if (hold->lost)
		pcfg_hold_raise_lost(hold);
	if (!hold->begun)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the joined transaction on target \"%s\" ran nothing", hold->name),
				 errhint("Join before the first statement, as the role that runs it.")));
}

void
pcfg_commit_joined(void)
{
	Commit	   *commits;
	PcfgHold   *hold;
	int			n = 0;

	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (!hold->joined)
			continue;
		require_sound(hold);
		n += hold->begun;
	}
	if (n == 0)
		return;
	commits = palloc0(n * sizeof(Commit));
	n = 0;
	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (hold->joined && hold->begun)
			commits[n++].hold = hold;
	}
	commit_all(commits, n);
}
