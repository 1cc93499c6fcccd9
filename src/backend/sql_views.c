/*-------------------------------------------------------------------------
 *
 * backend/sql_views.c
 *	  The functions behind the views pools, connections, waiters, workers and
 *	  stats.
 *
 * Floor 11; backends; reads shared memory only: no view of ours dials.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/htup_details.h"
#include "backend/sight.h"
#include "backend/version.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "shared/dispatch.h"
#include "shared/steering.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PCFG_SQL_FUNCTION(pcfg_sql_pools);
PCFG_SQL_FUNCTION(pcfg_sql_connections);
PCFG_SQL_FUNCTION(pcfg_sql_waiters);
PCFG_SQL_FUNCTION(pcfg_sql_workers);
PCFG_SQL_FUNCTION(pcfg_sql_stats);
PCFG_SQL_FUNCTION(pcfg_sql_histograms);

/* A moment of the monotonic clock as a timestamp. */
static TimestampTz
wall_time(PcfgTime moment)
{
	return GetCurrentTimestamp() - (pcfg_now() - moment);
}

static Datum
microseconds_interval(PcfgTime us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = Max(us, 0);
	return IntervalPGetDatum(interval);
}

static Datum
mapping_name(Oid user)
{
	char	   *name = OidIsValid(user) ? GetUserNameFromId(user, true) : "public";

	return CStringGetTextDatum(name != NULL ? name : "-");
}

static const char *
pool_state(const PcfgPoolSnapshot *s)
{
	if (s->retired)
		return "retired";
	if (s->paused)
		return "paused";
	if (s->nopen == s->nconnecting && s->cause.failures > 0)
		return "down";
	if (s->nwait > 0 && s->nopen - s->nconnecting >= pcfg_policy_limit(&s->policy))
		return "full";
	return "ok";
}

/*
 * pools() returns setof record: one row a pool of this database.
 */
Datum
pcfg_sql_pools(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	int			i;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 11);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		Datum		values[11];
		bool		nulls[11] = {0};
		PcfgPoolSnapshot s;
		int64		overflow;
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		pcfg_pool_snapshot(i, &s);
		if (s.serial == 0 || pcfg_sight_of(s.key.database, s.key.server) == PCFG_SIGHT_NOTHING)
			continue;
		overflow = s.policy.value[PCFG_MAX_OVERFLOW];
		values[n++] = CStringGetTextDatum(s.target);
		values[n++] = mapping_name(s.mapping_user);
		values[n++] = Int32GetDatum((int32) s.policy.value[PCFG_POOL_SIZE]);
		values[n++] = Int32GetDatum((int32) overflow);
		values[n++] = Int32GetDatum(s.nopen - s.nconnecting);
		values[n++] = Int32GetDatum(s.nidle);
		values[n++] = Int32GetDatum(s.nopen - s.nconnecting - s.nidle);
		values[n++] = Int32GetDatum(s.nconnecting);
		values[n++] = Int32GetDatum(s.nwait);
		nulls[n] = s.oldest_wait == 0;
		/* in tenths of a second: the view is to fit on a terminal */
		values[n] = nulls[n] ? (Datum) 0 :
			microseconds_interval((pcfg_now() - s.oldest_wait) / 100000 * 100000);
		n++;
		values[n++] = CStringGetTextDatum(pool_state(&s));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The process that holds a slot, by the owner field of its word; 0 = none. */
static int
owner_pid(uint64 word)
{
	uint32		owner = pcfg_word_owner(word);

	if (pcfg_word_state(word) != PCFG_SLOT_LEASED || owner == 0 ||
		owner > pcfg_shared->nwaiters)
		return 0;
	return ProcGlobal->allProcs[owner - 1].pid;
}

