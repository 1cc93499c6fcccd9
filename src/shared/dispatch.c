/*-------------------------------------------------------------------------
 *
 * shared/dispatch.c
 *	  Moves of slots, the queue of waiters, and who gets what next.
 *
 * Floor 3; worker and backends; no waiting, no ereport, no network.
 *
 * Everything here runs under the pool's lock, but for pcfg_unlock_and_wake and
 * pcfg_dispatch_starving.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"

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

/* ----------------------------------------------------------------
 * moving slots
 * ----------------------------------------------------------------
 */

/*
 * The only place that changes the state of a slot.  *word is what the caller
 * has read; it may gain the condemn bit meanwhile, which makes a move to
 * IDLE or LEASED fail (false, *word is what stands there now).  Every other
 * difference means that the contract was broken; the move fails then too.
 */
bool
pcfg_slot_move(PcfgSlot *slot, uint64 *word, PcfgSlotState to, uint32 owner,
		  uint64 use, PcfgMover mover)
{
	bool		live = (to == PCFG_SLOT_IDLE || to == PCFG_SLOT_LEASED);

	Assert(pcfg_move_is_legal(pcfg_word_state(*word), to, mover));
	for (;;)
	{
		uint64		seen = *word;

		if (live && pcfg_word_condemned(seen))
			return false;
		if (pg_atomic_compare_exchange_u64(&slot->word, &seen, pcfg_word(to, owner, use)))
		{
			*word = pcfg_word(to, owner, use);
			return true;
		}
		if ((seen & ~PCFG_WORD_CONDEMN) != (*word & ~PCFG_WORD_CONDEMN))
		{
			*word = seen;
			return false;
		}
		*word = seen;
	}
}

/* Puts a slot that became IDLE at the recent end of the idle list. */
void
pcfg_idle_push(PcfgPool *pool, int index)
{
	PcfgSlot   *slot = &pcfg_slots[index];

	slot->prev_idle = PCFG_NONE;
	slot->next_idle = pool->idle_head;
	if (pool->idle_head != PCFG_NONE)
		pcfg_slots[pool->idle_head].prev_idle = index;
	else
		pool->idle_tail = index;
	pool->idle_head = index;
	slot->in_idle_list = true;
	pool->nidle++;
}

static void
idle_remove(PcfgPool *pool, int index)
{
	PcfgSlot   *slot = &pcfg_slots[index];

	Assert(slot->in_idle_list);
	if (slot->prev_idle != PCFG_NONE)
		pcfg_slots[slot->prev_idle].next_idle = slot->next_idle;
	else
		pool->idle_head = slot->next_idle;
	if (slot->next_idle != PCFG_NONE)
		pcfg_slots[slot->next_idle].prev_idle = slot->prev_idle;
	else
		pool->idle_tail = slot->prev_idle;
	slot->prev_idle = slot->next_idle = PCFG_NONE;
	slot->in_idle_list = false;
	pool->nidle--;
}

/* An idle slot goes to the worker to be closed. */
void
pcfg_idle_condemn(PcfgPool *pool, int index, PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	uint64		word = pg_atomic_read_u64(&slot->word);

	idle_remove(pool, index);
	slot->in_doubt = false;
	(void) pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0, pcfg_word_use(word),
					 PCFG_BY_LOCK);
	wakes->worker = true;
}

/* Leases one idle slot to "owner"; a condemned one is condemned instead. */
bool
pcfg_slot_lease(PcfgPool *pool, int index, uint32 owner, uint64 *word, PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[index];

	*word = pg_atomic_read_u64(&slot->word);
	if (!pcfg_slot_move(slot, word, PCFG_SLOT_LEASED, owner, pcfg_word_use(*word) + 1,
				   PCFG_BY_LOCK))
	{
		pcfg_idle_condemn(pool, index, wakes);
		return false;
	}
	idle_remove(pool, index);
	return true;
}

/*
 * Some idle slot in the order of the policy: the most recently returned one,
 * or in strict rotation.
 */
int
pcfg_slot_lease_any(PcfgPool *pool, uint32 owner, uint64 *word, PcfgWakes *wakes)
{
	while (pool->idle_head != PCFG_NONE)
	{
		int			index = pool->policy.value[PCFG_POOL_USE_LIFO] ?
			pool->idle_head : pool->idle_tail;

		if (pcfg_slot_lease(pool, index, owner, word, wakes))
			return index;
	}
	return PCFG_NONE;
}

/* Condemns all idle connections of a pool; lock held. */
void
pcfg_idle_condemn_all(PcfgPool *pool, PcfgWakes *wakes)
{
	while (pool->idle_head != PCFG_NONE)
		pcfg_idle_condemn(pool, pool->idle_head, wakes);
}

