/*-------------------------------------------------------------------------
 *
 * test_queue_model.c
 *	  Exhaustive model of leasing, queueing and dispatching.
 *
 * Every reachable state of a few clients, slots and pools is visited, with
 * cancels, hang-ups, failing connects, pauses and the worker's own use of
 * idle connections at any moment.  One step of the model is one section of
 * shared/ under the pool's lock; latches are set in steps of their own
 * afterwards, as there.  Two pools do not share a lock: that a pool lacks a
 * place is noted in a step of its own, for the other may free one between the
 * look and the note.  Moves of slots are checked against the table that the C
 * code asserts (slot_moves.def).
 *
 * Checked in every state: moves are legal, no connection has two owners, the
 * limits hold, those over several pools too, a dead connection never becomes
 * idle, a pool that never reached its remote tries once at a time, nobody is
 * served while somebody waits who had come before his call began.  Checked in
 * every state from which nothing more can happen: nobody waits, nothing is
 * leased, min_idle holds.
 *
 * Then each safety measure is left out in turn, and the model has to notice.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/slot_state.h"

#define MAX_CLIENTS 4
#define MAX_SLOTS	3
#define MAX_POOLS	2
#define NOBODY		(-1)
#define WORKER		100			/* as an owner */

/* Bits of what a process has still to do after its section. */
#define WAKE_WORKER	0x80
#define STARVES(p)	(0x10 << (p))

typedef enum Mutant
{
	NO_MUTANT,
	GIVER_DOES_NOT_DISPATCH,
	WAITER_DOES_NOT_DISPATCH,
	GRANT_DOES_NOT_WAKE,
	ABANDONED_GRANT_IS_LOST,
	ABANDONED_PLACE_STAYS_LINKED,
	CLOSED_SLOT_DOES_NOT_DISPATCH,
	FAILED_CONNECT_TELLS_NOBODY,
	CONDEMN_BIT_IGNORED,
	DEAD_GRANT_GOES_TO_TAIL,
	FREED_SLOT_FORGETS_STARVING,
	NOBODY_RELIEVES,
	RESUME_DOES_NOT_DISPATCH,
	LIMIT_IGNORES_CONNECTING,
	WORKER_IS_NOT_WOKEN,
	RETRY_TIMER_DOES_NOT_DISPATCH,
	CONNECTED_DOES_NOT_DISPATCH,
	GRANT_SKIPS_HEAD,
	RETURN_FORGETS_STARVING,
	STARVING_DOES_NOT_WAKE,
	TARGET_LIMIT_IGNORED,
	CARE_DOES_NOT_DISPATCH,
	CARE_FORGETS_STARVING,
	NOT_KEPT_WARM,
	UNPROVEN_DIALS_ALL,
	PAUSE_KEEPS_RETURNED,
	NMUTANTS
} Mutant;

static const char *const mutant_names[NMUTANTS] = {
	"none", "giver does not dispatch", "waiter does not dispatch",
	"grant does not wake", "abandoned grant is lost",
	"abandoned place stays linked",
	"closed slot does not dispatch", "failed connect tells nobody",
	"condemn bit ignored at give-back", "dead grant goes to the tail",
	"freed slot forgets starving pools", "nobody relieves a starving pool",
	"resume does not dispatch", "limit ignores connecting slots",
	"worker is not woken", "retry timer does not dispatch",
	"connected slot does not dispatch", "grant skips the head",
	"return forgets starving pools", "starving does not wake the worker",
	"target_limit is not looked at", "end of care does not dispatch",
	"end of care forgets starving pools",
	"min_idle is not kept", "unproven pool dials for everybody",
	"paused pool keeps what comes back"
};

typedef enum Pc
{
	READY,						/* between calls */
	CALLING,					/* the call began, lock not yet taken */
	WAITING,					/* in the queue or just out of it */
	HOLDING,
	DONE
} Pc;

typedef enum Wait
{
	W_NONE, W_QUEUED, W_GRANTED, W_FAILED
} Wait;

typedef struct Client
{
	int8_t		pc;
	int8_t		wait;
	int8_t		slot;			/* granted or held */
	int8_t		latch;
	int8_t		rounds;			/* calls left */
	int8_t		ticket;			/* my turn in the pool, kept while I call */
	int8_t		before;			/* mask: who waited when my call began */
	uint8_t		pend;			/* mask of latches to set, and see above */
} Client;

