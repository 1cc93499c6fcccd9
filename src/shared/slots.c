/*-------------------------------------------------------------------------
 *
 * shared/slots.c
 *	  What the worker tells of connections.
 *
 * Floor 4; worker and backends; no waiting, no ereport, no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "common/pg_prng.h"
#include "shared/dispatch.h"
#include "shared/slots.h"

/* The slot leaves its pool; lock held, word is CONNECTING or CONDEMNED. */
static void
empty_slot(PcfgPool *pool, PcfgSlot *slot, uint64 word)
{
	slot->pool = PCFG_NONE;
	slot->relay = slot->dirty = slot->password_used = false;
	slot->remote_pid = 0;
	pool->nopen--;
	/* last: from here on another pool may reserve it */
	(void) pcfg_slot_move(slot, &word, PCFG_SLOT_EMPTY, 0, pcfg_word_use(word) + 1,
					 PCFG_BY_WORKER);
}

/*
 * Connections of an earlier worker died with it: what nobody holds becomes
 * EMPTY; a LEASED slot keeps its holder, who finds it dead, and gets the
 * condemn bit.  Waiters are woken to bring their credentials again.
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
			pcfg_idle_condemn(pool, i, &wakes);
		else if (pcfg_word_state(word) == PCFG_SLOT_CONNECTING)
			pool->nconnecting--;
		word = pg_atomic_read_u64(&slot->word);
		if (pcfg_word_state(word) == PCFG_SLOT_LEASED &&
			pcfg_word_owner(word) == pcfg_my_owner())
			(void) pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0,
							 pcfg_word_use(word), PCFG_BY_HOLDER);
		if (pcfg_word_state(word) != PCFG_SLOT_LEASED)
			empty_slot(pool, slot, word);
		LWLockRelease(&pool->lock);
	}
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgWakes		wakes = {0};

		LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
		memset(&pool->cause, 0, sizeof(pool->cause));
		if (pool->wait_head != PCFG_NONE)
			pcfg_dispatch(pool, &wakes);
		pcfg_unlock_and_wake(pool, &wakes);
	}
	for (i = 0; i < pcfg_shared->nwaiters; i++)
	{
		if (pg_atomic_read_u32(&pcfg_waiters[i].state) == PCFG_WAIT_QUEUED)
			pcfg_wake_process(i);
	}
}

/*
 * When the connection is to be replaced: its age limit less up to a tenth,
 * so that connections made together do not end together.
 */
static PcfgTime
recycle_time(const PcfgPolicy *policy, PcfgTime now)
{
	int64		age = policy->value[PCFG_POOL_RECYCLE];

	if (age < 0)
		return PCFG_FOREVER;
	return now + age - (PcfgTime) (pg_prng_double(&pg_global_prng_state) * 0.1 * (double) age);
}

void
pcfg_slot_connected(int index, int remote_pid, int server_version,
					bool password_used, bool relay)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgPool   *pool = &pcfg_pools[slot->pool];
	PcfgWakes		wakes = {0};
	uint64		word;

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	word = pg_atomic_read_u64(&slot->word);
	slot->generation++;
	slot->remote_pid = remote_pid;
	slot->server_version = server_version;
	slot->password_used = password_used;
	slot->relay = relay;
	slot->connected_at = slot->returned_at = pcfg_now();
	slot->recycle_at = recycle_time(&pool->policy, slot->connected_at);
	slot->last_role = InvalidOid;
	slot->dirty = false;
	slot->leased_at = 0;
	slot->uses = slot->bytes_sent = slot->bytes_received = 0;
	pool->nconnecting--;
	pool->connects++;
	memset(&pool->cause, 0, sizeof(pool->cause));
	(void) pcfg_slot_move(slot, &word, PCFG_SLOT_IDLE, 0, pcfg_word_use(word), PCFG_BY_WORKER);
	pcfg_idle_push(pool, index);
	if (pool->retired)
		pcfg_idle_condemn_all(pool, &wakes);
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
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

	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	pool->nconnecting--;
	empty_slot(pool, slot, pg_atomic_read_u64(&slot->word));
	if (sqlstate[0] != '\0')
	{
		pool->connect_failures++;
		pool->cause.failures++;
		pool->cause.retry_at = retry_at;
		strlcpy(pool->cause.sqlstate, sqlstate, sizeof(pool->cause.sqlstate));
		strlcpy(pool->cause.message, message, sizeof(pool->cause.message));
		strlcpy(pool->cause.said, said, sizeof(pool->cause.said));
	}
	pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
	pcfg_dispatch_starving();
}

