/*-------------------------------------------------------------------------
 *
 * shared/queue.c
 *	  Lease, wait, give back: the callers' part.
 *
 * Floor 6; worker and backends; no waiting, no ereport, no network.
 *
 * The order of the queue is the order in which the lock was taken: a caller may
 * use an idle connection directly only while nobody queues.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/dispatch.h"
#include "shared/queue.h"

/* So long a caller may join a connect that is likely to fail. */
#define SHARED_ATTEMPT	(PCFG_SECOND / 4)

/* Tries the slot I used last, then any idle one; lock held, queue empty. */
static bool
lease_now(PcfgPool *pool, const PcfgLastUse *last, PcfgGrant *grant, PcfgWakes *wakes)
{
	grant->same = grant->sent = false;
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
	pool->stats.leases++;
	pcfg_histogram_add(&pool->stats.wait, 0);
	return true;
}

/*
 * Nothing lives, and the one attempt under way after failures takes longer
 * than it takes a remote to say no: whoever comes now need not share its
 * fate, one caller does already.
 */
static bool
attempt_drags_on(const PcfgPool *pool)
{
	return pool->cause.failures > 1 && pool->nconnecting > 0 &&
		pool->nopen == pool->nconnecting &&
		strcmp(pool->cause.sqlstate, "57P03") != 0 &&
		pcfg_now() - pool->dialled_at > SHARED_ATTEMPT;
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
		me->since = pool->last_used;
		me->ticket = ++pool->last_ticket;
		result = PCFG_LEASE_GRANTED;
		if (pcfg_pool_is_cold(pool))
			pcfg_dispatch(pool, &wakes);
	}
	else if (pcfg_pool_is_down(pool) || attempt_drags_on(pool))
	{
		*cause = pool->cause;
		pool->stats.refused++;
		result = PCFG_LEASE_DOWN;
	}
	else if (!wait && pool->wait_head != PCFG_NONE)
		result = PCFG_LEASE_FULL;
	else
	{
		me->since = pcfg_now();
		me->ticket = ++pool->last_ticket;
		pool->stats.queued++;
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

bool
pcfg_grant_stands(const PcfgGrant *grant)
{
	return grant->slot != PCFG_NONE &&
		(pg_atomic_read_u64(&pcfg_slots[grant->slot].word) & ~PCFG_WORD_CONDEMN) == grant->word;
}

bool
pcfg_pool_requeue(int index, uint32 serial, const PcfgGrant *grant, PcfgCloseReason reason)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes	wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) != serial)
	{
		LWLockRelease(&pool->lock);
		return false;
	}
	if (pcfg_grant_stands(grant))
	{
		if (reason == PCFG_CLOSE_PING)
			pcfg_pool_note_break(pool, &pcfg_slots[grant->slot]);
		(void) pcfg_slot_end(&pcfg_slots[grant->slot], grant->word, reason, true,
							 PCFG_BY_HOLDER, &wakes);
		if (reason == PCFG_CLOSE_PING)
			pcfg_pool_suspect(pool, &wakes);
	}
	pcfg_queue_link(pool, PCFG_MY_PROCNO);
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
	return true;
}

void
pcfg_pool_doubt(const PcfgGrant *grant)
{
	int			index = pcfg_slots[grant->slot].pool;
	PcfgPool   *pool;
	PcfgWakes	wakes = {0};

	if (index == PCFG_NONE)
		return;					/* it was taken from me, and closed */
	pool = &pcfg_pools[index];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pcfg_grant_stands(grant))
	{
		pcfg_pool_suspect(pool, &wakes);
		pcfg_pool_dial_spare(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
}

void
pcfg_pool_note(int index, uint32 serial, PcfgNote note)
{
	PcfgPool   *pool = &pcfg_pools[index];

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&pool->serial) == serial)
	{
		if (note == PCFG_NOTE_TIMEOUT)
			pool->stats.timeouts++;
		else
			pool->stats.pings++;
	}
	LWLockRelease(&pool->lock);
}

void
pcfg_wait_post(const char *data, size_t len, uint32 life, int server_version,
			   bool password_used)
{
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgPost   *post = &pcfg_posts[PCFG_MY_PROCNO];

	if (len > PCFG_POST_MAX)
		return;
	post->life = life;
	post->server_version = server_version;
	post->password_used = password_used;
	post->len = (uint32) len;
	memcpy(post->data, data, len);
	pg_write_barrier();			/* pairs with the one in offer_post */
	pg_atomic_write_u32(&me->posted, 1);
}

/* Nobody reads my post any more.  There may be secrets in it. */
static void
wipe_post(void)
{
	PcfgPost   *post = &pcfg_posts[PCFG_MY_PROCNO];

	memset(post->data, 0, post->len);
	post->len = 0;
}

/*
 * The slot is mine: has the worker sent my post on it?  If it has not yet, it
 * never will.
 */
