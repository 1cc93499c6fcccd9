/*-------------------------------------------------------------------------
 *
 * shared/slots.c
 *	  What the worker tells of connections.
 *
 * Floor 6; worker and backends; no waiting, no ereport, no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "common/pg_prng.h"
#include "port/pg_bitutils.h"
#include "shared/backoff.h"
#include "shared/dispatch.h"
#include "shared/records.h"
#include "shared/slots.h"

/*
 * What a session leaves at the remote (locks, LISTEN, settings) is cleared
 * when its connection has been idle so long.
 */
#define RESET_AFTER		PCFG_SECOND

/* The slot leaves its pool; lock held, word is CONNECTING or CONDEMNED. */
static void
empty_slot(PcfgPool *pool, PcfgSlot *slot, uint64 word)
{
	if (pcfg_word_state(word) == PCFG_SLOT_CONDEMNED)
	{
		pool->stats.closes[slot->reason]++;
		pool->stats.bytes_in += slot->bytes_received;
		pool->stats.bytes_out += slot->bytes_sent;
	}
	slot->bytes_received = slot->bytes_sent = 0;
	slot->pool = PCFG_NONE;
	slot->relay = slot->dirty = slot->owed = slot->password_used = false;
	slot->remote_pid = 0;
	pg_atomic_write_u32(&slot->kill, 0);
	pool->nopen--;
	pcfg_family_exit(pool);
	/* last: from here on another pool may reserve it */
	(void) pcfg_slot_move(slot, &word, PCFG_SLOT_EMPTY, 0, pcfg_word_use(word) + 1,
					 PCFG_BY_WORKER);
}

/*
 * Connections of an earlier worker died with it: what nobody holds becomes
 * EMPTY; a LEASED slot keeps its holder, who finds it dead, and gets the
 * condemn bit.  Waiters are woken to bring their credentials again, or because
 * what they left to the worker will not be sent.
 */
void
pcfg_pool_worker_started(void)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		PcfgSlot   *slot = &pcfg_slots[i];
		PcfgPool   *pool;
		PcfgWakes		wakes = {0};
		uint64		word;

		if (slot->pool == PCFG_NONE)
			continue;
		pool = &pcfg_pools[slot->pool];
		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		word = pg_atomic_fetch_or_u64(&slot->word, PCFG_WORD_CONDEMN);
		if (pcfg_word_state(word) == PCFG_SLOT_IDLE)
			pcfg_idle_condemn(pool, i, PCFG_CLOSE_UNKNOWN, &wakes);
		else if (pcfg_word_state(word) == PCFG_SLOT_CONNECTING)
			pool->nconnecting--;
		word = pg_atomic_read_u64(&slot->word);
		if (pcfg_word_state(word) == PCFG_SLOT_LEASED &&
			pcfg_word_owner(word) == pcfg_my_owner())
			(void) pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0,
							 pcfg_word_use(word), PCFG_BY_HOLDER);
		if (pcfg_word_state(word) != PCFG_SLOT_LEASED)
			empty_slot(pool, slot, word);
		else if (slot->reason == PCFG_CLOSE_RECYCLE)
			slot->reason = PCFG_CLOSE_UNKNOWN;	/* its end is not left to its holder */
		LWLockRelease(&pool->lock);
	}
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes		wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		/* a wrong password is as wrong for the next worker */
		if (!pool->cause.lasting)
			memset(&pool->cause, 0, sizeof(pool->cause));
		if (pool->wait_head != PCFG_NONE)
			pcfg_dispatch(pool, &wakes);
		pcfg_unlock_and_wake(pool, &wakes);
	}
	for (i = 0; i < pcfg_shared->nwaiters; i++)
	{
		if (pg_atomic_read_u32(&pcfg_waiters[i].state) != PCFG_WAIT_NONE)
			pcfg_wake_process(i);
	}
}

/* The first connection after a failure that was remembered: it is mended. */
static void
forget_failure(PcfgPool *pool)
{
	LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	pcfg_failure_forget(pool->key.database, pool->key.server, pool->mapping_user);
	LWLockRelease(&pcfg_shared->directory_lock);
}

