/*-------------------------------------------------------------------------
 *
 * shared/steering.c
 *	  What the owner of a target does to its pools.
 *
 * Floor 7; backends; no waiting, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"
#include "shared/records.h"
#include "shared/steering.h"

/* Lock of the pool or the directory held. */
static bool
is_of(const PcfgPool *pool, Oid database, Oid server)
{
	return pg_atomic_read_u32(&((PcfgPool *) pool)->serial) != 0 &&
		pool->key.database == database &&
		(!OidIsValid(server) || pool->key.server == server);
}

void
pcfg_steer_pause(Oid database, Oid server, bool paused)
{
	int			i;

	/* pools that are made from here on ask the record */
	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	pcfg_record_get(database, server)->paused = paused;
	LWLockRelease(&pcfg_shared->directory_lock);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes	wakes = {0};

		/* what the record says by now: somebody else may steer, too */
		LWLockAcquire(&pcfg_shared->directory_lock, LW_SHARED);
		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		if (is_of(pool, database, server))
		{
			PcfgRecord *record = pcfg_record_find(database, server);

			pool->paused = record != NULL && record->paused;
			if (pool->paused)
				pcfg_idle_condemn_all(pool, PCFG_CLOSE_PAUSE, &wakes);
			pcfg_dispatch(pool, &wakes);
		}
		LWLockRelease(&pcfg_shared->directory_lock);
		pcfg_unlock_and_wake(pool, &wakes);
	}
}

bool
pcfg_steer_is_paused(Oid database, Oid server)
{
	PcfgRecord *record;
	bool		paused;

	LWLockAcquire(&pcfg_shared->directory_lock, LW_SHARED);
	record = pcfg_record_find(database, server);
	paused = record != NULL && record->paused;
	LWLockRelease(&pcfg_shared->directory_lock);
	return paused;
}

int
pcfg_steer_count_open(Oid database, Oid server)
{
	int			n = 0;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		LWLockAcquire(&pool->lock, LW_SHARED);
		if (is_of(pool, database, server))
			n += pool->nopen;
		LWLockRelease(&pool->lock);
	}
	return n;
}

/*
 * Condemns one connection; kill: also for him who uses it.  Lock held.
 * False when there is none in that slot.
 */
static bool
end_connection(PcfgPool *pool, int index, PcfgCloseReason reason, bool kill,
			   PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgSlotState state = pcfg_word_state(pg_atomic_read_u64(&slot->word));

	if (slot->pool != pcfg_pool_index(pool) ||
		(state != PCFG_SLOT_IDLE && state != PCFG_SLOT_LEASED))
		return false;
	(void) pg_atomic_fetch_or_u64(&slot->word, PCFG_WORD_CONDEMN);
	if (slot->reason == PCFG_CLOSE_UNKNOWN || kill)
		slot->reason = reason;
	if (state == PCFG_SLOT_IDLE)
		pcfg_idle_condemn(pool, index, reason, wakes);
	else if (kill)
	{
		pg_atomic_write_u32(&slot->kill, 1);
		wakes->worker = true;
	}
	return true;
}

/* As above for one slot, or all (PCFG_NONE), of a target. */
static int
end_connections(Oid database, Oid server, int only, PcfgCloseReason reason, bool kill)
{
	int			n = 0;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes	wakes = {0};
		int			slot;

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		for (slot = 0; slot < pcfg_shared->nslots && is_of(pool, database, server); slot++)
		{
			if (only == PCFG_NONE || only == slot)
				n += end_connection(pool, slot, reason, kill, &wakes);
		}
		pcfg_unlock_and_wake(pool, &wakes);
	}
	return n;
}

int
pcfg_steer_recycle(Oid database, Oid server)
{
	pcfg_steer_forgive(database, server);
	return end_connections(database, server, PCFG_NONE, PCFG_CLOSE_RECYCLE, false);
}