typedef struct Slot
{
	int8_t		state;
	int8_t		owner;			/* client or NOBODY */
	int8_t		condemn;
	int8_t		dead;			/* the connection is gone */
	int8_t		known;			/* the worker works on it */
	int8_t		pool;
} Slot;

typedef struct Pool
{
	int8_t		queue[MAX_CLIENTS];
	int8_t		nqueue;
	int8_t		nopen;
	int8_t		nconnecting;
	int8_t		paused;
	int8_t		failures;		/* the last connect failed … */
	int8_t		retry;			/* … and it is not yet time to try again */
	int8_t		proven;			/* some connect succeeded */
	int8_t		starving;		/* rank, 0 = no */
	int8_t		next_ticket;
} Pool;

typedef struct State
{
	Client		client[MAX_CLIENTS];
	Slot		slot[MAX_SLOTS];
	Pool		pool[MAX_POOLS];
	int8_t		worker_latch;
	uint8_t		worker_pend;
	int8_t		hangups;		/* that may still happen */
	int8_t		failures;
	int8_t		pauses;
	int8_t		cares;
	int8_t		broken;			/* a property failed */
} State;

typedef struct Config
{
	int			clients;
	int			slots;
	int			pools;
	int			limit;			/* of each pool */
	int			rounds;
	int			hangups;
	int			failures;
	int			pauses;
	int			cancels;
	int			patient;		/* a failing remote is just starting up: its
								 * waiters wait on */
	int			target_limit;	/* of all pools together; 0 = none */
	int			min_idle;
	int			cares;			/* resets and probes by the worker */
} Config;

static Config cfg;
static Mutant mutant;
static const char *why;

static int
pool_of(int c)
{
	return c % cfg.pools;
}

static void
fail(State *s, const char *reason)
{
	if (!s->broken)
		why = reason;
	s->broken = 1;
}

static void
move(State *s, int i, PcfgSlotState to, PcfgMover mover)
{
	Slot	   *slot = &s->slot[i];

	if (!pcfg_move_is_legal((PcfgSlotState) slot->state, to, mover))
		fail(s, "illegal move");
	if (to == PCFG_SLOT_LEASED && slot->owner != NOBODY)
		fail(s, "two owners");
	if (to == PCFG_SLOT_IDLE && slot->condemn)
		fail(s, "condemned connection became idle");
	slot->state = (int8_t) to;
}

static void
condemn_idle(State *s, int i, uint8_t *pend)
{
	move(s, i, PCFG_SLOT_CONDEMNED, PCFG_BY_LOCK);
	*pend |= WAKE_WORKER;
}

/* Takes some idle slot of the pool for a client. */
static int
lease_any(State *s, int p, int c, uint8_t *pend)
{
	int			i;

	for (i = 0; i < cfg.slots; i++)
	{
		Slot	   *slot = &s->slot[i];

		if (slot->state != PCFG_SLOT_IDLE || slot->pool != p)
			continue;
		if (slot->condemn)
		{
			condemn_idle(s, i, pend);
			continue;
		}
		move(s, i, PCFG_SLOT_LEASED, PCFG_BY_LOCK);
		slot->owner = (int8_t) c;
		return i;
	}
	return NOBODY;
}

static void
unlink_client(State *s, int p, int c)
{
	Pool	   *pool = &s->pool[p];
	int			i,
				j = 0;

	for (i = 0; i < pool->nqueue; i++)
	{
		if (pool->queue[i] != c)
			pool->queue[j++] = pool->queue[i];
	}
	for (i = j; i < MAX_CLIENTS; i++)
		pool->queue[i] = NOBODY;
	pool->nqueue = (int8_t) j;
}

/* Queues by ticket: who was granted a dead connection has an old one. */
static void
link_client(State *s, int p, int c, int at_tail)
{
	Pool	   *pool = &s->pool[p];
	int			i = pool->nqueue;

	while (!at_tail && i > 0 &&
		   s->client[pool->queue[i - 1]].ticket > s->client[c].ticket)
		i--;
	memmove(pool->queue + i + 1, pool->queue + i, (size_t) (pool->nqueue - i));
	pool->queue[i] = (int8_t) c;
	pool->nqueue++;
	s->client[c].wait = W_QUEUED;
	s->client[c].pc = WAITING;
}

