/*-------------------------------------------------------------------------
 *
 * shared/pool.c
 *	  The directory of pools: find, make, describe, retire.
 *
 * Floor 4; worker and backends; no waiting, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"
#include "shared/pool.h"

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
 * retired, so that a place will be free soon.  Directory lock held.
 */
static int
find_place(void)
{
	PcfgPool   *oldest = NULL;
	int			empty = PCFG_NONE;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		if (pg_atomic_read_u32(&pool->serial) == 0)
			return i;
		LWLockAcquire(&pool->lock, LW_SHARED);
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
	if (empty == PCFG_NONE && oldest != NULL)
	{
		PcfgWakes		wakes = {0};

		LWLockAcquire(&oldest->lock, LW_EXCLUSIVE);
		oldest->retired = true;
		pcfg_idle_condemn_all(oldest, &wakes);
		pcfg_dispatch(oldest, &wakes);
		pcfg_unlock_and_wake(oldest, &wakes);
	}
	return empty;
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
		if (++pcfg_shared->last_serial == 0)
			pcfg_shared->last_serial = 1;
		pcfg_starving_set(pool, false);
		pool->key = *key;
		strlcpy(pool->target, target, sizeof(pool->target));
		pool->mapping_user = mapping_user;
		pool->encoding = encoding;
		pool->policy = *policy;
		pool->retired = pool->paused = false;
		pool->nconnecting = 0;
		memset(&pool->cause, 0, sizeof(pool->cause));
		pool->last_used = pcfg_now();
		pool->connects = pool->connect_failures = 0;
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

/*
 * Whether the parts of two policies differ that a pool works by: what a
 * session may SET is the session's own business.
 */
static bool
policies_differ(const PcfgPolicy *a, const PcfgPolicy *b)
{
	int			i;

	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		if (a->value[i] != b->value[i] && !pcfg_settings[i].session)
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
	if (!policies_differ(&pool->policy, policy))
		return;
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) == serial)
	{
		pool->policy = *policy;
		while (pool->nidle > policy->value[PCFG_POOL_SIZE])
			pcfg_idle_condemn(pool, pool->idle_tail, &wakes);
		pcfg_dispatch(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
}

void
pcfg_pool_snapshot(int index, PcfgPoolSnapshot *s)
{
	PcfgPool   *pool = &pcfg_pools[index];

	LWLockAcquire(&pool->lock, LW_SHARED);
	s->serial = pg_atomic_read_u32(&pool->serial);
	s->key = pool->key;
	memcpy(s->target, pool->target, sizeof(s->target));
	s->mapping_user = pool->mapping_user;
	s->policy = pool->policy;
	s->retired = pool->retired;
	s->paused = pool->paused;
	s->nopen = pool->nopen;
	s->nconnecting = pool->nconnecting;
	s->nidle = pool->nidle;
	s->nwait = (int) pg_atomic_read_u32(&pool->nwait);
	s->oldest_wait = pool->wait_head == PCFG_NONE ? 0 :
		pcfg_waiters[pool->wait_head].since;
	s->cause = pool->cause;
	s->connects = pool->connects;
	s->connect_failures = pool->connect_failures;
	LWLockRelease(&pool->lock);
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
	{
		pcfg_starving_set(pool, false);
		pool->retired = false;
		pg_atomic_write_u32(&pool->serial, 0);
	}
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
			pcfg_idle_condemn_all(pool, &wakes);
			pcfg_dispatch(pool, &wakes);
			wakes.worker = true;
		}
		pcfg_unlock_and_wake(pool, &wakes);
	}
}
