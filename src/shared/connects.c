/*-------------------------------------------------------------------------
 *
 * shared/connects.c
 *	  How many connections a pool may have, and which are dialled.
 *
 * Floor 4; worker and backends; no waiting, no ereport, no network.
 *
 * Everything here runs under the pool's lock, but for looks at limits.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "common/pg_prng.h"
#include "shared/backoff.h"
#include "shared/connects.h"

/* A connection that ends so soon, and unused, was never any good. */
#define STILLBORN_WITHIN	PCFG_SECOND

/* ----------------------------------------------------------------
 * limits
 * ----------------------------------------------------------------
 */

static inline bool
nothing_alive(const PcfgPool *pool)
{
	return pool->nopen - pool->nconnecting <= 0;
}

int
pcfg_policy_limit(const PcfgPolicy *policy)
{
	int64		overflow = policy->value[PCFG_MAX_OVERFLOW];
	int64		limit = policy->value[PCFG_POOL_SIZE] + overflow;

	if (overflow < 0 || limit > pcfg_shared->nslots)
		limit = pcfg_shared->nslots;
	return (int) limit;
}

/*
 * Connections of the same target and role from before it was altered, which
 * are in use still or being closed: they count against the limit, too.  Read
 * without their locks; who closes one serves the starving.
 */
static int
count_older(const PcfgPool *pool)
{
	int			n = 0;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		const PcfgPool *other = &pcfg_pools[i];

		if (other->retired && other != pool && other->nopen > 0 &&
			other->key.server == pool->key.server &&
			other->key.database == pool->key.database &&
			other->mapping_user == pool->mapping_user)
			n += other->nopen;
	}
	return n;
}

bool
pcfg_pool_waits_for_older(const PcfgPool *pool)
{
	return pool->nopen + count_older(pool) >= pcfg_policy_limit(&pool->policy);
}

/* -1 = none. */
static int64
target_limit(const PcfgPool *pool)
{
	return pool->policy.value[PCFG_TARGET_LIMIT];
}

static uint32
family_open(const PcfgPool *pool)
{
	return pg_atomic_read_u32(&pcfg_families[pool->family].nopen);
}

bool
pcfg_family_enter(const PcfgPool *pool)
{
	pg_atomic_uint32 *nopen = &pcfg_families[pool->family].nopen;
	uint32		n = pg_atomic_read_u32(nopen);

	/* never counted beyond the limit, not even for a moment: a neighbour
	 * would take that for "full" and nobody would tell it otherwise */
	do
	{
		if (target_limit(pool) >= 0 && (int64) n >= target_limit(pool))
			return false;
	} while (!pg_atomic_compare_exchange_u32(nopen, &n, n + 1));
	return true;
}

void
pcfg_family_exit(const PcfgPool *pool)
{
	(void) pg_atomic_fetch_sub_u32(&pcfg_families[pool->family].nopen, 1);
}

int
pcfg_pool_excess(const PcfgPool *pool)
{
	int64		over = pool->nopen - pcfg_policy_limit(&pool->policy);
	int			i;

	if (target_limit(pool) >= 0)
		over = Max(over, (int64) family_open(pool) - target_limit(pool));
	for (i = 0; over > 0 && i < pcfg_shared->nslots; i++)
	{
		if (pcfg_slots[i].pool == pcfg_pool_index(pool) &&
			pcfg_word_state(pg_atomic_read_u64(&pcfg_slots[i].word)) == PCFG_SLOT_CONDEMNED)
			over--;
	}
	return (int) Max(over, 0);
}

PcfgTime
pcfg_recycle_time(const PcfgPolicy *policy, const PcfgSlot *slot)
{
	int64		age = policy->value[PCFG_POOL_RECYCLE];

	if (age < 0)
		return PCFG_FOREVER;
	return slot->connected_at + age - (PcfgTime) (slot->jitter * (double) age);
}

bool
pcfg_pool_is_cold(const PcfgPool *pool)
{
	/* beyond pool_size they would be closed again when others come back */
	return pool->nidle + pool->nconnecting < pool->policy.value[PCFG_MIN_IDLE] &&
		pool->nopen < pool->policy.value[PCFG_POOL_SIZE];
}

/* ----------------------------------------------------------------
 * dialling
 * ----------------------------------------------------------------
 */

/*
 * Reserves one connect for the worker, if a slot of the server is free.
 */