static void
set_starving(State *s, int p, int starving)
{
	int			i,
				rank = 0;

	if (!starving)
		s->pool[p].starving = 0;
	else if (s->pool[p].starving == 0)
	{
		for (i = 0; i < cfg.pools; i++)
		{
			if (s->pool[i].starving > rank)
				rank = s->pool[i].starving;
		}
		s->pool[p].starving = (int8_t) (rank + 1);
	}
	/* ranks are kept small so that the states stay finite */
	if (cfg.pools == 2 && s->pool[0].starving + s->pool[1].starving > 0)
	{
		if (s->pool[0].starving && s->pool[1].starving)
		{
			int			first = s->pool[0].starving < s->pool[1].starving ? 0 : 1;

			s->pool[first].starving = 1;
			s->pool[1 - first].starving = 2;
		}
		else
			s->pool[s->pool[0].starving ? 0 : 1].starving = 1;
	}
}

/* The last connect failed just now, and nothing is alive or dialling. */
static int
is_down(const Pool *pool)
{
	return !cfg.patient && pool->nopen == 0 && pool->failures && pool->retry;
}

/* Somebody who waited when my call began must not be waiting still. */
static void
check_turn(State *s, int c)
{
	int			i;

	for (i = 0; i < cfg.clients; i++)
	{
		if (i != c && (s->client[c].before & (1 << i)) &&
			s->client[i].wait == W_QUEUED)
			fail(s, "overtaken");
	}
}

static int
count_open(const State *s)
{
	int			i,
				n = 0;

	for (i = 0; i < cfg.pools; i++)
		n += s->pool[i].nopen;
	return n;
}

static int
count_idle(const State *s, int p)
{
	int			i,
				n = 0;

	for (i = 0; i < cfg.slots; i++)
		n += s->slot[i].state == PCFG_SLOT_IDLE && s->slot[i].pool == p;
	return n;
}

static int
anybody_starves(const State *s)
{
	int			i;

	for (i = 0; i < cfg.pools; i++)
	{
		if (s->pool[i].starving)
			return 1;
	}
	return 0;
}

static int
reserve_connect(State *s, int p, uint8_t *pend)
{
	int			i;

	if (cfg.target_limit && mutant != TARGET_LIMIT_IGNORED &&
		count_open(s) >= cfg.target_limit)
		return 0;
	for (i = 0; i < cfg.slots; i++)
	{
		if (s->slot[i].state == PCFG_SLOT_EMPTY)
		{
			move(s, i, PCFG_SLOT_CONNECTING, PCFG_BY_LOCK);
			s->slot[i].pool = (int8_t) p;
			s->pool[p].nopen++;
			s->pool[p].nconnecting++;
			if (mutant != WORKER_IS_NOT_WOKEN)
				*pend |= WAKE_WORKER;
			return 1;
		}
	}
	return 0;
}

static void
reserve_connects(State *s, int p, uint8_t *pend)
{
	Pool	   *pool = &s->pool[p];
	int			room = cfg.limit - pool->nopen;
	int			n = pool->nqueue - pool->nconnecting;
	int			at_once = MAX_SLOTS;

	if (mutant == LIMIT_IGNORES_CONNECTING)
		room += pool->nconnecting;
	if (pool->failures || (!pool->proven && mutant != UNPROVEN_DIALS_ALL))
		at_once = pool->nconnecting > 0 || pool->retry ? 0 : 1;
	n = n > room ? room : n;
	n = n > at_once ? at_once : n;
	while (n > 0 && reserve_connect(s, p, pend))
	{
		n--;
		at_once--;
	}
	if (n > 0 && !pool->starving)
	{
		*pend |= (uint8_t) STARVES(p);
		if (mutant != STARVING_DOES_NOT_WAKE)
			*pend |= WAKE_WORKER;
	}
	else if (n <= 0)
		set_starving(s, p, 0);
	if (pool->nqueue == 0 && !anybody_starves(s) && mutant != NOT_KEPT_WARM)
	{
		while (at_once-- > 0 && pool->nopen < cfg.limit &&
			   count_idle(s, p) + pool->nconnecting < cfg.min_idle &&
			   reserve_connect(s, p, pend))
			;
	}
}

