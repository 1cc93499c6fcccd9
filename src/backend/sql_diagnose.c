/*-------------------------------------------------------------------------
 *
 * backend/sql_diagnose.c
 *	  What is the matter with a target, and what to type next.
 *
 * Floor 11; backends.
 *
 * diagnose() reads shared memory, and asks the remote only when that takes
 * no waiting.  check_target() goes the way of a call, step by step.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/inquiry.h"
#include "backend/sight.h"
#include "backend/target.h"
#include "backend/version.h"
#include "foreign/foreign.h"
#include "shared/dispatch.h"
#include "shared/steering.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PCFG_SQL_FUNCTION(pcfg_sql_diagnose);
PCFG_SQL_FUNCTION(pcfg_sql_check_target);

/* A worker that has not turned for so long is stuck. */
#define BEAT_LATE		(5 * PCFG_SECOND)

/* As many process ids are named for each role. */
#define PIDS_NAMED		5

/* As many roles are told apart. */
#define ROLES_NAMED		8

typedef struct Diagnosis
{
	ReturnSetInfo *rsinfo;
	const char *target;
	char	   *literal;		/* the name as it is to be typed */
	Oid			server;
	PcfgSight	sight;
	int			nsentences;
} Diagnosis;

static void say(Diagnosis *d, const char *format,...) pg_attribute_printf(2, 3);

/* One sentence or two: a row. */
static void
say(Diagnosis *d, const char *format,...)
{
	StringInfoData text;
	Datum		value;
	bool		null = false;

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	value = CStringGetTextDatum(text.data);
	tuplestore_putvalues(d->rsinfo->setResult, d->rsinfo->setDesc, &value, &null);
	d->nsentences++;
}

/* "4 min", "12 s" */
static char *
duration(PcfgTime us)
{
	int64		s = Max(us, 0) / PCFG_SECOND;

	if (s >= 7200)
		return psprintf(INT64_FORMAT " h", s / 3600);
	if (s >= 120)
		return psprintf(INT64_FORMAT " min", s / 60);
	return psprintf(INT64_FORMAT " s", s);
}

static const char *
role_name(Oid role)
{
	const char *name = OidIsValid(role) ? GetUserNameFromId(role, true) : "public";

	return name != NULL ? name : "(dropped)";
}

/* As it is written in CREATE USER MAPPING FOR ... */
static const char *
mapping_word(Oid role)
{
	return OidIsValid(role) ? quote_identifier(role_name(role)) : "PUBLIC";
}

/* ----------------------------------------------------------------
 * the worker
 * ----------------------------------------------------------------
 */

/* NULL when it is well, or what is the matter and what to do. */
static char *
worker_trouble(void)
{
	int			pid = (int) pg_atomic_read_u32(&pcfg_shared->worker_pid);
	PcfgTime	late = pcfg_now() - (PcfgTime) pg_atomic_read_u64(&pcfg_shared->worker_beat);

	if (pid == 0)
		return pstrdup("The background worker of pool_config is not running, so nothing can be connected. "
					   "The server log says why; max_worker_processes may be too small.");
	if (late > BEAT_LATE)
		return psprintf("The background worker of pool_config (process %d) has not moved for %s. "
						"If somebody stopped it, on the server's machine: kill -CONT %d; "
						"otherwise kill -TERM %d, and the server starts another.",
						pid, duration(late), pid, pid);
	return NULL;
}

/* ----------------------------------------------------------------
 * who holds the connections
 * ----------------------------------------------------------------
 */

typedef struct Holders
{
	Oid			role;
	int			count;
	PcfgTime	oldest;
	int			npids;
	int			pids[PIDS_NAMED];
} Holders;

/* The process that leases that slot of the pool; 0 = none. */
static int
holder_of(int pool, const PcfgSlot *slot)
{
	uint64		word = pg_atomic_read_u64(&((PcfgSlot *) slot)->word);
	uint32		owner = pcfg_word_owner(word);

	if (slot->pool != pool || pcfg_word_state(word) != PCFG_SLOT_LEASED ||
		owner == 0 || owner > (uint32) pcfg_shared->nwaiters)
		return 0;
	return ProcGlobal->allProcs[owner - 1].pid;
}

static void
add_holder(Holders *holders, int *n, Oid role, int pid, PcfgTime since)
{
	Holders    *h;
	int			i;

	for (i = 0; i < *n && holders[i].role != role; i++)
		;
	if (i == ROLES_NAMED)
		i--;					/* the last one stands for the rest */
	h = &holders[i];
	if (i == *n)
	{
		(*n)++;
		memset(h, 0, sizeof(*h));
		h->role = role;
		h->oldest = since;
	}
	h->count++;
	h->oldest = Min(h->oldest, since);
	if (h->npids < PIDS_NAMED)
		h->pids[h->npids++] = pid;
}