static bool
reserve_connect(PcfgPool *pool)
{
	static int	hint = 0;
	int			i;

	if (pcfg_pool_waits_for_older(pool) || !pcfg_family_enter(pool))
		return false;
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		int			index = (hint + i) % pcfg_shared->nslots;
		PcfgSlot   *slot = &pcfg_slots[index];
		uint64		word = pg_atomic_read_u64(&slot->word);

		if (pcfg_word_state(word) != PCFG_SLOT_EMPTY)
			continue;
		if (pcfg_slot_move(slot, &word, PCFG_SLOT_CONNECTING, 0, pcfg_word_use(word) + 1,
					  PCFG_BY_LOCK))
		{
			slot->pool = pcfg_pool_index(pool);
			slot->reason = PCFG_CLOSE_UNKNOWN;
			slot->connected_at = pool->dialled_at = pcfg_now();
			pool->nopen++;
			pool->nconnecting++;
			hint = index;
			return true;
		}
	}
	pcfg_family_exit(pool);
	return false;
}

void
pcfg_starving_set(PcfgPool *pool, bool starving)
{
	if (starving && pool->starving_since == 0)
	{
		pool->starving_since = pcfg_now();
		pg_atomic_fetch_add_u32(&pcfg_shared->nstarving, 1);
	}
	else if (!starving && pool->starving_since != 0)
	{
		pool->starving_since = 0;
		pg_atomic_fetch_sub_u32(&pcfg_shared->nstarving, 1);
	}
}

/* Without them a connect would only wait for a caller who brings them. */
static bool
knows_credentials(PcfgPool *pool)
{
	uint32		life = pg_atomic_read_u32(&pcfg_shared->worker_life);

	return life != 0 && pg_atomic_read_u32(&pool->credentials_life) == life;
}

/*
 * How many connects may begin now: after a failure, and as long as none ever
 * succeeded, one is tried at a time.
 */
static int
connects_at_once(const PcfgPool *pool)
{
	if (pool->proven && pool->cause.retry_at == 0)
		return pcfg_shared->nslots;
	return pool->nconnecting > 0 || pcfg_now() < pool->cause.retry_at ? 0 : 1;
}

void
pcfg_connects_reserve(PcfgPool *pool, PcfgWakes *wakes)
{
	int			limit = pcfg_policy_limit(&pool->policy);
	int			waiters = (int) pg_atomic_read_u32(&pool->nwait);
	int			wanted = Min(waiters - pool->nconnecting, limit - pool->nopen);
	bool		starved = pool->starving_since != 0;
	int			at_once = connects_at_once(pool);

	wanted = Min(wanted, at_once);
	while (wanted > 0 && reserve_connect(pool))
	{
		wakes->worker = true;
		wanted--;
		at_once--;
	}
	pcfg_starving_set(pool, wanted > 0);
	if (wanted > 0 && !starved)
		wakes->worker = true;	/* it may relieve us: pcfg_pool_relieve */

	if (pool->wait_head == PCFG_NONE &&
		pg_atomic_read_u32(&pcfg_shared->nstarving) == 0 && knows_credentials(pool))
	{
		while (at_once-- > 0 && pool->nopen < limit && pcfg_pool_is_cold(pool) &&
			   reserve_connect(pool))
			wakes->worker = true;
	}
}

void
pcfg_pool_dial_spare(PcfgPool *pool, PcfgWakes *wakes)
{
	if (pool->nidle == 0 && pool->nconnecting == 0)
		pcfg_pool_dial_to(pool, pool->nopen + 1, wakes);
}

void
pcfg_pool_dial_to(PcfgPool *pool, int n, PcfgWakes *wakes)
{
	int			at_once = connects_at_once(pool);

	n = Min(n, pcfg_policy_limit(&pool->policy));
	while (at_once-- > 0 && pool->nopen < n && !pool->retired && !pool->paused &&
		   reserve_connect(pool))
		wakes->worker = true;
}

void
pcfg_pool_note_break(PcfgPool *pool, const PcfgSlot *slot)
{
	PcfgTime	now = pcfg_now();

	if (slot->uses > 0 || slot->reason != PCFG_CLOSE_UNKNOWN ||
		now - slot->connected_at > STILLBORN_WITHIN)
		return;
	memset(&pool->cause, 0, sizeof(pool->cause));
	strlcpy(pool->cause.sqlstate, "08001", sizeof(pool->cause.sqlstate));
	strlcpy(pool->cause.message, "the remote ended the connection right after the login",
			sizeof(pool->cause.message));
	pool->cause.failures = ++pool->stillborn;
	pool->cause.retry_at = pcfg_backoff_next(PCFG_FAILURE_TRANSIENT, pool->stillborn, now,
											 pg_prng_double(&pg_global_prng_state));
	pool->last_error_at = now;
	memcpy(pool->last_error, pool->cause.message, sizeof(pool->last_error));
}

/*
 * Whether callers and waiters are told the cause of the last failure at once:
 * nothing lives, nobody dials, and it is not time to try again.  A remote
 * that is just starting up is waited for.
 */
bool
pcfg_pool_is_down(const PcfgPool *pool)
{
	return nothing_alive(pool) && pool->nconnecting == 0 &&
		pool->cause.failures > 0 && pcfg_now() < pool->cause.retry_at &&
		strcmp(pool->cause.sqlstate, "57P03") != 0;
}