static void
dispatch(State *s, int p, uint8_t *pend)
{
	Pool	   *pool = &s->pool[p];
	int			i;

	while (pool->nqueue > 0)
	{
		int			c = pool->queue[mutant == GRANT_SKIPS_HEAD ? pool->nqueue - 1 : 0];

		if (is_down(pool))
		{
			unlink_client(s, p, c);
			s->client[c].wait = W_FAILED;
			*pend |= (uint8_t) (1 << c);
			continue;
		}
		if (pool->paused)
			break;
		i = lease_any(s, p, c, pend);
		if (i == NOBODY)
			break;
		unlink_client(s, p, c);
		check_turn(s, c);
		s->client[c].wait = W_GRANTED;
		s->client[c].slot = (int8_t) i;
		if (mutant != GRANT_DOES_NOT_WAKE)
			*pend |= (uint8_t) (1 << c);
	}
	if (pool->paused)
		set_starving(s, p, 0);
	else
		reserve_connects(s, p, pend);
	if (pool->nopen > cfg.limit)
		fail(s, "limit exceeded");
	if (cfg.target_limit && count_open(s) > cfg.target_limit)
		fail(s, "target_limit exceeded");
	if (!pool->proven && pool->nconnecting > 1)
		fail(s, "two attempts at an unproven remote");
}

static void
dispatch_starving(State *s, uint8_t *pend)
{
	int			rank,
				p;

	if (mutant == FREED_SLOT_FORGETS_STARVING)
		return;
	for (rank = 1; rank <= cfg.pools; rank++)
	{
		for (p = 0; p < cfg.pools; p++)
		{
			if (s->pool[p].starving == rank)
				break;
		}
		if (p == cfg.pools)
			continue;
		dispatch(s, p, pend);
	}
}

/* ---- the steps of a client ---- */

static void
hold(State *s, int c, int slot)
{
	s->client[c].pc = HOLDING;
	s->client[c].slot = (int8_t) slot;
}

static void
end_call(State *s, int c)
{
	Client	   *me = &s->client[c];
	int			i;

	me->slot = NOBODY;
	me->ticket = 0;
	me->before = 0;
	me->latch = 0;
	me->wait = W_NONE;
	me->pc = --me->rounds > 0 ? READY : DONE;
	/* who came after me waits for me no longer */
	for (i = 0; i < cfg.clients; i++)
		s->client[i].before &= (int8_t) ~(1 << c);
}

static void
step_begin(State *s, int c)
{
	int			i;

	s->client[c].pc = CALLING;
	for (i = 0; i < cfg.clients; i++)
	{
		if (i != c && pool_of(i) == pool_of(c) && s->client[i].wait == W_QUEUED)
			s->client[c].before |= (int8_t) (1 << i);
	}
}

static void
step_lease(State *s, int c)
{
	Client	   *me = &s->client[c];
	int			p = pool_of(c);
	Pool	   *pool = &s->pool[p];
	uint8_t		pend = 0;
	int			slot = NOBODY;

	me->ticket = ++pool->next_ticket;
	if (pool->nqueue == 0 && !pool->paused)
		slot = lease_any(s, p, c, &pend);
	if (slot != NOBODY)
	{
		check_turn(s, c);
		hold(s, c, slot);
		if (count_idle(s, p) + pool->nconnecting < cfg.min_idle)
			dispatch(s, p, &pend);
	}
	else if (is_down(pool))
		end_call(s, c);			/* told the cause at once */
	else
	{
		link_client(s, p, c, 0);
		if (mutant != WAITER_DOES_NOT_DISPATCH)
			dispatch(s, p, &pend);
	}
	me->pend = pend;
}

static void
give_back(State *s, int i, int clean, uint8_t *pend)
{
	Slot	   *slot = &s->slot[i];
	int			p = slot->pool;

	slot->owner = NOBODY;
	if (s->pool[p].paused && mutant != PAUSE_KEEPS_RETURNED)
		clean = 0;
	if (clean && (!slot->condemn || mutant == CONDEMN_BIT_IGNORED))
	{
		move(s, i, PCFG_SLOT_IDLE, PCFG_BY_HOLDER);
		if (anybody_starves(s) && mutant != RETURN_FORGETS_STARVING)
			*pend |= WAKE_WORKER;
	}
	else
	{
		move(s, i, PCFG_SLOT_CONDEMNED, PCFG_BY_HOLDER);
		*pend |= WAKE_WORKER;
	}
	if (mutant != GIVER_DOES_NOT_DISPATCH)
		dispatch(s, p, pend);
}

/* The holder finds the connection dead at checkout, or works and returns. */
static void
step_return(State *s, int c)
{
	Client	   *me = &s->client[c];
	uint8_t		pend = 0;
	int			i = me->slot;

	give_back(s, i, !s->slot[i].dead, &pend);
	end_call(s, c);
	me->pend = pend;
}