/* One row of the view; false when the slot has none to show. */
static bool
connection_row(int index, Datum *values, bool *nulls)
{
	static const char *const held_by[] = {"statement", "acquire", "transaction"};
	PcfgSlot   *slot = &pcfg_slots[index];
	uint64		word = pg_atomic_read_u64(&slot->word);
	PcfgSlotState state = pcfg_word_state(word);
	bool		live = state == PCFG_SLOT_IDLE || state == PCFG_SLOT_LEASED;
	int			pool = slot->pool;
	int			pid = owner_pid(word);
	PcfgPoolSnapshot s;
	PcfgSight	sight;
	int			n = 0;

	if (state == PCFG_SLOT_EMPTY || pool == PCFG_NONE)
		return false;
	pcfg_pool_snapshot(pool, &s);
	if (s.serial == 0 || (sight = pcfg_sight_of(s.key.database, s.key.server)) == PCFG_SIGHT_NOTHING)
		return false;

	values[n++] = Int32GetDatum(index);
	values[n++] = CStringGetTextDatum(s.target);
	values[n++] = mapping_name(s.mapping_user);
	values[n++] = CStringGetTextDatum(pcfg_slot_state_name(state));
	nulls[n] = !live;
	values[n++] = CStringGetTextDatum(slot->relay ? "relay" : "direct");
	nulls[n] = !live;
	values[n++] = BoolGetDatum(slot->relay);
	nulls[n] = !live || slot->remote_pid == 0;
	values[n++] = Int32GetDatum(slot->remote_pid);
	nulls[n] = pid == 0 || (sight != PCFG_SIGHT_ALL && pid != MyProcPid);
	values[n++] = Int32GetDatum(pid);
	nulls[n] = state != PCFG_SLOT_LEASED;
	values[n++] = CStringGetTextDatum(held_by[Min(slot->held, PCFG_HELD_TRANSACTION)]);
	nulls[n] = state != PCFG_SLOT_LEASED;
	values[n++] = TimestampTzGetDatum(wall_time(slot->leased_at));
	nulls[n] = !live;
	values[n++] = microseconds_interval(pcfg_now() - slot->connected_at);
	nulls[n] = state != PCFG_SLOT_IDLE;
	values[n++] = microseconds_interval(pcfg_now() - slot->returned_at);
	nulls[n] = !live;
	values[n++] = Int64GetDatum((int64) slot->uses);
	nulls[n] = !live;
	values[n++] = Int64GetDatum((int64) slot->bytes_received);
	nulls[n] = !live;
	values[n++] = Int64GetDatum((int64) slot->bytes_sent);
	return true;
}

/*
 * connections() returns setof record: one row a slot in use by a pool of
 * this database.
 */
Datum
pcfg_sql_connections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	int			i;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 15);
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		Datum		values[15];
		bool		nulls[15] = {0};

		CHECK_FOR_INTERRUPTS();
		if (connection_row(i, values, nulls))
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * waiters() returns setof record: one row a session that waits for a
 * connection of this database's pools.
 */
Datum
pcfg_sql_waiters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	int			i;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 6);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgQueuePlace *queue = palloc(pcfg_shared->nwaiters * sizeof(PcfgQueuePlace));
		PcfgPoolSnapshot s;
		int			n = pcfg_pool_queue(i, &s, queue, pcfg_shared->nwaiters);
		PcfgSight	sight = n > 0 ? pcfg_sight_of(s.key.database, s.key.server) : PCFG_SIGHT_NOTHING;
		int			place;

		CHECK_FOR_INTERRUPTS();
		for (place = 0; place < n && sight != PCFG_SIGHT_NOTHING; place++)
		{
			Datum		values[6];
			bool		nulls[6] = {0};
			int			pid = queue[place].pid;

			nulls[0] = sight != PCFG_SIGHT_ALL && pid != MyProcPid;
			values[0] = Int32GetDatum(pid);
			values[1] = CStringGetTextDatum(s.target);
			values[2] = mapping_name(s.mapping_user);
			values[3] = Int32GetDatum(place + 1);
			values[4] = TimestampTzGetDatum(wall_time(queue[place].since));
			values[5] = microseconds_interval(pcfg_now() - queue[place].since);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
		pfree(queue);
	}
	return (Datum) 0;
}

/* Slots of the server that are in use. */
static int
count_slots(void)
{
	int			used = 0;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (pcfg_word_state(pg_atomic_read_u64(&pcfg_slots[i].word)) != PCFG_SLOT_EMPTY)
			used++;
	}
	return used;
}

/* The time in milliseconds that all but one of "of" turns of the worker's loop keep to. */
static double
turns_percentile(uint64 of)
{
	uint64		above = 0;
	uint64		total = 0;
	int			i;

	for (i = 0; i < PCFG_TURN_BUCKETS; i++)
		total += pcfg_shared->turns[i];
	for (i = PCFG_TURN_BUCKETS - 1; i > 4; i--)
	{
		above += pcfg_shared->turns[i];
		if (above > total / of)
			break;
	}
	/* the upper end of the bucket */
	i++;
	return i < 4 ? i / 1000.0 : (double) ((uint64) (4 + i % 4) << (i / 4 - 1)) / 1000.0;
}

/*
 * workers() returns setof record: one row while the worker runs, for
 * pg_monitor.
 */
Datum
pcfg_sql_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	uint32		pid;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 12);
	pid = pg_atomic_read_u32(&pcfg_shared->worker_pid);
	if (pid != 0 && has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
	{
		Datum		values[12];
		bool		nulls[12] = {0};
		char		last_error[PCFG_CAUSE_LEN];
		int			n = 0;

		strlcpy(last_error, pcfg_shared->worker_error, sizeof(last_error));
		values[n++] = Int32GetDatum((int32) pid);
		values[n++] = TimestampTzGetDatum(wall_time((PcfgTime) pg_atomic_read_u64(&pcfg_shared->worker_started)));
		values[n++] = TimestampTzGetDatum(wall_time((PcfgTime) pg_atomic_read_u64(&pcfg_shared->worker_beat)));
		values[n++] = Int32GetDatum((int32) pg_atomic_read_u32(&pcfg_shared->worker_life));
		values[n++] = Int32GetDatum(count_slots());
		values[n++] = Int32GetDatum(pcfg_shared->nslots);
		values[n++] = Int32GetDatum((int32) pg_atomic_read_u32(&pcfg_shared->worker_fds));
		values[n++] = Int32GetDatum((int32) pg_atomic_read_u32(&pcfg_shared->worker_fd_limit));
		values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&pcfg_shared->rescued));
		values[n++] = Float8GetDatum(turns_percentile(1000));
		values[n++] = Float8GetDatum(turns_percentile(PG_UINT64_MAX));
		nulls[n] = last_error[0] == '\0';
		values[n++] = CStringGetTextDatum(last_error);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The counts of closes by reason, as an object; those that are 0 left out. */