void
pcfg_slot_connected(int index, int remote_pid, int server_version,
					bool password_used, bool relay)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgPool   *pool = &pcfg_pools[slot->pool];
	PcfgWakes		wakes = {0};
	uint64		word;
	PcfgTime	now = pcfg_now();

	/* only the worker changes this */
	if (pool->cause.lasting)
		forget_failure(pool);
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	word = pg_atomic_read_u64(&slot->word);
	pcfg_histogram_add(&pool->stats.connect, now - slot->connected_at);
	slot->generation++;
	slot->remote_pid = remote_pid;
	slot->server_version = server_version;
	slot->password_used = password_used;
	slot->relay = relay;
	slot->connected_at = slot->returned_at = slot->alive_at = now;
	/* connections that were made together do not end together */
	slot->jitter = pg_prng_double(&pg_global_prng_state) * 0.1;
	slot->recycle_at = pcfg_recycle_time(&pool->policy, slot);
	slot->last_role = InvalidOid;
	slot->dirty = slot->owed = false;
	slot->leased_at = 0;
	slot->uses = slot->bytes_sent = slot->bytes_received = 0;
	pool->nconnecting--;
	pool->stats.connects++;
	pool->proven = true;
	memset(&pool->cause, 0, sizeof(pool->cause));
	(void) pcfg_slot_move(slot, &word, PCFG_SLOT_IDLE, 0, pcfg_word_use(word), PCFG_BY_WORKER);
	pcfg_idle_push(pool, index);
	if (pool->retired || pool->paused)
		pcfg_idle_condemn_all(pool, pool->retired ? PCFG_CLOSE_RETIRED : PCFG_CLOSE_PAUSE,
							  &wakes);
	pcfg_dispatch(pool, &wakes);
	if (pool->nidle > pool->policy.value[PCFG_POOL_SIZE])
		pcfg_idle_condemn(pool, pool->idle_tail, PCFG_CLOSE_SURPLUS, &wakes);
	/* who waits for a place may need the one of this connection more */
	if (pool->nidle > 0 && pg_atomic_read_u32(&pcfg_shared->nstarving) > 0)
		wakes.worker = true;
	pcfg_unlock_and_wake(pool, &wakes);
}

static void
note_failure(PcfgPool *pool, const char *sqlstate, const char *message,
			 const char *said, PcfgTime retry_at, bool lasting)
{
	pool->stats.connect_failures++;
	pool->cause.failures++;
	pool->cause.retry_at = retry_at;
	pool->cause.lasting = lasting;
	strlcpy(pool->cause.sqlstate, sqlstate, sizeof(pool->cause.sqlstate));
	strlcpy(pool->cause.message, message, sizeof(pool->cause.message));
	strlcpy(pool->cause.said, said, sizeof(pool->cause.said));
	strlcpy(pool->last_error, message, sizeof(pool->last_error));
	pool->last_error_at = pcfg_now();
}

/*
 * An empty sqlstate releases the reservation without a failure.
 */
void
pcfg_slot_connect_failed(int index, const char *sqlstate, const char *message,
						 const char *said, PcfgTime retry_at)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgPool   *pool = &pcfg_pools[slot->pool];
	PcfgWakes		wakes = {0};
	bool		lasting = sqlstate[0] != '\0' &&
		pcfg_failure_class(sqlstate, said[0] != '\0' ? said : message) == PCFG_FAILURE_LASTING;

	if (lasting)
		LWLockAcquire(&pcfg_shared->directory_lock, LW_EXCLUSIVE);
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	pool->nconnecting--;
	empty_slot(pool, slot, pg_atomic_read_u64(&slot->word));
	if (sqlstate[0] != '\0')
		note_failure(pool, sqlstate, message, said, retry_at, lasting);
	if (lasting)
	{
		pcfg_failure_keep(pool);
		LWLockRelease(&pcfg_shared->directory_lock);
	}
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
	pcfg_dispatch_starving();
}