static void
step_found_dead(State *s, int c)
{
	Client	   *me = &s->client[c];
	uint8_t		pend = 0;
	int			i = me->slot;

	me->slot = NOBODY;
	s->slot[i].owner = NOBODY;
	move(s, i, PCFG_SLOT_CONDEMNED, PCFG_BY_HOLDER);
	pend |= WAKE_WORKER;
	link_client(s, pool_of(c), c, mutant == DEAD_GRANT_GOES_TO_TAIL);
	dispatch(s, pool_of(c), &pend);
	me->pend = pend;
	/* nobody sets his own latch: he looks at his state before he sleeps */
	me->latch = me->wait != W_QUEUED;
}

static void
step_awake(State *s, int c)
{
	Client	   *me = &s->client[c];

	me->latch = 0;
	if (me->wait == W_GRANTED)
	{
		me->wait = W_NONE;
		hold(s, c, me->slot);
	}
	else if (me->wait == W_FAILED)
		end_call(s, c);
}

static void
step_cancel(State *s, int c)
{
	Client	   *me = &s->client[c];
	uint8_t		pend = 0;
	int			p = pool_of(c);

	if (me->wait == W_QUEUED && mutant != ABANDONED_PLACE_STAYS_LINKED)
		unlink_client(s, p, c);
	if (s->pool[p].nqueue == 0)
		set_starving(s, p, 0);
	if (me->wait == W_GRANTED && mutant != ABANDONED_GRANT_IS_LOST)
		give_back(s, me->slot, 1, &pend);
	end_call(s, c);
	me->pend = pend;
}

/* ---- the steps of the worker ---- */

static void
empty_slot(State *s, int i)
{
	s->pool[s->slot[i].pool].nopen--;
	move(s, i, PCFG_SLOT_EMPTY, PCFG_BY_WORKER);
	s->slot[i].condemn = s->slot[i].dead = s->slot[i].known = 0;
	s->slot[i].pool = NOBODY;
}

/* An idle connection whose place the starving pool could have. */
static int
find_spare(const State *s, int p)
{
	int			in_family = cfg.target_limit && count_open(s) >= cfg.target_limit;
	int			spare = NOBODY,
				i;

	for (i = 0; i < cfg.slots; i++)
	{
		const Slot *slot = &s->slot[i];

		if (in_family && slot->pool == NOBODY)
			continue;
		if (slot->state == PCFG_SLOT_EMPTY || slot->state == PCFG_SLOT_CONDEMNED)
			return NOBODY;
		if (slot->state == PCFG_SLOT_IDLE && slot->pool != p)
			spare = i;
	}
	return spare;
}

static void
relieve(State *s, uint8_t *pend)
{
	int			p;

	if (mutant == NOBODY_RELIEVES || !anybody_starves(s))
		return;
	for (p = 0; p < cfg.pools; p++)
	{
		int			spare = s->pool[p].starving ? find_spare(s, p) : NOBODY;

		if (spare != NOBODY)
		{
			s->slot[spare].condemn = 1;
			condemn_idle(s, spare, pend);
		}
	}
	dispatch_starving(s, pend);
}

static void
step_worker_awake(State *s)
{
	int			i;

	s->worker_latch = 0;
	for (i = 0; i < cfg.slots; i++)
	{
		if (s->slot[i].state == PCFG_SLOT_CONNECTING ||
			s->slot[i].state == PCFG_SLOT_CONDEMNED)
			s->slot[i].known = 1;
	}
	relieve(s, &s->worker_pend);
}

static void
step_connected(State *s, int i)
{
	int			p = s->slot[i].pool;

	s->slot[i].known = 0;
	s->pool[p].nconnecting--;
	s->pool[p].failures = s->pool[p].retry = 0;
	s->pool[p].proven = 1;
	move(s, i, PCFG_SLOT_IDLE, PCFG_BY_WORKER);
	if (s->pool[p].paused)
		condemn_idle(s, i, &s->worker_pend);
	if (mutant != CONNECTED_DOES_NOT_DISPATCH)
		dispatch(s, p, &s->worker_pend);
	if (count_idle(s, p) > 0 && anybody_starves(s))
		s->worker_pend |= WAKE_WORKER;
}

/* The worker takes an idle connection to reset it or to see whether it lives. */
static void
step_care(State *s, int i)
{
	s->cares--;
	if (s->slot[i].condemn)
	{
		condemn_idle(s, i, &s->worker_pend);
		return;
	}
	move(s, i, PCFG_SLOT_LEASED, PCFG_BY_LOCK);
	s->slot[i].owner = WORKER;
}

