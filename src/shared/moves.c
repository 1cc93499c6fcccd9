/*-------------------------------------------------------------------------
 *
 * shared/moves.c
 *	  Moves of slots between their states, and of processes into the queue and out.
 *
 * Floor 3; worker and backends; no waiting, no ereport, no network.
 *
 * Everything here runs under the pool's lock.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/moves.h"
#include "shared/trace.h"

/* ----------------------------------------------------------------
 * slots
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
			pcfg_trace_note((int) (slot - pcfg_slots), seen, pcfg_word(to, owner, use),
							pcfg_my_owner(), mover);
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

bool
pcfg_slot_end(PcfgSlot *slot, uint64 word, PcfgCloseReason reason, bool in_doubt,
			  PcfgMover mover, PcfgWakes *wakes)
{
	slot->in_doubt = in_doubt;
	if (slot->reason == PCFG_CLOSE_UNKNOWN)
		slot->reason = reason;
	wakes->worker = true;
	return pcfg_slot_move(slot, &word, PCFG_SLOT_CONDEMNED, 0, pcfg_word_use(word), mover);
}

/* A slot that became IDLE joins the list behind "before"; PCFG_NONE = first. */
static void
idle_insert(PcfgPool *pool, int index, int before)
{
	PcfgSlot   *slot = &pcfg_slots[index];
	int		   *forth = before == PCFG_NONE ? &pool->idle_head : &pcfg_slots[before].next_idle;
	int		   *back = *forth == PCFG_NONE ? &pool->idle_tail : &pcfg_slots[*forth].prev_idle;

	slot->prev_idle = before;
	slot->next_idle = *forth;
	*forth = *back = index;
	slot->in_idle_list = true;
	pool->nidle++;
}

void
pcfg_idle_push(PcfgPool *pool, int index)
{
	idle_insert(pool, index, PCFG_NONE);
}

void
pcfg_idle_put_back(PcfgPool *pool, int index)
{
	int			before = PCFG_NONE;
	int			after = pool->idle_head;

	while (after != PCFG_NONE &&
		   pcfg_slots[after].returned_at > pcfg_slots[index].returned_at)
	{
		before = after;
		after = pcfg_slots[after].next_idle;
	}
	idle_insert(pool, index, before);
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

	idle_remove(pool, index);
	(void) pcfg_slot_end(slot, pg_atomic_read_u64(&slot->word), reason, false,
						 PCFG_BY_LOCK, wakes);
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
