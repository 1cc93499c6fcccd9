/*-------------------------------------------------------------------------
 *
 * shared/pool.c
 *	  The directory of pools: find, make, describe, retire.
 *
 * Floor 6; worker and backends; no waiting, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"
#include "shared/pool.h"
#include "shared/records.h"

/* The index of a live pool with that key; directory lock held. */
static int
find_by_key(const PcfgPoolKey *key)
{
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (pg_atomic_read_u32(&pool->serial) != 0 && !pool->retired &&
			pool->key.server == key->server &&
			pool->key.mapping == key->mapping &&
			pool->key.database == key->database &&
			memcmp(pool->key.fingerprint, key->fingerprint, PCFG_FINGERPRINT_LEN) == 0)
			return i;
	}
	return PCFG_NONE;
}

/*
 * A place for a new pool: a free one, or that of a pool that nobody uses and
 * that has no connection.  Else the pool that has been unused longest is
 * retired, so that a place will be free soon; one at a time, for who waits asks
 * often.  Directory lock held.
 */
static int
find_place(void)
{
	PcfgPool   *oldest = NULL;
	int			empty = PCFG_NONE;
	bool		one_is_coming = false;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (pg_atomic_read_u32(&pool->serial) == 0)
			return i;
		LWLockAcquire(&pool->lock, LW_SHARED);
		if (pg_atomic_read_u32(&pool->serial) == pcfg_shared->making_place &&
			pool->nopen > 0 && pool->retired)
			one_is_coming = true;
		if (pool->nopen == pool->nidle && pool->wait_head == PCFG_NONE)
		{
			if (pool->nopen == 0 && (empty == PCFG_NONE ||
									 pool->last_used < pcfg_pools[empty].last_used))
				empty = i;
			if (oldest == NULL || pool->last_used < oldest->last_used)
				oldest = pool;
		}
		LWLockRelease(&pool->lock);
	}
	if (empty == PCFG_NONE && oldest != NULL && !one_is_coming)
	{
		PcfgWakes	wakes = {0};

		pcfg_shared->making_place = pg_atomic_read_u32(&oldest->serial);
		LWLockAcquire(&oldest->lock, LW_EXCLUSIVE);
		oldest->retired = true;
		pcfg_idle_condemn_all(oldest, PCFG_CLOSE_RETIRED, &wakes);
		pcfg_dispatch(oldest, &wakes);
		pcfg_unlock_and_wake(oldest, &wakes);
	}
	return empty;
}

/*
 * The policy that a pool works by: the target's own options, and for the
 * rest what the worker has read in postgresql.conf, for sessions read it
 * later, or not at all while a statement of theirs runs.
 */
static void
merge_policy(PcfgPolicy *policy, const PcfgPolicy *wanted)
{
	int			i;

	policy->own = wanted->own;
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		if ((wanted->own & (1U << i)) || !pcfg_shared->defaults_known ||
			pcfg_settings[i].session)
			policy->value[i] = wanted->value[i];
		else
			policy->value[i] = pcfg_shared->defaults.value[i];
	}
}

/* Ends the life of a pool in that place, if there was one; both locks held. */
static void
end_pool(PcfgPool *pool)
{
	if (pg_atomic_read_u32(&pool->serial) == 0)
		return;
	pcfg_starving_set(pool, false);
	pcfg_record_take(pool);
	pcfg_family_leave(pool->family);
	pool->retired = false;
	pg_atomic_write_u32(&pool->serial, 0);
}

/* Fills a free or unused place; directory lock held. */
static bool
make_pool(PcfgPool *pool, const PcfgPoolKey *key, const char *target,
		  Oid mapping_user, int encoding, const PcfgPolicy *policy)
{
	bool		ok;

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	ok = pool->nopen == 0 && pool->wait_head == PCFG_NONE;
	if (ok)
	{
		end_pool(pool);
		if (++pcfg_shared->last_serial == 0)
			pcfg_shared->last_serial = 1;
		pool->key = *key;
		strlcpy(pool->target, target, sizeof(pool->target));
		pool->mapping_user = mapping_user;
		pool->encoding = encoding;
		pool->family = pcfg_family_join(key->address_id);
		merge_policy(&pool->policy, policy);
		pool->paused = pcfg_record_get(key->database, key->server)->paused;
		pool->nconnecting = 0;
		memset(&pool->cause, 0, sizeof(pool->cause));
		(void) pcfg_failure_recall(key->database, key->server, mapping_user, &pool->cause);
		pool->proven = pool->pooled = false;
		pool->stillborn = 0;
		pool->suspect_since = 0;
		pool->last_used = pcfg_now();
		pg_atomic_write_u32(&pool->credentials_life, 0);
		pg_atomic_write_u32(&pool->serial, pcfg_shared->last_serial);
	}
	LWLockRelease(&pool->lock);
	return ok;
}