void
pcfg_slot_condemn(int index, uint32 generation, PcfgCloseReason reason)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgWakes		wakes = {0};
	PcfgPool   *pool;
	uint64		word;

	if (slot->pool == PCFG_NONE)
		return;
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	word = pg_atomic_read_u64(&slot->word);
	if (slot->generation == generation &&
		(pcfg_word_state(word) == PCFG_SLOT_IDLE ||
		 (pcfg_word_state(word) == PCFG_SLOT_LEASED && reason != PCFG_CLOSE_EVICTED)))
	{
		word = pg_atomic_fetch_or_u64(&slot->word, PCFG_WORD_CONDEMN);
		if (reason == PCFG_CLOSE_REMOTE)
			pcfg_pool_note_break(pool, slot);
		/* what recycle() leaves to its holder may end all the same */
		if (slot->reason == PCFG_CLOSE_UNKNOWN || slot->reason == PCFG_CLOSE_RECYCLE)
			slot->reason = reason;
		if (pcfg_word_state(word) == PCFG_SLOT_IDLE)
			pcfg_idle_condemn(pool, index, reason, &wakes);
		if (reason == PCFG_CLOSE_REMOTE)
			pcfg_pool_suspect(pool, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
}

void
pcfg_slot_closed(int index)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgPool   *pool = &pcfg_pools[slot->pool];
	PcfgWakes		wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	empty_slot(pool, slot, pg_atomic_read_u64(&slot->word));
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
	pcfg_dispatch_starving();
}

bool
pcfg_slot_owner_died(int index, uint32 owner, int pid)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgWakes	wakes = {0};
	PcfgPool   *pool;
	uint64		word;
	bool		had = false;

	if (slot->pool == PCFG_NONE)
		return false;
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	word = pg_atomic_read_u64(&slot->word);
	if (pcfg_word_state(word) == PCFG_SLOT_LEASED &&
		pcfg_word_owner(word) == owner && slot->holder_pid == pid)
	{
		slot->reason = PCFG_CLOSE_DIED;
		had = pcfg_slot_end(slot, word, PCFG_CLOSE_DIED, true, PCFG_BY_WORKER, &wakes);
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return had;
}

int
pcfg_offer_next(void)
{
	int			i;

	for (i = 0; i < PCFG_OFFER_WORDS(pcfg_shared->nslots); i++)
	{
		uint64		bits = pg_atomic_read_u64(&pcfg_offers[i]);
		int			bit;

		if (bits == 0)
			continue;
		bit = pg_rightmost_one_pos64(bits);
		pg_atomic_fetch_and_u64(&pcfg_offers[i], ~(UINT64CONST(1) << bit));
		return i * PCFG_OFFER_BITS + bit;
	}
	return PCFG_NONE;
}

size_t
pcfg_offer_read(int index, char *data, uint64 *use, int *procno)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	uint64		word = pg_atomic_read_u64(&slot->word);
	const PcfgPost *post;
	size_t		len;

	*use = pcfg_word_use(word);
	if (pcfg_word_state(word) != PCFG_SLOT_LEASED ||
		pg_atomic_read_u64(&slot->post) != pcfg_post_word(*use, PCFG_POST_OFFERED))
		return 0;
	*procno = (int) pcfg_word_owner(word) - 1;
	/* an old bit, and the new grant is not complete: its own bit follows */
	if (pg_atomic_read_u32(&pcfg_waiters[*procno].state) != PCFG_WAIT_GRANTED)
		return 0;
	pg_read_barrier();
	post = &pcfg_posts[*procno];
	len = Min(post->len, PCFG_POST_MAX);
	memcpy(data, post->data, len);
	return len;
}

bool
pcfg_offer_take(int index, uint64 use)
{
	uint64		offered = pcfg_post_word(use, PCFG_POST_OFFERED);

	return pg_atomic_compare_exchange_u64(&pcfg_slots[index].post, &offered,
										  pcfg_post_word(use, PCFG_POST_SENT));
}

void
pcfg_offer_decline(int index, uint64 use, int procno)
{
	uint64		offered = pcfg_post_word(use, PCFG_POST_OFFERED);

	if (pg_atomic_compare_exchange_u64(&pcfg_slots[index].post, &offered,
									   pcfg_post_word(use, PCFG_POST_NONE)))
		pcfg_wake_process(procno);
}