void
pcfg_steer_recycle_pool(int index, uint32 serial)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes	wakes = {0};
	int			slot;

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	for (slot = 0; slot < pcfg_shared->nslots &&
		 pg_atomic_read_u32(&pool->serial) == serial; slot++)
		(void) end_connection(pool, slot, PCFG_CLOSE_RECYCLE, false, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
}

int
pcfg_steer_disconnect(Oid database, Oid server, int slot)
{
	return end_connections(database, server, slot, PCFG_CLOSE_DISCONNECT, true);
}

int
pcfg_steer_prewarm(int index, uint32 serial, int n, PcfgCause *cause)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes	wakes = {0};
	int			open = 0;

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) == serial)
	{
		pcfg_pool_dial_to(pool, n, &wakes);
		open = pool->nopen - pool->nconnecting;
		*cause = pool->cause;
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return open;
}

void
pcfg_steer_forgive(Oid database, Oid server)
{
	int			i;

	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	pcfg_failure_forget_all(database, server);
	LWLockRelease(&pcfg_shared->directory_lock);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes	wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		if (is_of(pool, database, server))
		{
			memset(&pool->cause, 0, sizeof(pool->cause));
			pcfg_dispatch(pool, &wakes);
		}
		pcfg_unlock_and_wake(pool, &wakes);
	}
}

void
pcfg_steer_forget(Oid database, Oid server)
{
	int			i;

	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	pcfg_failure_forget_all(database, server);
	for (i = 0; i < pcfg_shared->nrecords; i++)
	{
		PcfgRecord *record = &pcfg_records[i];

		/* pools that still empty themselves would make it again */
		if (record->database == database && (!OidIsValid(server) || record->server == server))
			record->paused = false;
	}
	LWLockRelease(&pcfg_shared->directory_lock);
}

/* What the pool has counted so far; its lock held. */
static void
add_pool(PcfgTargetStats *out, const PcfgPool *pool)
{
	int			i;

	pcfg_stats_add(&out->stats, &pool->stats);
	if (pool->last_error_at > out->last_error_at)
	{
		out->last_error_at = pool->last_error_at;
		memcpy(out->last_error, pool->last_error, sizeof(out->last_error));
	}
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (pcfg_slots[i].pool == pcfg_pool_index(pool))
		{
			out->stats.bytes_in += pcfg_slots[i].bytes_received;
			out->stats.bytes_out += pcfg_slots[i].bytes_sent;
		}
	}
}

bool
pcfg_steer_stats(int index, Oid database, PcfgTargetStats *out)
{
	const PcfgRecord *record = &pcfg_records[index];
	bool		found;
	int			i;

	/* no pool ends while we hold this: nothing is counted twice, or not */
	LWLockAcquire(&pcfg_shared->directory_lock, LW_SHARED);
	found = OidIsValid(database) && record->database == database;
	if (found)
	{
		out->server = record->server;
		out->stats = record->stats;
		out->last_error_at = record->last_error_at;
		memcpy(out->last_error, record->last_error, sizeof(out->last_error));
	}
	for (i = 0; i < pcfg_shared->npools && found; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (!is_of(pool, database, out->server))
			continue;
		LWLockAcquire(&pool->lock, LW_SHARED);
		add_pool(out, pool);
		LWLockRelease(&pool->lock);
	}
	LWLockRelease(&pcfg_shared->directory_lock);
	return found;
}

void
pcfg_steer_stats_reset(Oid database, Oid server)
{
	PcfgRecord *record;
	int			i;

	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	record = pcfg_record_find(database, server);
	if (record != NULL)
	{
		memset(&record->stats, 0, sizeof(record->stats));
		record->last_error_at = 0;
	}
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (!is_of(pool, database, server))
			continue;
		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		memset(&pool->stats, 0, sizeof(pool->stats));
		pool->last_error_at = 0;
		LWLockRelease(&pool->lock);
	}
	LWLockRelease(&pcfg_shared->directory_lock);
}