static void
say_holders(Diagnosis *d, int pool)
{
	Holders		holders[ROLES_NAMED];
	int			n = 0;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		int			pid = holder_of(pool, &pcfg_slots[i]);

		if (pid != 0)
			add_holder(holders, &n, pcfg_slots[i].last_role, pid, pcfg_slots[i].leased_at);
	}
	for (i = 0; i < n; i++)
	{
		StringInfoData pids;
		int			p;

		initStringInfo(&pids);
		for (p = 0; p < holders[i].npids; p++)
			appendStringInfo(&pids, "%s%d", p > 0 ? ", " : "", holders[i].pids[p]);
		if (holders[i].count > holders[i].npids)
			appendStringInfoString(&pids, ", ...");
		if (d->sight == PCFG_SIGHT_ALL)
			say(d, "%d by role \"%s\", for a statement, the oldest for %s (pids %s). "
				"See what they do: SELECT * FROM pg_stat_activity WHERE pid IN (%d); end one: SELECT pg_cancel_backend(%d);",
				holders[i].count, role_name(holders[i].role),
				duration(pcfg_now() - holders[i].oldest), pids.data,
				holders[i].pids[0], holders[i].pids[0]);
		else
			say(d, "%d by role \"%s\", for a statement, the oldest for %s. Ask the owner of the target, who sees the processes.",
				holders[i].count, role_name(holders[i].role),
				duration(pcfg_now() - holders[i].oldest));
	}
}

/* Whether pid waits for a lock that "holder" has, or that waits for him. */
static bool
is_blocked_by(int pid, int holder)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int32	   *pids = (int32 *) ARR_DATA_PTR(array);
	int			i;

	for (i = 0; i < n; i++)
	{
		if (pids[i] == holder)
			return true;
	}
	return false;
}

/*
 * A target may lead back to this very server.  Then a remote statement can
 * wait for a lock of the session that waits for the statement, which no
 * deadlock check sees.
 */
static void
say_loops(Diagnosis *d, int pool)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		int			pid = holder_of(pool, &pcfg_slots[i]);
		int			remote_pid = pcfg_slots[i].remote_pid;

		if (pid == 0 || remote_pid == 0 || BackendPidGetProc(remote_pid) == NULL ||
			!is_blocked_by(remote_pid, pid))
			continue;
		if (d->sight == PCFG_SIGHT_ALL)
			say(d, "Process %d waits for its remote statement, which is process %d of this very server and waits for a lock that process %d holds: "
				"a deadlock that no check sees. End it: SELECT pg_cancel_backend(%d);",
				pid, remote_pid, pid, pid);
		else
			say(d, "A session waits for its remote statement, which runs on this very server and waits for a lock of that session: "
				"a deadlock that no check sees. Ask the owner of the target to end it.");
	}
}

/* ----------------------------------------------------------------
 * one pool
 * ----------------------------------------------------------------
 */

static void
say_failure(Diagnosis *d, const PcfgPoolSnapshot *s)
{
	int			alive = s->nopen - s->nconnecting;
	const char *message = s->cause.message;
	char	   *next = s->cause.retry_at > pcfg_now() ?
		psprintf("in %s", duration(s->cause.retry_at - pcfg_now() + PCFG_SECOND - 1)) :
		pstrdup("at the next call");

	if (alive > 0)
		say(d, "New connections fail (%s); the %d that live serve on, and the next attempt is made %s. "
			"If the remote is full, lower the limit: SELECT pool_config.alter_target(%s, max_overflow => 0);",
			message, alive, next, d->literal);
	else if (strncmp(s->cause.sqlstate, "28", 2) == 0)
		say(d, "Nothing is connected with the mapping of %s, and the remote refuses it: %s. "
			"The next attempt is made %s, or at once after: ALTER USER MAPPING FOR %s SERVER %s OPTIONS (SET password '...');",
			mapping_word(s->mapping_user), message, next, mapping_word(s->mapping_user),
			quote_identifier(d->target));
	else if (s->cause.lasting)
		say(d, "Nothing is connected with the mapping of %s, and the remote refuses it: %s. "
			"The next attempt is made %s; once the cause is mended, at once after: SELECT pool_config.recycle(%s);",
			mapping_word(s->mapping_user), message, next, d->literal);
	else
		say(d, "The remote is down: nothing is connected with the mapping of %s, and the last connect failed: %s. "
			"It is tried again %s. Look step by step: SELECT * FROM pool_config.check_target(%s);",
			mapping_word(s->mapping_user), message, next, d->literal);
}

