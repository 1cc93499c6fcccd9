/*-------------------------------------------------------------------------
 *
 * shared/shmem.c
 *	  Size, start-up and addresses of our shared memory; waking processes.
 *
 * Floor 2; worker and backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/settings.h"
#include "shared/shmem.h"
#include "shared/trace.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

PcfgShared *pcfg_shared = NULL;
PcfgPool   *pcfg_pools = NULL;
PcfgSlot   *pcfg_slots = NULL;
PcfgWaiter *pcfg_waiters = NULL;
PcfgPost   *pcfg_posts = NULL;
pg_atomic_uint64 *pcfg_offers = NULL;
PcfgFamily *pcfg_families = NULL;
PcfgRecord *pcfg_records = NULL;
PcfgFailure *pcfg_failures = NULL;

/* Targets and roles that are remembered, for each pool that is possible. */
#define RECORDS_PER_POOL	8
#define FAILURES_PER_POOL	4

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static const char *const tranche_name = "pool_config";

/*
 * Bytes of the parts, in the order in which they stand.
 */
static Size
shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(PcfgShared));

	size = add_size(size, MAXALIGN(mul_size(pcfg_max_pools, sizeof(PcfgPool))));
	size = add_size(size, MAXALIGN(mul_size(pcfg_max_connections, sizeof(PcfgSlot))));
	size = add_size(size, MAXALIGN(mul_size(MaxBackends, sizeof(PcfgWaiter))));
	size = add_size(size, MAXALIGN(mul_size(MaxBackends, sizeof(PcfgPost))));
	size = add_size(size, MAXALIGN(mul_size(PCFG_OFFER_WORDS(pcfg_max_connections),
											sizeof(pg_atomic_uint64))));
	size = add_size(size, MAXALIGN(mul_size(pcfg_max_pools, sizeof(PcfgFamily))));
	size = add_size(size, MAXALIGN(mul_size(pcfg_max_pools * RECORDS_PER_POOL,
											sizeof(PcfgRecord))));
	size = add_size(size, MAXALIGN(mul_size(pcfg_max_pools * FAILURES_PER_POOL,
											sizeof(PcfgFailure))));
	size = add_size(size, pcfg_trace_size(pcfg_max_connections));
	return size;
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shmem_size());
	/* the lock proper stands in our own memory; this registers the tranche */
	RequestNamedLWLockTranche(tranche_name, 1);
}

/*
 * Fills fresh memory.  Random numbers come first: without them nothing of
 * ours may run.
 */
static void
init_shared(int tranche)
{
	int			i;

	memset(pcfg_shared, 0, shmem_size());
	if (!pg_strong_random(pcfg_shared->start_token, PCFG_TOKEN_LEN) ||
		!pg_strong_random(pcfg_shared->hmac_key, PCFG_FINGERPRINT_LEN))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not get random numbers for pool_config")));

	pcfg_shared->nslots = pcfg_max_connections;
	pcfg_shared->npools = pcfg_max_pools;
	pcfg_shared->nwaiters = MaxBackends;
	pcfg_shared->nrecords = pcfg_max_pools * RECORDS_PER_POOL;
	pcfg_shared->nfailures = pcfg_max_pools * FAILURES_PER_POOL;
	LWLockInitialize(&pcfg_shared->directory_lock, tranche);
	pg_atomic_init_u32(&pcfg_shared->worker_life, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_procno, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_pid, 0);
	pg_atomic_init_u64(&pcfg_shared->worker_started, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_short_lives, 0);
	pg_atomic_init_u64(&pcfg_shared->worker_beat, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_fds, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_fd_limit, 0);
	pg_atomic_init_u32(&pcfg_shared->worker_sleeps, 0);
	pg_atomic_init_u32(&pcfg_shared->nstarving, 0);
	pg_atomic_init_u64(&pcfg_shared->rescued, 0);

	for (i = 0; i < pcfg_max_pools; i++)
	{
		PcfgPool   *pool = &pcfg_pools[i];

		pg_atomic_init_u32(&pool->serial, 0);
		LWLockInitialize(&pool->lock, tranche);
		pool->idle_head = pool->idle_tail = PCFG_NONE;
		pool->wait_head = pool->wait_tail = PCFG_NONE;
		pg_atomic_init_u32(&pool->nwait, 0);
		pg_atomic_init_u32(&pool->credentials_life, 0);
		pg_atomic_init_u32(&pcfg_families[i].nopen, 0);
	}
	for (i = 0; i < pcfg_max_connections; i++)
	{
		PcfgSlot   *slot = &pcfg_slots[i];

		pg_atomic_init_u64(&slot->word, pcfg_word(PCFG_SLOT_EMPTY, 0, 0));
		pg_atomic_init_u32(&slot->kill, 0);
		pg_atomic_init_u64(&slot->post, 0);
		slot->pool = PCFG_NONE;
		slot->prev_idle = slot->next_idle = PCFG_NONE;
	}
	for (i = 0; i < MaxBackends; i++)
	{
		PcfgWaiter *waiter = &pcfg_waiters[i];

		pg_atomic_init_u32(&waiter->state, PCFG_WAIT_NONE);
		pg_atomic_init_u32(&waiter->posted, 0);
		waiter->pool = waiter->prev = waiter->next = waiter->slot = PCFG_NONE;
	}
	for (i = 0; i < PCFG_OFFER_WORDS(pcfg_max_connections); i++)
		pg_atomic_init_u64(&pcfg_offers[i], 0);
}

