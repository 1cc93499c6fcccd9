/*-------------------------------------------------------------------------
 *
 * backend/sql_admin.c
 *	  The SQL functions with which the owner of a target steers its pools.
 *
 * Floor 11; backends.
 *
 * What they do takes effect at once and is no part of a transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <math.h>

#include "backend/lease.h"
#include "backend/version.h"
#include "foreign/foreign.h"
#include "shared/steering.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_pause);
PCFG_SQL_FUNCTION(pcfg_sql_resume);
PCFG_SQL_FUNCTION(pcfg_sql_recycle);
PCFG_SQL_FUNCTION(pcfg_sql_disconnect);
PCFG_SQL_FUNCTION(pcfg_sql_prewarm);
PCFG_SQL_FUNCTION(pcfg_sql_stats_reset);

/* A wait looks again that often. */
#define LOOK_MS		10

#define LONGEST_WAIT	(365.0 * 24 * 3600)

/*
 * The server of the target that is the first of nargs arguments; errors
 * unless the current user may steer it.
 */
static Oid
own_server(FunctionCallInfo fcinfo, int nargs, const char **name)
{
	const char *target;
	Oid			server = InvalidOid;

	pcfg_require_arguments(fcinfo, nargs);
	pcfg_require_preload();
	target = *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strlen(target) < NAMEDATALEN)
		server = get_foreign_server_oid(target, true);
	if (!OidIsValid(server))
		pcfg_target_report_unknown(target);
	pcfg_target_require_owner(server, target);
	return server;
}

/* One step of a wait; interrupts end it. */
static void
look_later(PcfgTime deadline)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 pcfg_ms_until(deadline, LOOK_MS),
					 pcfg_wait_event(PCFG_WAIT_FOR_CONNECTION));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * pause(target text, wait float8) returns boolean: whether the target has no
 * connection any more.
 */
Datum
pcfg_sql_pause(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			server = own_server(fcinfo, 2, &name);
	double		wait = PG_GETARG_FLOAT8(1);
	PcfgTime	deadline;
	bool		empty;

	if (isnan(wait) || wait < 0 || wait > LONGEST_WAIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"wait\" must be from 0 to %.0f seconds", LONGEST_WAIT)));
	deadline = pcfg_now() + (PcfgTime) (wait * PCFG_SECOND);
	pcfg_steer_pause(MyDatabaseId, server, true);
	for (;;)
	{
		empty = pcfg_steer_count_open(MyDatabaseId, server) == 0;
		if (empty || pcfg_now() >= deadline ||
			!pcfg_steer_is_paused(MyDatabaseId, server))
			break;
		look_later(deadline);
	}
	PG_RETURN_BOOL(empty);
}

/*
 * resume(target text) returns void
 */
Datum
pcfg_sql_resume(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			server = own_server(fcinfo, 1, &name);

	pcfg_steer_pause(MyDatabaseId, server, false);
	PG_RETURN_VOID();
}

/*
 * recycle(target text) returns int: how many connections are replaced.
 */
Datum
pcfg_sql_recycle(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			server = own_server(fcinfo, 1, &name);

	PG_RETURN_INT32(pcfg_steer_recycle(MyDatabaseId, server));
}

/*
 * disconnect(target text, connection int) returns int: how many connections
 * are ended.  Not strict, for NULL stands for all of them.
 */
Datum
pcfg_sql_disconnect(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			server;
	int			slot = PCFG_NONE;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	server = own_server(fcinfo, 2, &name);
	if (!PG_ARGISNULL(1))
	{
		slot = PG_GETARG_INT32(1);
		if (slot < 0 || slot >= pcfg_shared->nslots)
			PG_RETURN_INT32(0);
	}
	PG_RETURN_INT32(pcfg_steer_disconnect(MyDatabaseId, server, slot));
}

/*
 * prewarm(target text, n int) returns int: how many connections are open for
 * the mapping of the current user.
 */
Datum
pcfg_sql_prewarm(PG_FUNCTION_ARGS)
{
	const char *name;
	int			n;
	PcfgTarget *target;
	PcfgTime	deadline;
	PcfgCause	cause = {{0}};
	volatile int open = 0;

	(void) own_server(fcinfo, 2, &name);
	n = PG_GETARG_INT32(1);
	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of connections must not be negative")));
	target = pcfg_target_open(name);
	/* more would be closed as surplus at their first return */
	n = (int) Min((int64) n, target->policy.value[PCFG_POOL_SIZE]);
	deadline = pcfg_target_pool_deadline(target, pcfg_now());
	pcfg_target_pin(target);
	PG_TRY();
	{
		pcfg_lease_find_pool(target, deadline);
		for (;;)
		{
			pcfg_channel_send_credentials(target, deadline);
			open = pcfg_steer_prewarm(target->pool, target->serial, n, &cause);
			if (open >= n || cause.failures > 0 || pcfg_now() >= deadline ||
				pcfg_steer_is_paused(MyDatabaseId, target->key.server) ||
				!pcfg_pool_is_current(target->pool, target->serial))
				break;
			look_later(deadline);
		}
	}
	PG_FINALLY();
	{
		pcfg_target_unpin(target);
	}
	PG_END_TRY();
	PG_RETURN_INT32(open);
}

/*
 * stats_reset() returns void: those of all targets that the current user
 * owns.
 */
Datum
pcfg_sql_stats_reset(PG_FUNCTION_ARGS)
{
	PcfgTargetStats *stats = palloc(sizeof(*stats));
	int			i;

	pcfg_require_preload();
	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		if (pcfg_steer_stats(i, MyDatabaseId, stats) &&
			SearchSysCacheExists1(FOREIGNSERVEROID, ObjectIdGetDatum(stats->server)) &&
			pcfg_owns_foreign_server(stats->server, GetUserId()))
			pcfg_steer_stats_reset(MyDatabaseId, stats->server);
	}
	PG_RETURN_VOID();
}