static void
step_cared(State *s, int i)
{
	Slot	   *slot = &s->slot[i];
	int			p = slot->pool;

	slot->owner = NOBODY;
	if (slot->condemn || s->pool[p].paused)
	{
		move(s, i, PCFG_SLOT_CONDEMNED, PCFG_BY_HOLDER);
		s->worker_pend |= WAKE_WORKER;
	}
	else
	{
		move(s, i, PCFG_SLOT_IDLE, PCFG_BY_HOLDER);
		if (anybody_starves(s) && mutant != CARE_FORGETS_STARVING)
			s->worker_pend |= WAKE_WORKER;
	}
	if (mutant != CARE_DOES_NOT_DISPATCH && s->pool[p].nqueue > 0)
		dispatch(s, p, &s->worker_pend);
}

static void
step_connect_failed(State *s, int i)
{
	int			p = s->slot[i].pool;
	Pool	   *pool = &s->pool[p];

	s->failures--;
	pool->nconnecting--;
	pool->failures = pool->retry = 1;
	empty_slot(s, i);
	if (mutant == FAILED_CONNECT_TELLS_NOBODY)
		return;
	dispatch(s, p, &s->worker_pend);
	dispatch_starving(s, &s->worker_pend);
}

static void
step_closed(State *s, int i)
{
	int			p = s->slot[i].pool;

	empty_slot(s, i);
	if (mutant == CLOSED_SLOT_DOES_NOT_DISPATCH)
		return;
	dispatch(s, p, &s->worker_pend);
	dispatch_starving(s, &s->worker_pend);
}

static void
step_hangup(State *s, int i)
{
	s->hangups--;
	s->slot[i].dead = s->slot[i].condemn = 1;
	if (s->slot[i].state == PCFG_SLOT_IDLE)
		condemn_idle(s, i, &s->worker_pend);
}

static void
step_tick(State *s, int p)
{
	s->pool[p].retry = 0;
	if (mutant != RETRY_TIMER_DOES_NOT_DISPATCH)
		dispatch(s, p, &s->worker_pend);
}

static void
step_pause(State *s, int p)
{
	int			i;

	s->pool[p].paused = !s->pool[p].paused;
	if (s->pool[p].paused)
	{
		s->pauses--;
		for (i = 0; i < cfg.slots; i++)
		{
			if (s->slot[i].state == PCFG_SLOT_IDLE && s->slot[i].pool == p)
				condemn_idle(s, i, &s->worker_pend);
		}
		dispatch(s, p, &s->worker_pend);
	}
	else if (mutant != RESUME_DOES_NOT_DISPATCH)
		dispatch(s, p, &s->worker_pend);
}

/* The worker's round, once a second: it must not be what serves a waiter. */
static void
step_round(State *s)
{
	int			p;

	for (p = 0; p < cfg.pools; p++)
		dispatch(s, p, &s->worker_pend);
}

/* ---- the search ---- */

static State *table;
static uint8_t *used;
static size_t capacity;
static size_t count;
static State *stack;
static size_t nstack;
static size_t stack_size;