/*
 * Runs in the postmaster at start and again after a crash of any process:
 * everything then starts empty, under another token.
 */
static void
startup_shmem(void)
{
	bool		found;
	char	   *p;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	p = ShmemInitStruct("pool_config", shmem_size(), &found);
	pcfg_shared = (PcfgShared *) p;
	p += MAXALIGN(sizeof(PcfgShared));
	pcfg_pools = (PcfgPool *) p;
	p += MAXALIGN(mul_size(pcfg_max_pools, sizeof(PcfgPool)));
	pcfg_slots = (PcfgSlot *) p;
	p += MAXALIGN(mul_size(pcfg_max_connections, sizeof(PcfgSlot)));
	pcfg_waiters = (PcfgWaiter *) p;
	p += MAXALIGN(mul_size(MaxBackends, sizeof(PcfgWaiter)));
	pcfg_posts = (PcfgPost *) p;
	p += MAXALIGN(mul_size(MaxBackends, sizeof(PcfgPost)));
	pcfg_offers = (pg_atomic_uint64 *) p;
	p += MAXALIGN(mul_size(PCFG_OFFER_WORDS(pcfg_max_connections), sizeof(pg_atomic_uint64)));
	pcfg_families = (PcfgFamily *) p;
	p += MAXALIGN(mul_size(pcfg_max_pools, sizeof(PcfgFamily)));
	pcfg_records = (PcfgRecord *) p;
	p += MAXALIGN(mul_size(pcfg_max_pools * RECORDS_PER_POOL, sizeof(PcfgRecord)));
	pcfg_failures = (PcfgFailure *) p;
	p += MAXALIGN(mul_size(pcfg_max_pools * FAILURES_PER_POOL, sizeof(PcfgFailure)));
	pcfg_trace_place(p, pcfg_max_connections);
	if (!found)
		init_shared(GetNamedLWLockTranche(tranche_name)->lock.tranche);
	LWLockRelease(AddinShmemInitLock);
}

void
pcfg_shmem_install_hooks(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

void
pcfg_require_preload(void)
{
	if (pcfg_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pool_config must be loaded via shared_preload_libraries"),
				 errhint("Add \"pool_config\" to shared_preload_libraries in postgresql.conf and restart the server.")));
}

void
pcfg_wake_process(int procno)
{
	Assert(procno >= 0 && procno < pcfg_shared->nwaiters);
	SetLatch(pcfg_process_latch(procno));
}

void
pcfg_wake_worker(void)
{
	uint32		procno = pg_atomic_read_u32(&pcfg_shared->worker_procno);

	if (procno != 0)
		SetLatch(pcfg_process_latch((int) procno - 1));
}