static void
say_waiting(Diagnosis *d, int pool, const PcfgPoolSnapshot *s)
{
	int			in_use = s->nopen - s->nconnecting - s->nidle;
	int			limit = pcfg_policy_limit(&s->policy);
	char	   *since = duration(pcfg_now() - s->oldest_wait);

	if (s->nopen >= limit)
		say(d, "%d of %d connections with the mapping of %s are in use (pool_size " INT64_FORMAT ", max_overflow " INT64_FORMAT "), and %d sessions wait, the first for %s. "
			"Who holds them follows; more room: SELECT pool_config.alter_target(%s, max_overflow => " INT64_FORMAT ");",
			in_use, limit, mapping_word(s->mapping_user), s->policy.value[PCFG_POOL_SIZE],
			s->policy.value[PCFG_MAX_OVERFLOW], s->nwait, since, d->literal,
			Max(s->policy.value[PCFG_MAX_OVERFLOW], 0) + 10);
	else if (s->starving)
		say(d, "%d sessions wait for a place, the first for %s: target_limit (" INT64_FORMAT ") or pool_config.max_connections (%d, all targets together) is reached. "
			"See who has the places: SELECT target, mapping, open FROM pool_config.pools ORDER BY open DESC;",
			s->nwait, since, s->policy.value[PCFG_TARGET_LIMIT], pcfg_shared->nslots);
	else
		say(d, "%d sessions wait for connects that are under way, the first for %s. Look again: SELECT pool_config.diagnose(%s);",
			s->nwait, since, d->literal);
	say_holders(d, pool);
}

/* What the remote says of itself; one row of text. */
#define LOOK_COLUMNS	4
static const char *const look_query =
	"SELECT pg_catalog.current_setting('max_connections'),"
	" (SELECT pg_catalog.sum(setting::pg_catalog.int4) FROM pg_catalog.pg_settings"
	"  WHERE name IN ('superuser_reserved_connections', 'reserved_connections')),"
	" (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity"
	"  WHERE backend_type = 'client backend'),"
	" (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity"
	"  WHERE usename = current_user AND wait_event_type = 'Lock'"
	"  AND application_name = pg_catalog.current_setting('application_name'))";

/* The connections that the target's pools have, and those it may have. */
static void
say_capacity(Diagnosis *d, const PcfgPoolSnapshot *s, char **look)
{
	int			most = atoi(look[0]);
	int			reserved = look[1] != NULL ? atoi(look[1]) : 0;
	int			others = atoi(look[2]) - (s->nopen - s->nconnecting);
	int			limit = pcfg_policy_limit(&s->policy);
	int			room = most - reserved - Max(others, 0);

	if (limit <= room)
		return;
	say(d, "The pool may open %d connections, but the remote has room for %d: max_connections %d, less %d reserved, less %d of others. "
		"Lower the limit: SELECT pool_config.alter_target(%s, pool_size => %d, max_overflow => 0);",
		limit, Max(room, 0), most, reserved, Max(others, 0), d->literal, Max(room, 1));
}

/* Asks the remote, if that takes no waiting and is for the caller's own mapping. */
static void
say_remote(Diagnosis *d, const PcfgPoolSnapshot *s)
{
	char	   *look[LOOK_COLUMNS];
	ErrorData  *error = pcfg_inquire(d->target, look_query, LOOK_COLUMNS, look, "0");

	if (error != NULL)
	{
		say(d, "The remote was asked and did not answer: %s%s%s. Look step by step: SELECT * FROM pool_config.check_target(%s);",
			error->message, error->detail != NULL ? ": " : "",
			error->detail != NULL ? error->detail : "", d->literal);
		return;
	}
	say_capacity(d, s, look);
	if (atoi(look[3]) > 0)
		say(d, "%s statements wait for locks at the remote. See for what: SELECT * FROM pool_config.query(%s, 'select pid, pg_blocking_pids(pid)::text, query from pg_stat_activity where wait_event_type = ''Lock''') AS t(pid int, blocked_by text, query text);",
			look[3], d->literal);
}

/* A pooler that pools transactions has no sessions for us. */
static void
say_pooler(Diagnosis *d, const PcfgPoolSnapshot *s)
{
	if (s->pooled && s->policy.value[PCFG_POOLER] == PCFG_POOLER_AUTO)
		say(d, "A pooler stands in front of the remote: the process that answers is not the one that was announced. "
			"Say what it pools: SELECT pool_config.alter_target(%s, settings => '{\"pooler\": \"transaction\"}'); or \"session\".",
			d->literal);
}