/* When a lease is to be taken back; lock held. */
static PcfgTime
reclaim_time(const PcfgPool *pool, PcfgSlot *slot)
{
	uint64		word = pg_atomic_read_u64(&slot->word);

	if (pcfg_word_state(word) != PCFG_SLOT_LEASED || slot->resting_since == 0)
		return PCFG_FOREVER;
	/* recycle() leaves it to its holder; all else that condemns it ends it */
	if (pcfg_word_condemned(word) && slot->reason != PCFG_CLOSE_RECYCLE)
		return 0;
	/* a transaction ends with the local one */
	if (slot->held != PCFG_HELD_ACQUIRE)
		return PCFG_FOREVER;
	return slot->resting_since + pool->policy.value[PCFG_IDLE_LEASE_TIMEOUT];
}

PcfgTime
pcfg_slot_reclaim(int index, PcfgTime now)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgWakes	wakes = {0};
	PcfgPool   *pool;
	PcfgTime	at;

	if (slot->pool == PCFG_NONE || slot->resting_since == 0)
		return PCFG_FOREVER;
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	at = reclaim_time(pool, slot);
	if (at <= now)
	{
		uint64		word = pg_atomic_read_u64(&slot->word);

		/* it rests, so no message is half-written */
		if (!pcfg_word_condemned(word))
			slot->reason = PCFG_CLOSE_UNUSED;
		(void) pcfg_slot_end(slot, word, slot->reason, false, PCFG_BY_WORKER, &wakes);
		at = now;
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return at;
}

bool
pcfg_pool_asks_for_pooler(int index)
{
	const PcfgPool *pool = &pcfg_pools[index];

	return !pool->proven && pool->policy.value[PCFG_POOLER] == PCFG_POOLER_AUTO;
}

void
pcfg_pool_note_pooler(int index, bool pooled)
{
	PcfgPool   *pool = &pcfg_pools[index];

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	pool->pooled = pooled;
	LWLockRelease(&pool->lock);
}

/* Closes what is too old, or has been idle for too long. */
static void
close_expired(PcfgPool *pool, PcfgTime now, PcfgWakes *wakes)
{
	int64		idle_timeout = pool->policy.value[PCFG_IDLE_TIMEOUT];
	int			next;
	int			i;

	for (i = pool->idle_head; i != PCFG_NONE; i = next)
	{
		next = pcfg_slots[i].next_idle;
		if (pool->retired)
			pcfg_idle_condemn(pool, i, PCFG_CLOSE_RETIRED, wakes);
		else if (pcfg_slots[i].recycle_at <= now)
			pcfg_idle_condemn(pool, i, PCFG_CLOSE_AGE, wakes);
	}
	for (i = pool->idle_tail; i != PCFG_NONE && idle_timeout > 0; i = next)
	{
		next = pcfg_slots[i].prev_idle;
		if (pool->nidle > pool->policy.value[PCFG_MIN_IDLE] &&
			now - pcfg_slots[i].returned_at >= idle_timeout)
			pcfg_idle_condemn(pool, i, PCFG_CLOSE_IDLE, wakes);
	}
}

void
pcfg_pool_tick(int index, PcfgTime now)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes		wakes = {0};

	if (pg_atomic_read_u32(&pool->serial) == 0)
		return;
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	close_expired(pool, now, &wakes);
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
}

/* Modes that leave the state of a session alone leave it to us, too. */
static bool
may_reset(const PcfgPool *pool)
{
	int64		mode = pool->policy.value[PCFG_POOL_RESET];

	return (mode == PCFG_RESET_AUTO || mode == PCFG_RESET_ALWAYS) &&
		pool->policy.value[PCFG_POOLER] != PCFG_POOLER_TRANSACTION;
}

PcfgCare
pcfg_slot_care(int index, PcfgTime now, PcfgTime *at)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	int			pool = slot->pool;

	*at = PCFG_FOREVER;
	if (pool == PCFG_NONE || !slot->in_idle_list)
		return PCFG_CARE_NONE;
	if (pcfg_slot_is_suspect(&pcfg_pools[pool], slot))
		return PCFG_CARE_PROBE;
	if (!slot->dirty || !may_reset(&pcfg_pools[pool]))
		return PCFG_CARE_NONE;
	*at = slot->returned_at + RESET_AFTER;
	return *at <= now ? PCFG_CARE_RESET : PCFG_CARE_NONE;
}

