/*-------------------------------------------------------------------------
 *
 * worker/upkeep.c
 *	  What is due by time: age, retired pools, connects after a failure.
 *
 * Floor 11; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/pool.h"
#include "shared/slots.h"
#include "worker/credentials.h"
#include "worker/upkeep.h"

/* How often everything is looked at. */
#define INTERVAL	PCFG_SECOND

static PcfgTime next_round = 0;

/*
 * When the pool wants its next connect after a failure; a hint read without
 * the lock, checked by pcfg_pool_tick under it.
 */
static PcfgTime
retry_time(const PcfgPool *pool)
{
	PcfgTime	at = pool->cause.retry_at;

	return pool->wait_head != PCFG_NONE && at != 0 && pool->nconnecting == 0 ?
		at : PCFG_FOREVER;
}

PcfgTime
pcfg_upkeep_tick(PcfgTime now)
{
	bool		round = now >= next_round;
	PcfgTime	next;
	int			i;

	if (round)
	{
		next_round = now + INTERVAL;
		pcfg_credentials_sweep();
	}
	next = next_round;
	pcfg_pool_relieve();
	for (i = 0; i < pcfg_shared->npools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];
		PcfgTime	retry;

		if (pg_atomic_read_u32(&pool->serial) == 0)
			continue;
		retry = retry_time(pool);
		if (round || retry <= now || pool->retired)
			pcfg_pool_tick(i, now);
		if (pool->retired)
			pcfg_pool_try_free(i);
		if (retry > now)
			next = Min(next, retry);
	}
	return next;
}