static bool
may_ask(const Diagnosis *d, const PcfgPoolSnapshot *s)
{
	return !s->paused && s->nwait == 0 && s->cause.failures == 0 && s->nidle > 0 &&
		pcfg_server_aclcheck(d->server, GetUserId()) == ACLCHECK_OK &&
		(!OidIsValid(s->mapping_user) || s->mapping_user == GetUserId());
}

static void
say_pool(Diagnosis *d, int pool, const PcfgPoolSnapshot *s)
{
	int			before = d->nsentences;

	if (s->cause.failures > 0)
		say_failure(d, s);
	if (s->nwait > 0 && !s->paused && (s->nopen > s->nconnecting || s->cause.failures == 0))
		say_waiting(d, pool, s);
	say_loops(d, pool);
	say_pooler(d, s);
	if (may_ask(d, s))
		say_remote(d, s);
	if (d->nsentences == before && !s->paused)
		say(d, "All is well with the mapping of %s: %d of %d connections are in use, %d are idle, nobody waits. Watch it: SELECT * FROM pool_config.pools WHERE target = %s;",
			mapping_word(s->mapping_user), s->nopen - s->nconnecting - s->nidle,
			pcfg_policy_limit(&s->policy), s->nidle, d->literal);
}

/* Whoever may not use or own it is told nothing. */
static void
open_diagnosis(Diagnosis *d, FunctionCallInfo fcinfo)
{
	d->target = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pcfg_require_preload();
	d->server = strlen(d->target) < NAMEDATALEN ?
		get_foreign_server_oid(d->target, true) : InvalidOid;
	if (!OidIsValid(d->server))
		pcfg_target_report_unknown(d->target);
	d->sight = pcfg_sight_of(MyDatabaseId, d->server);
	if (d->sight == PCFG_SIGHT_NOTHING)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, d->target);
	d->literal = quote_literal_cstr(d->target);
	d->nsentences = 0;
}

/*
 * diagnose(target text) returns setof text
 */
Datum
pcfg_sql_diagnose(PG_FUNCTION_ARGS)
{
	Diagnosis	d;
	char	   *worker;
	int			npools = 0;
	int			i;

	open_diagnosis(&d, fcinfo);
	d.rsinfo = pcfg_begin_result(fcinfo, 1);
	worker = worker_trouble();
	if (worker != NULL)
		say(&d, "%s", worker);
	if (pcfg_steer_is_paused(MyDatabaseId, d.server))
		say(&d, "The target is paused: calls queue until their pool_timeout. Its owner goes on with: SELECT pool_config.resume(%s);",
			d.literal);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPoolSnapshot s;

		CHECK_FOR_INTERRUPTS();
		pcfg_pool_snapshot(i, &s);
		if (s.serial == 0 || s.retired || s.key.database != MyDatabaseId ||
			s.key.server != d.server)
			continue;
		npools++;
		say_pool(&d, i, &s);
	}
	if (npools == 0 && worker == NULL)
		say(&d, "Nothing is known of the target: it was not used since the server started, or not for long. Try it: SELECT * FROM pool_config.check_target(%s);",
			d.literal);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * step by step
 * ----------------------------------------------------------------
 */

static void
put_step(Diagnosis *d, const char *step, bool ok, const char *detail)
{
	Datum		values[3] = {CStringGetTextDatum(step), BoolGetDatum(ok),
	CStringGetTextDatum(detail)};
	bool		nulls[3] = {false, false, false};

	tuplestore_putvalues(d->rsinfo->setResult, d->rsinfo->setDesc, values, nulls);
}

/* An error in one line: message, detail, hint. */
static char *
error_line(const ErrorData *error)
{
	return psprintf("%s%s%s%s%s", error->message,
					error->detail != NULL ? ": " : "", error->detail != NULL ? error->detail : "",
					error->hint != NULL ? ". " : "", error->hint != NULL ? error->hint : "");
}

static void
open_target(void *arg)
{
	Diagnosis  *d = arg;

	(void) pcfg_target_open(d->target);
}

/* Finds out whether the current user has a mapping, and with a password. */
static bool
check_mapping(Diagnosis *d)
{
	ErrorData  *error = pcfg_attempt(open_target, d);
	PcfgTarget *target;

	if (error != NULL)
	{
		put_step(d, "mapping", false, error_line(error));
		return false;
	}
	target = pcfg_target_open(d->target);
	put_step(d, "mapping", true,
			 psprintf("that of %s, %s", mapping_word(target->mapping_user),
					  target->password_given ? "with a password" : "without a password"));
	return true;
}