static Datum
closes_json(const PcfgStats *stats)
{
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (i = 0; i < PCFG_CLOSE_REASONS; i++)
	{
		if (stats->closes[i] != 0)
			appendStringInfo(&text, "%s\"%s\": " UINT64_FORMAT, text.len > 1 ? ", " : "",
							 pcfg_close_reason_name(i), stats->closes[i]);
	}
	appendStringInfoChar(&text, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

static int64
count_closes(const PcfgStats *stats)
{
	int64		n = 0;
	int			i;

	for (i = 0; i < PCFG_CLOSE_REASONS; i++)
		n += (int64) stats->closes[i];
	return n;
}

static Datum
seconds(uint64 us)
{
	return Float8GetDatum((double) us / PCFG_SECOND);
}

/*
 * The counts of the index-th target, if it is one of this database that the
 * current user may see; *name is the target's.
 */
static bool
visible_stats(int index, PcfgTargetStats *stats, char **name)
{
	ForeignServer *server;

	if (!pcfg_steer_stats(index, MyDatabaseId, stats))
		return false;
	if (pcfg_sight_of(MyDatabaseId, stats->server) == PCFG_SIGHT_NOTHING)
		return false;
	server = GetForeignServerExtended(stats->server, FSV_MISSING_OK);
	if (server == NULL)
		return false;
	*name = server->servername;
	return true;
}

/*
 * stats() returns setof record: one row a target of this database that was
 * ever used.
 */
Datum
pcfg_sql_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	PcfgTargetStats *t = palloc(sizeof(*t));
	int			i;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 17);
	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		Datum		values[17];
		bool		nulls[17] = {0};
		const PcfgStats *stats = &t->stats;
		char	   *name;
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		if (!visible_stats(i, t, &name))
			continue;
		values[n++] = CStringGetTextDatum(name);
		values[n++] = Int64GetDatum((int64) stats->leases);
		values[n++] = Int64GetDatum((int64) stats->queued);
		values[n++] = Int64GetDatum((int64) stats->timeouts);
		values[n++] = Int64GetDatum((int64) stats->refused);
		values[n++] = Int64GetDatum((int64) stats->connects);
		values[n++] = Int64GetDatum((int64) stats->connect_failures);
		values[n++] = Int64GetDatum((int64) stats->pings);
		values[n++] = Int64GetDatum(count_closes(stats));
		values[n++] = closes_json(stats);
		values[n++] = Int64GetDatum((int64) stats->bytes_in);
		values[n++] = Int64GetDatum((int64) stats->bytes_out);
		values[n++] = seconds(stats->wait.sum);
		values[n++] = seconds(stats->connect.sum);
		values[n++] = seconds(stats->statement.sum);
		nulls[n] = nulls[n + 1] = t->last_error_at == 0;
		values[n++] = CStringGetTextDatum(t->last_error);
		values[n++] = TimestampTzGetDatum(wall_time(t->last_error_at));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The rows of one histogram: counts up to each bound. */
static void
put_histogram(ReturnSetInfo *rsinfo, const char *target, const char *what,
			  const PcfgHistogram *histogram)
{
	uint64		total = 0;
	int			i;

	for (i = 0; i < PCFG_BUCKETS; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {0};

		total += histogram->count[i];
		values[0] = CStringGetTextDatum(target);
		values[1] = CStringGetTextDatum(what);
		values[2] = i < PCFG_BUCKETS - 1 ? seconds((uint64) pcfg_bucket_bounds[i]) :
			Float8GetDatum(get_float8_infinity());
		values[3] = Int64GetDatum((int64) total);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * histograms() returns setof record: how long waits, connects and uses took.
 */
Datum
pcfg_sql_histograms(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	PcfgTargetStats *t = palloc(sizeof(*t));
	int			i;

	pcfg_require_preload();
	rsinfo = pcfg_begin_result(fcinfo, 4);
	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		char	   *name;

		CHECK_FOR_INTERRUPTS();
		if (!visible_stats(i, t, &name))
			continue;
		put_histogram(rsinfo, name, "wait", &t->stats.wait);
		put_histogram(rsinfo, name, "connect", &t->stats.connect);
		put_histogram(rsinfo, name, "statement", &t->stats.statement);
	}
	return (Datum) 0;
}
