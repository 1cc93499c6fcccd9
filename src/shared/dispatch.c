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

#include "common/pg_prng.h"
#include "shared/backoff.h"
#include "shared/dispatch.h"

/* A connection that ends so soon, and unused, was never any good. */
#define STILLBORN_WITHIN	PCFG_SECOND

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

/* How many connections there are too many, those being closed not counted. */
static int
count_excess(const PcfgPool *pool)
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

bool
pcfg_pool_is_over(const PcfgPool *pool)
{
	return count_excess(pool) > 0;
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
			if (to == PCFG_SLOT_LEASED)
			{
				slot->held = PCFG_HELD_STATEMENT;
				slot->resting_since = 0;
			}
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

void
pcfg_idle_put_back(PcfgPool *pool, int index)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	int			before = PCFG_NONE;
	int			after = pool->idle_head;

	while (after != PCFG_NONE && pcfg_slots[after].returned_at > slot->returned_at)
	{
		before = after;
		after = pcfg_slots[after].next_idle;
	}
	if (before == PCFG_NONE)
	{
		pcfg_idle_push(pool, index);
		return;
	}
	slot->prev_idle = before;
	slot->next_idle = after;
	pcfg_slots[before].next_idle = index;
	if (after != PCFG_NONE)
		pcfg_slots[after].prev_idle = index;
	else
		pool->idle_tail = index;
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
pcfg_idle_condemn(PcfgPool *pool, int index, PcfgCloseReason reason, PcfgWakes *wakes)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	uint64		word = pg_atomic_read_u64(&slot->word);

	idle_remove(pool, index);
	slot->in_doubt = false;
	if (slot->reason == PCFG_CLOSE_UNKNOWN)
		slot->reason = reason;
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
		pcfg_idle_condemn(pool, index, PCFG_CLOSE_REMOTE, wakes);
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
pcfg_idle_condemn_all(PcfgPool *pool, PcfgCloseReason reason, PcfgWakes *wakes)
{
	while (pool->idle_head != PCFG_NONE)
		pcfg_idle_condemn(pool, pool->idle_head, reason, wakes);
}

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
	int64		n = Max(surplus, count_excess(pool));
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
	pg_atomic_write_u32(&w->posted, 0);
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

/*
 * Connects that the queue could use and the limits allow; then, if nobody
 * lacks a place for a waiter, those that min_idle asks for.
 */
static void
reserve_connects(PcfgPool *pool, PcfgWakes *wakes)
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
	if (pcfg_posts[procno].server_version != slot->server_version ||
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
		reserve_connects(pool, wakes);
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
