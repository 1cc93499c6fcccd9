/*-------------------------------------------------------------------------
 *
 * shared/records.c
 *	  What outlives pools: records of targets, failures that last, families.
 *
 * Floor 3; worker and backends; no waiting, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/records.h"

PcfgRecord *
pcfg_record_find(Oid database, Oid server)
{
	int			i;

	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		PcfgRecord *record = &pcfg_records[i];

		if (record->database == database && record->server == server)
			return record;
	}
	return NULL;
}

/* Whether some pool belongs to the record's target. */
static bool
has_pools(const PcfgRecord *record)
{
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (pg_atomic_read_u32(&pool->serial) != 0 &&
			pool->key.database == record->database &&
			pool->key.server == record->server)
			return true;
	}
	return false;
}

PcfgRecord *
pcfg_record_get(Oid database, Oid server)
{
	PcfgRecord *record = pcfg_record_find(database, server);
	PcfgRecord *best = NULL;
	int			i;

	if (record != NULL)
		return record;
	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		record = &pcfg_records[i];
		if (!OidIsValid(record->database))
		{
			best = record;
			break;
		}
		if (has_pools(record))
			continue;
		/* what is paused is remembered as long as possible */
		if (best == NULL || (best->paused && !record->paused) ||
			(best->paused == record->paused && record->used_at < best->used_at))
			best = record;
	}
	/* there are more records than pools, so one was found */
	if (best == NULL)
		best = &pcfg_records[0];
	memset(best, 0, sizeof(*best));
	best->database = database;
	best->server = server;
	best->used_at = pcfg_now();
	return best;
}

void
pcfg_record_take(PcfgPool *pool)
{
	PcfgRecord *record = pcfg_record_get(pool->key.database, pool->key.server);

	pcfg_stats_add(&record->stats, &pool->stats);
	record->used_at = pcfg_now();
	if (pool->last_error_at > record->last_error_at)
	{
		record->last_error_at = pool->last_error_at;
		memcpy(record->last_error, pool->last_error, sizeof(record->last_error));
	}
	memset(&pool->stats, 0, sizeof(pool->stats));
	pool->last_error_at = 0;
}

int
pcfg_family_join(const unsigned char *id)
{
	int			free_place = PCFG_NONE;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		if (pcfg_families[i].npools == 0)
			free_place = i;
		else if (memcmp(pcfg_families[i].id, id, PCFG_ADDRESS_ID_LEN) == 0)
			break;
	}
	if (i == pcfg_shared->npools)
	{
		/* each family has a pool, and one pool has no family yet: ours */
		Assert(free_place != PCFG_NONE);
		i = free_place;
		memcpy(pcfg_families[i].id, id, PCFG_ADDRESS_ID_LEN);
	}
	pcfg_families[i].npools++;
	return i;
}

void
pcfg_family_leave(int family)
{
	pcfg_families[family].npools--;
}

static PcfgFailure *
find_failure(Oid database, Oid server, Oid mapping_user)
{
	int			i;

	for (i = 0; i < pcfg_shared->nfailures; i++)
	{
		PcfgFailure *f = &pcfg_failures[i];

		if (f->database == database && f->server == server &&
			f->mapping_user == mapping_user)
			return f;
	}
	return NULL;
}

bool
pcfg_failure_recall(Oid database, Oid server, Oid mapping_user, PcfgCause *cause)
{
	PcfgFailure *f = find_failure(database, server, mapping_user);

	if (f == NULL || pcfg_now() >= f->retry_at)
		return false;
	memcpy(cause->sqlstate, f->sqlstate, sizeof(cause->sqlstate));
	memcpy(cause->message, f->message, sizeof(cause->message));
	cause->failures = f->failures;
	cause->retry_at = f->retry_at;
	cause->lasting = true;
	return true;
}

/* Without a free place the one whose time comes first is given up. */
void
pcfg_failure_keep(const PcfgPool *pool)
{
	PcfgFailure *f = find_failure(pool->key.database, pool->key.server,
								  pool->mapping_user);
	int			i;

	for (i = 0; i < pcfg_shared->nfailures && f == NULL; i++)
	{
		if (!OidIsValid(pcfg_failures[i].database))
			f = &pcfg_failures[i];
	}
	if (f == NULL)
	{
		f = &pcfg_failures[0];
		for (i = 1; i < pcfg_shared->nfailures; i++)
		{
			if (pcfg_failures[i].retry_at < f->retry_at)
				f = &pcfg_failures[i];
		}
	}
	f->database = pool->key.database;
	f->server = pool->key.server;
	f->mapping_user = pool->mapping_user;
	f->retry_at = pool->cause.retry_at;
	f->failures = pool->cause.failures;
	memcpy(f->sqlstate, pool->cause.sqlstate, sizeof(f->sqlstate));
	memcpy(f->message, pool->cause.message, sizeof(f->message));
}

void
pcfg_failure_forget(Oid database, Oid server, Oid mapping_user)
{
	PcfgFailure *f = find_failure(database, server, mapping_user);

	if (f != NULL)
		memset(f, 0, sizeof(*f));
}

void
pcfg_failure_forget_all(Oid database, Oid server)
{
	int			i;

	for (i = 0; i < pcfg_shared->nfailures; i++)
	{
		PcfgFailure *f = &pcfg_failures[i];

		if (f->database == database && (!OidIsValid(server) || f->server == server))
			memset(f, 0, sizeof(*f));
	}
}