/* ----------------------------------------------------------------
 * the queue
 * ----------------------------------------------------------------
 */

/*
 * Queues a process by its ticket: at the tail, unless it had been granted a
 * dead connection and comes back to its old place.
 */
void
pcfg_queue_link(PcfgPool *pool, int procno)
{
	PcfgWaiter *w = &pcfg_waiters[procno];
	int			before = pool->wait_tail;

	while (before != PCFG_NONE && pcfg_waiters[before].ticket > w->ticket)
		before = pcfg_waiters[before].prev;

	w->pool = pcfg_pool_index(pool);
	w->serial = pg_atomic_read_u32(&pool->serial);
	w->pid = MyProcPid;
	w->slot = PCFG_NONE;
	w->prev = before;
	w->next = before == PCFG_NONE ? pool->wait_head : pcfg_waiters[before].next;
	if (w->next != PCFG_NONE)
		pcfg_waiters[w->next].prev = procno;
	else
		pool->wait_tail = procno;
	if (before != PCFG_NONE)
		pcfg_waiters[before].next = procno;
	else
		pool->wait_head = procno;
	pg_atomic_fetch_add_u32(&pool->nwait, 1);
	pg_atomic_write_u32(&w->state, PCFG_WAIT_QUEUED);
}

void
pcfg_queue_unlink(PcfgPool *pool, int procno, PcfgWaitState state)
{
	PcfgWaiter *w = &pcfg_waiters[procno];

	if (w->prev != PCFG_NONE)
		pcfg_waiters[w->prev].next = w->next;
	else
		pool->wait_head = w->next;
	if (w->next != PCFG_NONE)
		pcfg_waiters[w->next].prev = w->prev;
	else
		pool->wait_tail = w->prev;
	w->prev = w->next = PCFG_NONE;
	pg_atomic_fetch_sub_u32(&pool->nwait, 1);
	/* the waiter reads "slot" after it has seen the state */
	pg_write_barrier();
	pg_atomic_write_u32(&w->state, state);
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
 * Reserves one connect for the worker, if a slot of the server is free.
 */
static bool
reserve_connect(PcfgPool *pool)
{
	static int	hint = 0;
	int			i;

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
			pool->nopen++;
			pool->nconnecting++;
			hint = index;
			return true;
		}
	}
	return false;
}

/* Takes note that the pool waits for a slot of the server, or no more. */
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

/* Connects that the queue could use and the limits allow. */
static void
reserve_connects(PcfgPool *pool, int wanted, PcfgWakes *wakes)
{
	int			n = Min(wanted - pool->nconnecting,
						pcfg_policy_limit(&pool->policy) - pool->nopen);

	if (n > 0 && pool->cause.retry_at != 0)
	{
		/* after a failure: one attempt, and that not before its time */
		if (pool->nconnecting > 0 || pcfg_now() < pool->cause.retry_at)
			n = 0;
		else
			n = 1;
	}
	while (n > 0 && reserve_connect(pool))
	{
		wakes->worker = true;
		n--;
	}
	pcfg_starving_set(pool, n > 0);
	if (n > 0)
		wakes->worker = true;	/* it may relieve us: pcfg_pool_relieve */
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
			return;
		index = pcfg_slot_lease_any(pool, (uint32) procno + 1, &word, wakes);
		if (index == PCFG_NONE)
			break;
		pcfg_slots[index].leased_at = pcfg_now();
		pcfg_slots[index].holder_pid = pcfg_waiters[procno].pid;
		pcfg_waiters[procno].slot = index;
		pcfg_waiters[procno].word = word;
		pcfg_queue_unlink(pool, procno, PCFG_WAIT_GRANTED);
		wakes->procno[wakes->n++] = procno;
	}
	reserve_connects(pool, (int) pg_atomic_read_u32(&pool->nwait), wakes);
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
		if (wakes->worker)
			pcfg_wake_worker();
		if (!more)
			return;
		memset(wakes, 0, sizeof(*wakes));
		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		pcfg_dispatch(pool, wakes);
	}
}

/* A slot of the server became free: the longest starving pool is first. */
void
pcfg_dispatch_starving(void)
{
	PcfgPool   *first = NULL;
	PcfgWakes		wakes = {0};
	int			i;

	if (pg_atomic_read_u32(&pcfg_shared->nstarving) == 0)
		return;
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgTime	since = pool->starving_since;	/* a hint */

		if (since != 0 && (first == NULL || since < first->starving_since))
			first = pool;
	}
	if (first == NULL)
		return;
	LWLockAcquire(&first->lock, LW_EXCLUSIVE);
	pcfg_dispatch(first, &wakes);
	pcfg_unlock_and_wake(first, &wakes);
}

