/*-------------------------------------------------------------------------
 *
 * backend/sql_transaction.c
 *	  The SQL functions that keep a connection beyond a call.
 *
 * Floor 13; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <math.h>

#include "backend/hold.h"
#include "backend/session.h"
#include "backend/transaction.h"
#include "backend/version.h"
#include "fmgr.h"
#include "utils/builtins.h"

PCFG_SQL_FUNCTION(pcfg_sql_acquire);
PCFG_SQL_FUNCTION(pcfg_sql_release);
PCFG_SQL_FUNCTION(pcfg_sql_notifications);
PCFG_SQL_FUNCTION(pcfg_sql_join_transaction);

#define LONGEST_WAIT	(365.0 * 24 * 3600)

/* A pooler between transactions gives each of them another session. */
static void
require_session(const PcfgTarget *target)
{
	if (target->policy.value[PCFG_POOLER] == PCFG_POOLER_TRANSACTION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("target \"%s\" has no sessions that could be acquired", target->name),
				 errdetail("Behind a pooler between transactions each transaction runs in another session."),
				 errhint("Use the direct address of the server; or set \"pooler\" to what the pooler is.")));
}

/*
 * acquire(target text) returns void.  A connection that was lost and not told
 * so far is told to who acquires once more: it is not what he takes it for.
 */
Datum
pcfg_sql_acquire(PG_FUNCTION_ARGS)
{
	PcfgTarget *target;
	PcfgHold   *hold;

	pcfg_require_arguments(fcinfo, 1);
	pcfg_session_require_usable();
	target = pcfg_target_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	require_session(target);
	hold = pcfg_hold_find(target);
	if (hold != NULL && hold->told && !hold->joined)
	{
		(void) pcfg_hold_end(hold);
		hold = NULL;
	}
	if (hold != NULL)
	{
		pcfg_hold_begin(hold, target);
		pcfg_hold_rest(hold, hold->status);
	}
	else
		hold = pcfg_hold_take(target);
	pcfg_hold_acquire(hold);
	PG_RETURN_VOID();
}

/*
 * release(target text) returns boolean: whether there was something to
 * release.  A joined transaction keeps the connection until its end.  No rights
 * are asked for, nor need the target be there still.
 */
Datum
pcfg_sql_release(PG_FUNCTION_ARGS)
{
	char	   *name;
	PcfgHold   *hold;
	bool		lost;

	pcfg_require_arguments(fcinfo, 1);
	pcfg_require_preload();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	hold = pcfg_hold_by_name(name);
	if (hold == NULL || hold->depth == 0)
		PG_RETURN_BOOL(false);
	lost = pcfg_hold_is_lost(hold);
	/* what is joined ends with the local transaction, which has to hear of a loss */
	if (hold->joined || (!lost && hold->depth > 1))
		hold->depth--;
	else if (pcfg_hold_end(hold))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the transaction that was open on the acquired connection to target \"%s\" was rolled back",
						name)));
	PG_RETURN_BOOL(!lost);
}

/* ----------------------------------------------------------------
 * notifications
 * ----------------------------------------------------------------
 */

/* Waits for the first one, or the deadline; the hold is in use. */
static void
await_notification(PcfgHold *hold, PcfgTime deadline)
{
	while (hold->notifications.n == 0 && pcfg_now() < deadline)
	{
		(void) pcfg_socket_wait(hold->lease.socket, WL_SOCKET_READABLE, deadline,
								pcfg_wait_event(PCFG_WAIT_FOR_RESULT));
		CHECK_FOR_INTERRUPTS();
		if (!pcfg_hold_listen(hold))
		{
			hold->lease.broken = true;
			pcfg_hold_lose(hold);
			pcfg_hold_raise_lost(hold);
		}
	}
}

/* The same as a use; an interrupt leaves all as it was. */
static void
use_for_notifications(PcfgHold *hold, const PcfgTarget *target, PcfgTime deadline)
{
	pcfg_hold_begin(hold, target);
	PG_TRY();
	{
		await_notification(hold, deadline);
	}
	PG_FINALLY();
	{
		if (!hold->lost)
			pcfg_hold_rest(hold, hold->status);
	}
	PG_END_TRY();
}

static void
put_notifications(ReturnSetInfo *rsinfo, PcfgHold *hold)
{
	PcfgNotifications *list = &hold->notifications;

	while (list->n > 0)
	{
		Datum		values[3];
		bool		nulls[3] = {0};

		values[0] = CStringGetTextDatum(list->first->channel);
		values[1] = Int32GetDatum(list->first->pid);
		values[2] = CStringGetTextDatum(list->first->payload);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		pcfg_notifications_shift(list);
	}
	if (list->dropped > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg(UINT64_FORMAT " notifications of target \"%s\" were dropped",
						list->dropped, hold->name),
				 errdetail("They came faster than they were fetched.")));
	list->dropped = 0;
}

/*
 * notifications(target text, wait float8) returns setof record
 */
Datum
pcfg_sql_notifications(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	PcfgTarget *target;
	PcfgHold   *hold;
	double		wait;

	pcfg_require_arguments(fcinfo, 2);
	pcfg_session_require_usable();
	rsinfo = pcfg_begin_result(fcinfo, 3);
	wait = PG_GETARG_FLOAT8(1);
	if (isnan(wait) || wait < 0 || wait > LONGEST_WAIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"wait\" must be from 0 to %.0f seconds", LONGEST_WAIT)));
	target = pcfg_target_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	hold = pcfg_hold_find(target);
	if (hold == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this session has not acquired a connection to target \"%s\"",
						target->name),
				 errhint("Notifications come to who listens: first acquire(), then LISTEN with exec().")));
	use_for_notifications(hold, target, pcfg_now() + (PcfgTime) (wait * PCFG_SECOND));
	put_notifications(rsinfo, hold);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * joined transactions
 * ----------------------------------------------------------------
 */

/* The level as SQL writes it; the error names what there is. */
static const char *
isolation_level(const char *given)
{
	static const char *const levels[] = {
		"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "READ UNCOMMITTED"
	};
	int			i;

	for (i = 0; i < lengthof(levels); i++)
	{
		if (pg_strcasecmp(given, levels[i]) == 0)
			return levels[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown isolation level"),
			 errhint("Levels are \"read committed\", \"repeatable read\" and \"serializable\".")));
	return NULL;
}

/*
 * join_transaction(target text, isolation text, read_only bool) returns void
 */
Datum
pcfg_sql_join_transaction(PG_FUNCTION_ARGS)
{
	const char *level;
	char	   *begin;

	pcfg_require_arguments(fcinfo, 3);
	pcfg_session_require_usable();
	level = isolation_level(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	begin = psprintf("START TRANSACTION ISOLATION LEVEL %s, READ %s", level,
					 PG_GETARG_BOOL(2) ? "ONLY" : "WRITE");
	pcfg_transaction_join(pcfg_target_open(text_to_cstring(PG_GETARG_TEXT_PP(0))), begin);
	PG_RETURN_VOID();
}