static const char *const check_query =
	"SELECT pg_catalog.version(), current_user, pg_catalog.current_database(),"
	" pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/* How the bytes of the pool's connections travel; true for a relay. */
static bool
pool_is_relayed(int pool)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (pcfg_slots[i].pool == pool && pcfg_slots[i].relay)
			return true;
	}
	return false;
}

static void
check_transport(Diagnosis *d, const PcfgTarget *target)
{
	put_step(d, "transport", true, pool_is_relayed(target->pool) ?
			 "relay: the connection uses TLS, so its bytes pass through the worker. Over a unix socket, or with sslmode=disable where the network is trusted, sessions would use it directly, which is faster" :
			 "direct: sessions speak to the remote themselves, without TLS");
}

/* The way of a call: a connection, a statement. */
static bool
check_call(Diagnosis *d)
{
	char	   *v[5];
	PcfgTime	start = pcfg_now();
	ErrorData  *error = pcfg_inquire(d->target, check_query, lengthof(v), v, NULL);
	PcfgTarget *target;

	if (error != NULL)
	{
		put_step(d, "connect", false, error_line(error));
		return false;
	}
	put_step(d, "connect", true, psprintf("and a statement took %.1f ms",
										  (double) (pcfg_now() - start) / 1000));
	put_step(d, "remote", true, psprintf("role %s, database %s, %s, %s", v[1], v[2],
										 strcmp(v[3], "t") == 0 ? "a standby" :
										 strcmp(v[4], "on") == 0 ? "read-only" : "can be written to",
										 v[0]));
	target = pcfg_target_open(d->target);
	if (target->pool != PCFG_NONE)
	{
		PcfgPoolSnapshot s;

		check_transport(d, target);
		pcfg_pool_snapshot(target->pool, &s);
		put_step(d, "pooler", true, !s.pooled ? "none seen" :
				 "one stands in front: the process that answers is not the one that was announced. If it pools transactions, set pooler to transaction");
	}
	return true;
}

static void
check_limits(Diagnosis *d)
{
	char	   *look[LOOK_COLUMNS];
	PcfgTarget *target;
	PcfgPoolSnapshot s;
	int			room;
	int			limit;

	if (pcfg_inquire(d->target, look_query, LOOK_COLUMNS, look, NULL) != NULL)
		return;
	target = pcfg_target_open(d->target);
	if (target->pool == PCFG_NONE)
		return;
	pcfg_pool_snapshot(target->pool, &s);
	limit = pcfg_policy_limit(&s.policy);
	room = atoi(look[0]) - (look[1] != NULL ? atoi(look[1]) : 0) -
		Max(atoi(look[2]) - (s.nopen - s.nconnecting), 0);
	put_step(d, "limits", limit <= room,
			 psprintf("the pool may open %d connections, the remote has room for %d (max_connections %s)",
					  limit, Max(room, 0), look[0]));
}

/*
 * check_target(target text) returns table(step text, ok boolean, detail text)
 */
Datum
pcfg_sql_check_target(PG_FUNCTION_ARGS)
{
	Diagnosis	d;
	char	   *worker;

	open_diagnosis(&d, fcinfo);
	d.rsinfo = pcfg_begin_result(fcinfo, 3);
	put_step(&d, "target", true, psprintf("server %s", quote_identifier(d.target)));
	if (pcfg_server_aclcheck(d.server, GetUserId()) != ACLCHECK_OK)
	{
		put_step(&d, "rights", false, psprintf("role %s has no USAGE on the server: GRANT USAGE ON FOREIGN SERVER %s TO %s;",
											   role_name(GetUserId()), quote_identifier(d.target),
											   quote_identifier(role_name(GetUserId()))));
		return (Datum) 0;
	}
	put_step(&d, "rights", true, psprintf("role %s has USAGE", role_name(GetUserId())));
	if (!check_mapping(&d))
		return (Datum) 0;
	worker = worker_trouble();
	put_step(&d, "worker", worker == NULL, worker != NULL ? worker : "runs");
	if (pcfg_steer_is_paused(MyDatabaseId, d.server))
	{
		put_step(&d, "paused", false, psprintf("go on with SELECT pool_config.resume(%s);", d.literal));
		return (Datum) 0;
	}
	if (check_call(&d))
		check_limits(&d);
	return (Datum) 0;
}