static bool
settle_post(int slot, uint64 word)
{
	uint64		offered = pcfg_post_word(pcfg_word_use(word), PCFG_POST_OFFERED);
	uint64		found = offered;

	(void) pg_atomic_compare_exchange_u64(&pcfg_slots[slot].post, &found,
										  pcfg_post_word(pcfg_word_use(word), PCFG_POST_NONE));
	wipe_post();
	return found == pcfg_post_word(pcfg_word_use(word), PCFG_POST_SENT);
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
		grant->sent = settle_post(grant->slot, grant->word);
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
		wipe_post();
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

bool
pcfg_wait_withdraw(void)
{
	PcfgWaiter *me = &pcfg_waiters[PCFG_MY_PROCNO];
	PcfgPool   *pool = &pcfg_pools[me->pool];
	bool		queued;

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	queued = pg_atomic_read_u32(&me->state) == PCFG_WAIT_QUEUED;
	if (queued)
		pcfg_queue_unlink(pool, PCFG_MY_PROCNO, PCFG_WAIT_NONE);
	if (pool->wait_head == PCFG_NONE)
		pcfg_starving_set(pool, false);
	LWLockRelease(&pool->lock);
	if (queued)
		wipe_post();
	return queued;
}

bool
pcfg_wait_abandon(PcfgGrant *grant)
{
	PcfgCause	cause;

	grant->sent = false;
	if (pg_atomic_read_u32(&pcfg_waiters[PCFG_MY_PROCNO].state) == PCFG_WAIT_NONE ||
		pcfg_wait_withdraw() ||
		pcfg_wait_check(grant, &cause) != PCFG_WAIT_GRANTED)
		return false;
	if (!grant->sent)
		(void) pcfg_pool_give_back(grant, PCFG_RETURN_UNTOUCHED);
	return grant->sent;
}

/* Why a connection that comes back well is closed all the same, or not. */
static PcfgCloseReason
unwanted(const PcfgPool *pool, const PcfgSlot *slot)
{
	if (pool->retired)
		return PCFG_CLOSE_RETIRED;
	if (pool->paused)
		return PCFG_CLOSE_PAUSE;
	if ((pool->wait_head == PCFG_NONE &&
		 pool->nidle >= pool->policy.value[PCFG_POOL_SIZE]) || pcfg_pool_excess(pool) > 0)
		return PCFG_CLOSE_SURPLUS;
	if (slot->returned_at >= slot->recycle_at)
		return PCFG_CLOSE_AGE;
	return PCFG_CLOSE_UNKNOWN;
}

/* The slot comes back; lock held, the grant stands.  Returns the word left. */
static uint64
take_back(PcfgPool *pool, const PcfgGrant *grant, PcfgReturn how, PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[grant->slot];
	PcfgCloseReason reason = PCFG_CLOSE_UNKNOWN;
	uint64		word = grant->word;

	slot->returned_at = pool->last_used = pcfg_now();
	pcfg_histogram_add(&pool->stats.statement, slot->returned_at - slot->leased_at);
	if (how == PCFG_RETURN_ALIVE)
	{
		slot->alive_at = slot->returned_at;
		pool->stillborn = 0;
	}
	if (how == PCFG_RETURN_OWED)
		slot->owed = true;
	if (how == PCFG_RETURN_ALIVE || how == PCFG_RETURN_UNTOUCHED || how == PCFG_RETURN_OWED)
	{
		reason = unwanted(pool, slot);
		if (reason == PCFG_CLOSE_UNKNOWN &&
			pcfg_slot_move(slot, &word, PCFG_SLOT_IDLE, 0, pcfg_word_use(word),
						   PCFG_BY_HOLDER))
		{
			pcfg_idle_push(pool, grant->slot);
			if (how == PCFG_RETURN_ALIVE)
				wakes->fresh = grant->slot + 1;
			/* its place may be worth more to somebody else */
			if (pg_atomic_read_u32(&pcfg_shared->nstarving) > 0)
				wakes->worker = true;
			return word;
		}
		(void) pcfg_slot_end(slot, grant->word, reason, false, PCFG_BY_HOLDER, wakes);
		return 0;
	}
	(void) pcfg_slot_end(slot, grant->word,
						 how == PCFG_RETURN_LOST ? PCFG_CLOSE_LOST : PCFG_CLOSE_DOUBT, true,
						 PCFG_BY_HOLDER, wakes);
	if (how == PCFG_RETURN_LOST)
		pcfg_pool_suspect(pool, wakes);
	return 0;
}

uint64
pcfg_pool_give_back(const PcfgGrant *grant, PcfgReturn how)
{
	int			index = pcfg_slots[grant->slot].pool;
	uint64		left = 0;
	PcfgWakes	wakes = {0};
	PcfgPool   *pool;

	if (index == PCFG_NONE)
		return 0;				/* not ours any more: nothing to give */
	pool = &pcfg_pools[index];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (pcfg_grant_stands(grant))
	{
		left = take_back(pool, grant, how, &wakes);
		if (pool->wait_head != PCFG_NONE)
			pcfg_dispatch(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return left;
}

/*
 * Begins or ends a rest; what the lease is for is said at its beginning.  The
 * slot may have another pool by now, or none; it is not mine then, whichever
 * lock is held.
 */
static bool
set_rest(const PcfgGrant *grant, PcfgHeld held, bool rests)
{
	PcfgSlot   *slot;
	int			index;
	PcfgPool   *pool;
	bool		mine;

	/* at the end of a process leases end before transactions do */
	if (grant->slot == PCFG_NONE)
		return false;
	slot = &pcfg_slots[grant->slot];
	index = slot->pool;
	if (index == PCFG_NONE)
		return false;
	pool = &pcfg_pools[index];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	mine = pcfg_grant_stands(grant);
	if (mine)
	{
		if (rests)
			slot->held = held;
		slot->resting_since = rests ? pcfg_now() : 0;
	}
	LWLockRelease(&pool->lock);
	return mine;
}

void
pcfg_pool_rest(const PcfgGrant *grant, PcfgHeld held)
{
	(void) set_rest(grant, held, true);
}

bool
pcfg_pool_resume(const PcfgGrant *grant)
{
	return set_rest(grant, PCFG_HELD_STATEMENT, false);
}
