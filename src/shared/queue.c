/*-------------------------------------------------------------------------
 *
 * shared/queue.c
 *	  Lease, wait, give back: the callers' part.
 *
 * Floor 4; worker and backends; no waiting, no ereport, no network.
 *
 * The order of the queue is the order in which the lock was taken: a caller may
 * use an idle connection directly only while nobody queues.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"
#include "shared/queue.h"

/* Tries the slot I used last, then any idle one; lock held, queue empty. */
static bool
lease_now(PcfgPool *pool, const PcfgLastUse *last, PcfgGrant *grant, PcfgWakes *wakes)
{
	grant->same = false;
	if (last->slot != PCFG_NONE && pool->policy.value[PCFG_POOL_USE_LIFO] &&
		pg_atomic_read_u64(&pcfg_slots[last->slot].word) == last->word &&
		pcfg_slots[last->slot].pool == pcfg_pool_index(pool) &&
		pcfg_slot_lease(pool, last->slot, pcfg_my_owner(), &grant->word, wakes))
	{
		grant->slot = last->slot;
		grant->same = true;
	}
	else
	{
		grant->slot = pcfg_slot_lease_any(pool, pcfg_my_owner(), &grant->word, wakes);
		if (grant->slot == PCFG_NONE)
			return false;
		grant->same = grant->slot == last->slot &&
			pcfg_word_use(grant->word) == pcfg_word_use(last->word) + 1;
	}
	pcfg_slots[grant->slot].leased_at = pool->last_used = pcfg_now();
	pcfg_slots[grant->slot].holder_pid = MyProcPid;
	return true;
}

PcfgLeaseResult
pcfg_pool_lease(int index, uint32 serial, const PcfgLastUse *last, bool wait,
				PcfgGrant *grant, PcfgCause *cause)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgLeaseResult result;
	PcfgWakes		wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) != serial || pool->retired)
		result = PCFG_LEASE_GONE;
	else if (pool->wait_head == PCFG_NONE && !pool->paused &&
			 lease_now(pool, last, grant, &wakes))
	{
		me->ticket = ++pool->last_ticket;
		result = PCFG_LEASE_GRANTED;
	}
	else if (pcfg_pool_is_down(pool))
	{
		*cause = pool->cause;
		result = PCFG_LEASE_DOWN;
	}
	else if (!wait && pool->wait_head != PCFG_NONE)
		result = PCFG_LEASE_FULL;
	else
	{
		me->since = pcfg_now();
		me->ticket = ++pool->last_ticket;
		pcfg_queue_link(pool, PCFG_MY_PROCNO);
		pcfg_dispatch(pool, &wakes);
		result = PCFG_LEASE_QUEUED;
		if (!wait && pool->nconnecting == 0 &&
			pg_atomic_read_u32(&me->state) == PCFG_WAIT_QUEUED)
		{
			pcfg_queue_unlink(pool, PCFG_MY_PROCNO, PCFG_WAIT_NONE);
			pcfg_starving_set(pool, false);
			result = PCFG_LEASE_FULL;
		}
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return result;
}

/* Whether the slot is still leased as it was granted; lock held. */
static bool
grant_stands(const PcfgGrant *grant)
{
	return (pg_atomic_read_u64(&pcfg_slots[grant->slot].word) & ~PCFG_WORD_CONDEMN) == grant->word;
}

void
pcfg_pool_requeue(int index, const PcfgGrant *grant)
{
	PcfgSlot   *slot = &pcfg_slots[grant->slot];
	PcfgPool   *pool = &pcfg_pools[index];
	uint64		word = grant->word;
	PcfgWakes	wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (grant_stands(grant))
	{
		slot->in_doubt = true;
		(void) pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0, pcfg_word_use(word),
							  PCFG_BY_HOLDER);
		wakes.worker = true;
	}
	pcfg_queue_link(pool, PCFG_MY_PROCNO);
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
}