static uint64_t
hash(const State *s)
{
	const unsigned char *p = (const unsigned char *) s;
	uint64_t	h = UINT64_C(14695981039346656037);
	size_t		i;

	for (i = 0; i < sizeof(*s); i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static int
insert(const State *s)
{
	size_t		i = hash(s) & (capacity - 1);

	while (used[i])
	{
		if (memcmp(&table[i], s, sizeof(*s)) == 0)
			return 0;
		i = (i + 1) & (capacity - 1);
	}
	used[i] = 1;
	table[i] = *s;
	count++;
	return 1;
}

static void
grow(void)
{
	State	   *old = table;
	uint8_t    *old_used = used;
	size_t		n = capacity,
				i;

	capacity *= 2;
	table = malloc(capacity * sizeof(State));
	used = calloc(capacity, 1);
	if (table == NULL || used == NULL)
		abort();
	count = 0;
	for (i = 0; i < n; i++)
	{
		if (old_used[i])
			insert(&old[i]);
	}
	free(old);
	free(old_used);
}

static void
push(const State *s)
{
	if (count * 2 > capacity)
		grow();
	if (!insert(s))
		return;
	if (nstack == stack_size)
	{
		stack_size = stack_size ? stack_size * 2 : 1024;
		stack = realloc(stack, stack_size * sizeof(State));
		if (stack == NULL)
			abort();
	}
	stack[nstack++] = *s;
}

/* Sets the latches that a process owes; nothing else happens before. */
static void
deliver(State *s, uint8_t pend)
{
	int			c;

	for (c = 0; c < cfg.clients; c++)
	{
		if ((pend & (1 << c)) && s->client[c].pc == WAITING)
			s->client[c].latch = 1;
	}
	for (c = 0; c < cfg.pools; c++)
	{
		if (pend & STARVES(c))
			set_starving(s, c, s->pool[c].nqueue > 0);
	}
	if (pend & WAKE_WORKER)
		s->worker_latch = 1;
}

#define TRY(action) \
	do { State t = *s; action; push(&t); n++; } while (0)

static int
client_steps(const State *s, int c)
{
	const Client *me = &s->client[c];
	int			n = 0;

	if (me->pend)
	{
		TRY((t.client[c].pend = 0, deliver(&t, me->pend)));
		return n;
	}
	switch ((Pc) me->pc)
	{
		case READY:
			TRY(step_begin(&t, c));
			break;
		case CALLING:
			TRY(step_lease(&t, c));
			break;
		case WAITING:
			if (me->latch)
				TRY(step_awake(&t, c));
			if (cfg.cancels)
			{
				TRY(step_cancel(&t, c));
				n--;			/* a cancel may come, but nobody may need it */
			}
			break;
		case HOLDING:
			TRY(step_return(&t, c));
			if (s->slot[me->slot].dead)
				TRY(step_found_dead(&t, c));
			break;
		case DONE:
			break;
	}
	return n;
}

static int
worker_steps(const State *s)
{
	int			n = 0,
				i;

	if (s->worker_pend)
	{
		TRY((t.worker_pend = 0, deliver(&t, s->worker_pend)));
		return n;
	}
	if (s->worker_latch)
		TRY(step_worker_awake(&t));
	for (i = 0; i < cfg.slots; i++)
	{
		const Slot *slot = &s->slot[i];

		if (slot->state == PCFG_SLOT_CONNECTING && slot->known)
		{
			TRY(step_connected(&t, i));
			if (s->failures > 0)
				TRY(step_connect_failed(&t, i));
		}
		if (slot->state == PCFG_SLOT_CONDEMNED && slot->known)
			TRY(step_closed(&t, i));
		if (s->cares > 0 && slot->state == PCFG_SLOT_IDLE &&
			s->pool[slot->pool].nqueue == 0)
			TRY(step_care(&t, i));
		if (slot->state == PCFG_SLOT_LEASED && slot->owner == WORKER)
			TRY(step_cared(&t, i));
		if (s->hangups > 0 && !slot->dead &&
			(slot->state == PCFG_SLOT_IDLE || slot->state == PCFG_SLOT_LEASED))
			TRY(step_hangup(&t, i));
	}
	for (i = 0; i < cfg.pools; i++)
	{
		if (s->pool[i].retry)
			TRY(step_tick(&t, i));
		if (s->pool[i].paused || s->pauses > 0)
			TRY(step_pause(&t, i));
	}
	return n;
}

/* Who waits for a remote that is down is told so; a paused pool is empty. */
static void
check_rest(State *s)
{
	int			i;

	for (i = 0; i < cfg.pools; i++)
	{
		const Pool *pool = &s->pool[i];

		if (pool->nqueue > 0 && is_down(pool))
			fail(s, "not told the cause");
		if (pool->paused && count_idle(s, i) > 0)
			fail(s, "a paused pool holds idle connections");
	}
}

/* Whether a pool has less in hand than it should, and could have more. */
static int
is_cold(const State *s, int p)
{
	int			i;

	if (s->pool[p].paused || s->pool[p].nopen >= cfg.limit ||
		(cfg.target_limit && count_open(s) >= cfg.target_limit) ||
		count_idle(s, p) >= cfg.min_idle)
		return 0;
	for (i = 0; i < cfg.slots; i++)
	{
		if (s->slot[i].state == PCFG_SLOT_EMPTY)
			return 1;
	}
	return 0;
}

static void
check_end(State *s)
{
	int			i;

	for (i = 0; i < cfg.pools; i++)
	{
		if (is_cold(s, i))
			fail(s, "min_idle is not kept");
	}

	for (i = 0; i < cfg.clients; i++)
	{
		if (s->client[i].pc != DONE)
			fail(s, "somebody waits for ever");
	}
	for (i = 0; i < cfg.slots; i++)
	{
		if (s->slot[i].state == PCFG_SLOT_LEASED)
			fail(s, "a lease was lost");
	}
}

static int
nobody_calls(const State *s)
{
	int			i;

	for (i = 0; i < cfg.clients; i++)
	{
		if (s->client[i].pc != DONE)
			return 0;
	}
	return 1;
}

/* The round, if it changes anything. */
static int
round_of(const State *s)
{
	State		t = *s;

	step_round(&t);
	if (memcmp(&t, s, sizeof(t)) == 0)
		return 0;
	push(&t);
	return 1;
}

/* Visits all states; false when a property fails. */
static int
explore(Config config, Mutant which)
{
	State		start;
	int			i,
				ok = 1;

	cfg = config;
	mutant = which;
	why = "";
	memset(&start, 0, sizeof(start));
	for (i = 0; i < cfg.clients; i++)
	{
		start.client[i].rounds = (int8_t) cfg.rounds;
		start.client[i].slot = NOBODY;
	}
	for (i = cfg.clients; i < MAX_CLIENTS; i++)
		start.client[i].pc = DONE;
	for (i = 0; i < MAX_SLOTS; i++)
		start.slot[i].owner = start.slot[i].pool = NOBODY;
	for (i = 0; i < MAX_POOLS; i++)
		memset(start.pool[i].queue, NOBODY, sizeof(start.pool[i].queue));
	start.hangups = (int8_t) cfg.hangups;
	start.failures = (int8_t) cfg.failures;
	start.pauses = (int8_t) cfg.pauses;
	start.cares = (int8_t) cfg.cares;

	capacity = 1 << 16;
	count = nstack = 0;
	table = malloc(capacity * sizeof(State));
	used = calloc(capacity, 1);
	if (table == NULL || used == NULL)
		abort();
	push(&start);
	while (ok && nstack > 0)
	{
		State		s = stack[--nstack];
		int			n = 0;

		check_rest(&s);
		if (!s.broken)
		{
			for (i = 0; i < cfg.clients; i++)
				n += client_steps(&s, i);
			n += worker_steps(&s);
			if (n == 0 && nobody_calls(&s))
				n = round_of(&s);
			if (n == 0)
				check_end(&s);
		}
		ok = !s.broken;
	}
	free(table);
	free(used);
	return ok;
}

int
main(void)
{
	/*
	 * clients slots pools limit rounds hangups failures pauses cancels
	 * patient target_limit min_idle cares
	 */
	static const Config configs[] = {
		{2, 1, 1, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0},
		{3, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1},
		{3, 2, 1, 2, 1, 1, 1, 0, 1, 0, 0, 0, 0},
		{3, 2, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0},
		{4, 2, 1, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0},
		{3, 3, 1, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0},
		{2, 1, 2, 1, 2, 1, 1, 0, 1, 0, 0, 0, 1},
		{4, 1, 2, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0},
		{4, 2, 2, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0},
		{3, 2, 2, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0},
		{3, 2, 1, 2, 1, 0, 2, 0, 1, 1, 0, 0, 0},
		{2, 2, 2, 2, 2, 1, 0, 0, 1, 0, 1, 0, 1},
		{4, 3, 2, 2, 1, 0, 0, 0, 1, 0, 2, 0, 0},
		{3, 3, 2, 2, 1, 0, 1, 1, 0, 0, 2, 1, 0},
		{2, 2, 1, 2, 1, 1, 1, 1, 1, 0, 0, 1, 1},
		{2, 2, 2, 1, 2, 0, 0, 0, 1, 0, 1, 1, 1},
	};
	int			nconfigs = (int) (sizeof(configs) / sizeof(configs[0]));
	int			i,
				m,
				failed = 0;

	printf("1..%d\n", nconfigs + NMUTANTS - 1);
	for (i = 0; i < nconfigs; i++)
	{
		const Config *c = &configs[i];
		int			ok = explore(*c, NO_MUTANT);

		failed += !ok;
		printf("%sok %d - %d clients, %d slots, %d pools: %zu states%s%s\n",
			   ok ? "" : "not ", i + 1, c->clients, c->slots, c->pools, count,
			   ok ? "" : ": ", ok ? "" : why);
		fflush(stdout);
	}
	for (m = 1; m < NMUTANTS; m++)
	{
		int			caught = 0;

		for (i = 0; i < nconfigs && !caught; i++)
			caught = !explore(configs[i], (Mutant) m);
		failed += !caught;
		printf("%sok %d - control is caught: %s (%s)\n", caught ? "" : "not ",
			   nconfigs + m, mutant_names[m], caught ? why : "nothing noticed");
		fflush(stdout);
	}
	free(stack);
	return failed != 0;
}