void
pcfg_slot_condemn(int index, uint32 generation)
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
		 pcfg_word_state(word) == PCFG_SLOT_LEASED))
	{
		word = pg_atomic_fetch_or_u64(&slot->word, PCFG_WORD_CONDEMN);
		if (pcfg_word_state(word) == PCFG_SLOT_IDLE)
			pcfg_idle_condemn(pool, index, &wakes);
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
		slot->in_doubt = true;
		had = pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0, pcfg_word_use(word),
							 PCFG_BY_WORKER);
		wakes.worker = true;
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return had;
}

/*
 * Time passed: a connect after a failure may be due now, and idle
 * connections may have come of age.
 */
void
pcfg_pool_tick(int index, PcfgTime now)
{
	PcfgPool   *pool = &pcfg_pools[index];
	PcfgWakes		wakes = {0};
	int			i;

	if (pg_atomic_read_u32(&pool->serial) == 0)
		return;
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	i = pool->idle_head;
	while (i != PCFG_NONE)
	{
		int			next = pcfg_slots[i].next_idle;

		if (pool->retired || pcfg_slots[i].recycle_at <= now)
			pcfg_idle_condemn(pool, i, &wakes);
		i = next;
	}
	if (pool->wait_head != PCFG_NONE)
		pcfg_dispatch(pool, &wakes);
	pcfg_unlock_and_wake(pool, &wakes);
}

bool
pcfg_slot_lease_dirty(int index, PcfgTime before, PcfgGrant *grant)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	PcfgWakes	wakes = {0};
	PcfgPool   *pool;
	bool		ok = false;

	if (slot->pool == PCFG_NONE)
		return false;
	pool = &pcfg_pools[slot->pool];
	LWLockAcquire(&pool->lock, LW_EXCLUSIVE);
	if (slot->in_idle_list && slot->dirty && slot->returned_at <= before &&
		slot->pool == pcfg_pool_index(pool) && pool->wait_head == PCFG_NONE &&
		pcfg_slot_lease(pool, index, pcfg_my_owner(), &grant->word, &wakes))
	{
		grant->slot = index;
		grant->same = false;
		slot->leased_at = pcfg_now();
		slot->holder_pid = MyProcPid;
		ok = true;
	}
	pcfg_unlock_and_wake(pool, &wakes);
	return ok;
}

void
pcfg_pool_relieve(void)
{
	int			spare = PCFG_NONE;
	PcfgTime	oldest = PCFG_FOREVER;
	int			i;

	if (pg_atomic_read_u32(&pcfg_shared->nstarving) == 0)
		return;

	/* read without locks: a hint, checked again under the lock */
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		PcfgSlot   *slot = &pcfg_slots[i];
		PcfgSlotState state = pcfg_word_state(pg_atomic_read_u64(&slot->word));
		int			pool = slot->pool;

		if (state == PCFG_SLOT_EMPTY || state == PCFG_SLOT_CONDEMNED)
		{
			spare = PCFG_NONE;
			break;				/* one is free, or will be at once */
		}
		if (state == PCFG_SLOT_IDLE && pool != PCFG_NONE &&
			pcfg_pools[pool].starving_since == 0 &&
			pcfg_pools[pool].nidle > pcfg_pools[pool].policy.value[PCFG_MIN_IDLE] &&
			slot->returned_at < oldest)
		{
			oldest = slot->returned_at;
			spare = i;
		}
	}
	if (spare != PCFG_NONE)
		pcfg_slot_condemn(spare, pcfg_slots[spare].generation);
	else
		pcfg_dispatch_starving();
}