PcfgWaitState
pcfg_wait_check(PcfgGrant *grant, PcfgCause *cause)
{
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgWaitState state = (PcfgWaitState) pg_atomic_read_u32(&me->state);

	if (state == PCFG_WAIT_GRANTED)
	{
		pg_read_barrier();		/* pairs with the one in queue_unlink */
		grant->slot = me->slot;
		grant->word = me->word;
		grant->same = false;
		pg_atomic_write_u32(&me->state, PCFG_WAIT_NONE);
	}
	else if (state == PCFG_WAIT_FAILED)
	{
		PcfgPool   *pool = &pcfg_pools[me->pool];

		LWLockAcquire(&pool->lock, LW_SHARED);
		*cause = pool->cause;
		if (pool->retired || pg_atomic_read_u32(&pool->serial) != me->serial)
			cause->sqlstate[0] = '\0';
		LWLockRelease(&pool->lock);
		pg_atomic_write_u32(&me->state, PCFG_WAIT_NONE);
	}
	return state;
}

void
pcfg_wait_nudge(void)
{
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgPool   *pool = &pcfg_pools[me->pool];
	PcfgWakes		wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&me->state) == PCFG_WAIT_QUEUED)
	{
		int			nconnecting = pool->nconnecting;

		pcfg_dispatch(pool, &wakes);

		/*
		 * A grant, or a connect that could have been reserved before, means
		 * that a wake-up was lost.  A connect after a failure waits for its
		 * time and is nobody's fault.
		 */
		if (wakes.n > 0 || (pool->nconnecting > nconnecting && pool->cause.retry_at == 0))
			pg_atomic_fetch_add_u64(&pcfg_shared->rescued, 1);
	}
	pcfg_unlock_and_wake(pool, &wakes);
}

void
pcfg_wait_abandon(void)
{
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgWaitState state = (PcfgWaitState) pg_atomic_read_u32(&me->state);
	PcfgGrant	grant = {PCFG_NONE, 0, false};
	PcfgPool   *pool;

	if (state == PCFG_WAIT_NONE)
		return;
	pool = &pcfg_pools[me->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	state = (PcfgWaitState) pg_atomic_read_u32(&me->state);
	if (state == PCFG_WAIT_QUEUED)
		pcfg_queue_unlink(pool, PCFG_MY_PROCNO, PCFG_WAIT_NONE);
	else if (state == PCFG_WAIT_GRANTED)
	{
		grant.slot = me->slot;
		grant.word = me->word;
	}
	pg_atomic_write_u32(&me->state, PCFG_WAIT_NONE);
	if (pool->wait_head == PCFG_NONE)
		pcfg_starving_set(pool, false);
	LWLockRelease(&pool->lock);
	if (grant.slot != PCFG_NONE)
		(void) pcfg_pool_give_back(&grant, true);
}

uint64
pcfg_pool_give_back(const PcfgGrant *grant, bool clean)
{
	PcfgSlot   *slot = &pcfg_slots[grant->slot];
	PcfgPool   *pool;
	uint64		word = grant->word;
	uint64		left = 0;
	PcfgWakes		wakes = {0};

	if (slot->pool == PCFG_NONE)
		return 0;				/* not ours any more: nothing to give */
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (grant_stands(grant))
	{
		slot->in_doubt = !clean;
		if (pool->retired ||
			(pool->wait_head == PCFG_NONE &&
			 pool->nidle >= pool->policy.value[PCFG_POOL_SIZE]) ||
			pool->nopen > pcfg_policy_limit(&pool->policy))
			clean = false;
		slot->returned_at = pool->last_used = pcfg_now();
		if (slot->returned_at >= slot->recycle_at)
			clean = false;
		if (clean && pcfg_slot_move(slot, &word, PCFG_SLOT_IDLE, 0, pcfg_word_use(word),
							   PCFG_BY_HOLDER))
		{
			left = word;
			pcfg_idle_push(pool, grant->slot);
		}
		else
		{
			(void) pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0, pcfg_word_use(word),
							 PCFG_BY_HOLDER);
			wakes.worker = true;
		}
		if (pool->wait_head != PCFG_NONE)
			pcfg_dispatch(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return left;
}

