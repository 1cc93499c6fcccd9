/*-------------------------------------------------------------------------
 *
 * shared/dispatch.c
 *	  Who gets what next.
 *
 * Floor 5; worker and backends; no waiting, no ereport, no network.
 *
 * Everything here runs under the pool's lock, but for pcfg_unlock_and_wake and
 * pcfg_dispatch_starving.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"

void
pcfg_pool_suspect(PcfgPool *pool, PcfgWakes *wakes)
{
	pool->suspect_since = pcfg_now();
	if (pool->nidle > 0)
		wakes->worker = true;
}

void
pcfg_pool_trim(PcfgPool *pool, PcfgWakes *wakes)
{
	int64		surplus = pool->nidle - pool->policy.value[PCFG_POOL_SIZE];
	int64		n = Max(surplus, pcfg_pool_excess(pool));
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (pcfg_slots[i].pool == pcfg_pool_index(pool))
			pcfg_slots[i].recycle_at = pcfg_recycle_time(&pool->policy, &pcfg_slots[i]);
	}
	for (; n > 0 && pool->idle_tail != PCFG_NONE; n--)
		pcfg_idle_condemn(pool, pool->idle_tail, PCFG_CLOSE_SURPLUS, wakes);
	pcfg_dispatch(pool, wakes);
}

/* The head fails; it finds the cause in its pool. */
static void
fail_head(PcfgPool *pool, PcfgWakes *wakes)
{
	int			procno = pool->wait_head;

	pcfg_queue_unlink(pool, procno, PCFG_WAIT_FAILED);
	wakes->procno[wakes->n++] = procno;
}

/*
 * A relayed connection comes straight from its last user, and the next one has
 * left what he wants to say: the worker says it, and he sleeps on until the
 * answer is there.  False when he has to see to the connection himself.
 */
static bool
offer_post(int index, int procno, uint64 word, const PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[index];

	if (wakes->fresh != index + 1 || !slot->relay || slot->owed || slot->recycle_at <= slot->leased_at ||
		pg_atomic_read_u32(&pcfg_waiters[procno].posted) == 0)
		return false;
	pg_read_barrier();			/* pairs with the one in pcfg_wait_post */
	if (pcfg_posts[procno].life != pg_atomic_read_u32(&pcfg_shared->worker_life) ||
		pcfg_posts[procno].server_version != slot->server_version ||
		pcfg_posts[procno].password_used != slot->password_used)
		return false;
	pg_atomic_write_u64(&slot->post, pcfg_post_word(pcfg_word_use(word), PCFG_POST_OFFERED));
	return true;
}

/* The grant is known to its owner: now the worker may act on the offer. */
static void
publish_offer(int index, PcfgWakes *wakes)
{
	pg_atomic_fetch_or_u64(&pcfg_offers[index / PCFG_OFFER_BITS],
						   UINT64CONST(1) << (index % PCFG_OFFER_BITS));
	wakes->offers = true;
}

/*
 * Gives idle connections to the head of the queue and reserves connects for
 * the rest.  Lock held.
 */
void
pcfg_dispatch(PcfgPool *pool, PcfgWakes *wakes)
{
	while (pool->wait_head != PCFG_NONE)
	{
		int			procno = pool->wait_head;
		uint64		word;
		int			index;
		bool		offered;

		if (wakes->n == PCFG_MAX_WAKES)
		{
			wakes->more = true;
			return;
		}
		if (pool->retired || pcfg_pool_is_down(pool))
		{
			fail_head(pool, wakes);
			continue;
		}
		if (pool->paused)
			break;
		index = pcfg_slot_lease_any(pool, (uint32) procno + 1, &word, wakes);
		if (index == PCFG_NONE)
			break;
		pcfg_slots[index].leased_at = pool->last_used = pcfg_now();
		pcfg_slots[index].holder_pid = pcfg_waiters[procno].pid;
		pool->stats.leases++;
		pcfg_histogram_add(&pool->stats.wait, pool->last_used - pcfg_waiters[procno].since);
		pcfg_waiters[procno].slot = index;
		pcfg_waiters[procno].word = word;
		offered = offer_post(index, procno, word, wakes);
		pcfg_queue_unlink(pool, procno, PCFG_WAIT_GRANTED);
		if (offered)
			publish_offer(index, wakes);
		else
			wakes->procno[wakes->n++] = procno;
	}
	if (pool->paused || pool->retired)
		pcfg_starving_set(pool, false);
	else
		pcfg_connects_reserve(pool, wakes);
}

/*
 * Lets the lock go and wakes whom the work under it concerns; when they were
 * more than fit, goes on until all are served.
 */
void
pcfg_unlock_and_wake(PcfgPool *pool, PcfgWakes *wakes)
{
	for (;;)
	{
		bool		more = wakes->more;
		int			i;

		LWLockRelease(&pool->lock);
		for (i = 0; i < wakes->n; i++)
		{
			if (wakes->procno[i] != PCFG_MY_PROCNO)
				pcfg_wake_process(wakes->procno[i]);
		}
		if (wakes->worker ||
			(wakes->offers && pg_atomic_read_u32(&pcfg_shared->worker_sleeps) != 0))
			pcfg_wake_worker();
		if (!more)
			return;
		memset(wakes, 0, sizeof(*wakes));
		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		pcfg_dispatch(pool, wakes);
	}
}

/*
 * The starving pool that comes next after the one given by *since and index;
 * PCFG_NONE at the end.  Read without locks: a hint.
 */
static int
next_starving(PcfgTime *since, int after)
{
	PcfgTime	found = PCFG_FOREVER;
	int			next = PCFG_NONE;
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgTime	mine = pcfg_pools[i].starving_since;

		if (mine == 0 || mine >= found || mine < *since || (mine == *since && i <= after))
			continue;
		found = mine;
		next = i;
	}
	*since = found;
	return next;
}

void
pcfg_dispatch_starving(void)
{
	PcfgTime	since = 0;
	int			i = PCFG_NONE;

	if (pg_atomic_read_u32(&pcfg_shared->nstarving) == 0)
		return;
	/* what is free may be of no use to the first: its own limit is reached */
	while ((i = next_starving(&since, i)) != PCFG_NONE)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes	wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		if (pool->starving_since != 0)
			pcfg_dispatch(pool, &wakes);
		pcfg_unlock_and_wake(pool, &wakes);
	}
}