int
pcfg_pool_find(const PcfgPoolKey *key, const char *target, Oid mapping_user,
			   int encoding, const PcfgPolicy *policy, uint32 *serial)
{
	int			index;

	LWLockAcquire(&pcfg_shared->directory_lock, LW_SHARED);
	index = find_by_key(key);
	if (index != PCFG_NONE)
		*serial = pg_atomic_read_u32(&pcfg_pools[index].serial);
	LWLockRelease(&pcfg_shared->directory_lock);
	if (index != PCFG_NONE)
	{
		pcfg_pool_set_policy(index, *serial, policy);
		return index;
	}

	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	index = find_by_key(key);
	if (index == PCFG_NONE)
	{
		index = find_place();
		if (index != PCFG_NONE &&
			!make_pool(&pcfg_pools[index], key, target, mapping_user, encoding, policy))
			index = PCFG_NONE;
	}
	if (index != PCFG_NONE)
		*serial = pg_atomic_read_u32(&pcfg_pools[index].serial);
	LWLockRelease(&pcfg_shared->directory_lock);
	return index;
}

bool
pcfg_pool_is_current(int pool, uint32 serial)
{
	return pool != PCFG_NONE &&
		pg_atomic_read_u32(&pcfg_pools[pool].serial) == serial &&
		!pcfg_pools[pool].retired;
}

/* Whether a pool's own options are not those, as far as a pool works by them. */
static bool
options_differ(const PcfgPolicy *have, const PcfgPolicy *want)
{
	int			i;

	if (have->own != want->own)
		return true;
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		if ((want->own & (1U << i)) && have->value[i] != want->value[i] &&
			!pcfg_settings[i].session)
			return true;
	}
	return false;
}

void
pcfg_pool_set_policy(int index, uint32 serial, const PcfgPolicy *policy)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes		wakes = {0};

	/* a torn read only leads to the comparison under the lock */
	if (!options_differ(&pool->policy, policy))
		return;
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) == serial)
	{
		merge_policy(&pool->policy, policy);
		pcfg_pool_trim(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
	pcfg_dispatch_starving();
}

void
pcfg_pool_set_defaults(const PcfgPolicy *defaults)
{
	int			i;

	/* pools that are made from here on get the new ones */
	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	pcfg_shared->defaults = *defaults;
	pcfg_shared->defaults_known = true;
	LWLockRelease(&pcfg_shared->directory_lock);
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes	wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		if (pg_atomic_read_u32(&pool->serial) != 0)
		{
			merge_policy(&pool->policy, &pool->policy);
			pcfg_pool_trim(pool, &wakes);
		}
		pcfg_unlock_and_wake(pool, &wakes);
	}
	pcfg_dispatch_starving();
}

/* Lock held. */
static void
take_snapshot(PcfgPool *pool, PcfgPoolSnapshot *s)
{
	s->serial = pg_atomic_read_u32(&pool->serial);
	s->key = pool->key;
	memcpy(s->target, pool->target, sizeof(s->target));
	s->mapping_user = pool->mapping_user;
	s->policy = pool->policy;
	s->retired = pool->retired;
	s->paused = pool->paused;
	s->pooled = pool->pooled;
	s->starving = pool->starving_since != 0;
	s->nopen = pool->nopen;
	s->nconnecting = pool->nconnecting;
	s->nidle = pool->nidle;
	s->nwait = (int) pg_atomic_read_u32(&pool->nwait);
	s->oldest_wait = pool->wait_head == PCFG_NONE ? 0 :
		pcfg_waiters[pool->wait_head].since;
	s->cause = pool->cause;
}

void
pcfg_pool_snapshot(int index, PcfgPoolSnapshot *s)
{
	PcfgPool   *pool = &pcfg_pools[index];

	LWLockAcquire(&pool->lock, LW_SHARED);
	take_snapshot(pool, s);
	LWLockRelease(&pool->lock);
}

int
pcfg_pool_queue(int index, PcfgPoolSnapshot *s, PcfgQueuePlace *queue, int max)
{
	PcfgPool   *pool = &pcfg_pools[index];
	int			n = 0;
	int			procno;

	if (pg_atomic_read_u32(&pool->nwait) == 0)
		return 0;
	LWLockAcquire(&pool->lock, LW_SHARED);
	take_snapshot(pool, s);
	for (procno = pool->wait_head; procno != PCFG_NONE && n < max;
		 procno = pcfg_waiters[procno].next)
	{
		queue[n].pid = pcfg_waiters[procno].pid;
		queue[n++].since = pcfg_waiters[procno].since;
	}
	LWLockRelease(&pool->lock);
	return n;
}

void
pcfg_pool_try_free(int index)
{
	PcfgPool   *pool = &pcfg_pools[index];

	if (pg_atomic_read_u32(&pool->serial) == 0 || !pool->retired)
		return;
	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pool->retired && pool->nopen == 0 && pool->wait_head == PCFG_NONE)
		end_pool(pool);
	LWLockRelease(&pool->lock);
	LWLockRelease(&pcfg_shared->directory_lock);
}

void
pcfg_pool_retire(Oid database, Oid server, Oid mapping)
{
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes		wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		if (pg_atomic_read_u32(&pool->serial) != 0 &&
			(!OidIsValid(database) || pool->key.database == database) &&
			(!OidIsValid(server) || pool->key.server == server) &&
			(!OidIsValid(mapping) || pool->key.mapping == mapping))
		{
			pool->retired = true;
			pcfg_idle_condemn_all(pool, PCFG_CLOSE_RETIRED, &wakes);
			pcfg_dispatch(pool, &wakes);
			wakes.worker = true;
		}
		pcfg_unlock_and_wake(pool, &wakes);
	}
}