bool
pcfg_slot_lease_for_care(int index, PcfgCare care, PcfgGrant *grant)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgWakes	wakes = {0};
	PcfgTime	now = pcfg_now();
	PcfgTime	at;
	PcfgPool   *pool;
	bool		ok = false;

	if (slot->pool == PCFG_NONE)
		return false;
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (slot->pool == pcfg_pool_index(pool) && pcfg_slot_care(index, now, &at) == care &&
		pool->wait_head == PCFG_NONE &&
		pcfg_slot_lease(pool, index, pcfg_my_owner(), &grant->word, &wakes))
	{
		grant->slot = index;
		grant->same = false;
		slot->leased_at = now;
		slot->holder_pid = MyProcPid;
		ok = true;
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return ok;
}

void
pcfg_slot_return_from_care(const PcfgGrant *grant, PcfgCare care, bool ok)
{
	PcfgSlot   *slot = &pcfg_slots[grant->slot];
	PcfgPool   *pool = &pcfg_pools[slot->pool];
	uint64		word = grant->word;
	PcfgWakes	wakes = {0};

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (ok)
	{
		slot->alive_at = pcfg_now();
		slot->owed = false;
		if (care == PCFG_CARE_RESET)
			slot->dirty = false;
	}
	if (ok && !pool->retired && !pool->paused && pcfg_pool_excess(pool) == 0 &&
		pcfg_slot_move(slot, &word, PCFG_SLOT_IDLE, 0, pcfg_word_use(word), PCFG_BY_HOLDER))
	{
		pcfg_idle_put_back(pool, grant->slot);
		if (pg_atomic_read_u32(&pcfg_shared->nstarving) > 0)
			wakes.worker = true;
	}
	else
	{
		(void) pcfg_slot_end(slot, word, ok ? PCFG_CLOSE_SURPLUS :
							 care == PCFG_CARE_PROBE ? PCFG_CLOSE_PING : PCFG_CLOSE_RESET,
							 !ok, PCFG_BY_HOLDER, &wakes);
	}
	if (pool->wait_head != PCFG_NONE)
		pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
}

/*
 * The connection whose place the starving pool could have: one that has been
 * idle longest, of another pool; rather of one that has more than min_idle.
 * PCFG_NONE when there is no such one, or a place will be free at once.
 * Read without locks: a hint.
 */
static int
find_spare(const PcfgPool *starving, bool in_family)
{
	PcfgTime	oldest = PCFG_FOREVER;
	int			spare = PCFG_NONE;
	bool		spare_is_warm = true;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		PcfgSlot   *slot = &pcfg_slots[i];
		PcfgSlotState state = pcfg_word_state(pg_atomic_read_u64(&slot->word));
		int			index = slot->pool;
		PcfgPool   *pool = index == PCFG_NONE ? NULL : &pcfg_pools[index];
		bool		warm;

		if (in_family && (pool == NULL || pool->family != starving->family))
			continue;
		if (state == PCFG_SLOT_EMPTY || state == PCFG_SLOT_CONDEMNED)
			return PCFG_NONE;
		if (state != PCFG_SLOT_IDLE || pool == NULL || pool == starving)
			continue;
		warm = pool->nidle <= pool->policy.value[PCFG_MIN_IDLE];
		if (spare == PCFG_NONE || (spare_is_warm && !warm) ||
			(spare_is_warm == warm && slot->returned_at < oldest))
		{
			oldest = slot->returned_at;
			spare = i;
			spare_is_warm = warm;
		}
	}
	return spare;
}

/* Whether the pool's target has all the connections that it may have. */
static bool
family_is_full(const PcfgPool *pool)
{
	int64		limit = pool->policy.value[PCFG_TARGET_LIMIT];

	return limit >= 0 &&
		(int64) pg_atomic_read_u32(&pcfg_families[pool->family].nopen) >= limit;
}

void
pcfg_pool_relieve(void)
{
	int			i;

	if (pg_atomic_read_u32(&pcfg_shared->nstarving) == 0)
		return;
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		int			spare;

		/* whose own older connections are in the way need not disturb others */
		if (pool->starving_since == 0 || pcfg_pool_waits_for_older(pool))
			continue;
		spare = find_spare(pool, family_is_full(pool));
		if (spare != PCFG_NONE)
			pcfg_slot_condemn(spare, pcfg_slots[spare].generation, PCFG_CLOSE_EVICTED);
	}
	/* what is free already may have come between a look and the starving */
	pcfg_dispatch_starving();
}
