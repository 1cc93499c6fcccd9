/*-------------------------------------------------------------------------
 *
 * backend/sockets.c
 *	  The cache of the remote sockets that this process holds, waiting on
 *	  them, and the account of descriptors.
 *
 * Floor 6; backends.
 *
 * A socket is cached by slot and generation and used only under a lease.  A
 * wait set is kept with it, for making one takes seven system calls; it is
 * the first thing to be given up when descriptors are short, then sockets
 * that no lease stands on.
 *
 * Refuses to know where sockets come from: that is channel.c.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <unistd.h>

#include "backend/sockets.h"
#include "shared/shmem.h"
#include "storage/fd.h"

/* Sockets kept besides those in use; each takes two descriptors. */
#define CACHE_MAX		32

/* Longest single wait on a socket; the caller looks at the clock himself. */
#define WAIT_CAP_MS		((long) 1000 * 60 * 60)

/*
 * One entry a slot of the server, made at first use in TopMemoryContext;
 * fd is PGINVALID_SOCKET where nothing is held.
 */
static PcfgSocket *cache = NULL;
static uint64 cache_clock = 0;

/* One descriptor is paid for and not received yet. */
static bool prepaid = false;

static void
create_cache(void)
{
	PcfgSocket *fresh;
	int			i;

	if (cache != NULL)
		return;
	fresh = MemoryContextAllocZero(TopMemoryContext,
								   sizeof(PcfgSocket) * pcfg_shared->nslots);
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		fresh[i].slot = i;
		fresh[i].fd = PGINVALID_SOCKET;
	}
	cache = fresh;
}

static int
count_cached(void)
{
	int			n = 0;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
		n += cache[i].fd != PGINVALID_SOCKET;
	return n;
}

/* Whether a lease of this process stands on the entry. */
static bool
is_in_use(const PcfgSocket *entry)
{
	PcfgSlot   *slot = &pcfg_slots[entry->slot];
	uint64		word = pg_atomic_read_u64(&slot->word);

	return pcfg_word_state(word) == PCFG_SLOT_LEASED &&
		pcfg_word_owner(word) == (uint32) PCFG_MY_PROCNO + 1 &&
		slot->generation == entry->generation;
}

/* Closes an entry, whatever it is a copy of. */
static void
forget(PcfgSocket *entry)
{
	if (entry->fd == PGINVALID_SOCKET)
		return;
	if (entry->set != NULL)
		FreeWaitEventSet(entry->set);
	entry->set = NULL;
	close(entry->fd);
	entry->fd = PGINVALID_SOCKET;
	ReleaseExternalFD();
}

static void
forget_replaced(void)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (cache[i].fd != PGINVALID_SOCKET &&
			pcfg_slots[i].generation != cache[i].generation)
			forget(&cache[i]);
	}
}

/* Closes the least recently used socket that is not in use; false: none. */
static bool
forget_oldest(void)
{
	PcfgSocket *oldest = NULL;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (cache[i].fd != PGINVALID_SOCKET &&
			(oldest == NULL || cache[i].used < oldest->used) &&
			!is_in_use(&cache[i]))
			oldest = &cache[i];
	}
	if (oldest == NULL)
		return false;
	forget(oldest);
	return true;
}

/* Gives up one kept wait set; a process waits on one socket at a time. */
static bool
drop_one_wait_set(void)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (cache[i].set != NULL)
		{
			FreeWaitEventSet(cache[i].set);
			cache[i].set = NULL;
			return true;
		}
	}
	return false;
}

void
pcfg_descriptor_pay(void)
{
	while (!AcquireExternalFD())
	{
		if (cache == NULL || (!forget_oldest() && !drop_one_wait_set()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no file descriptor is free for a remote connection"),
					 errhint("Raise max_files_per_process, or use fewer connections at once in this session.")));
	}
}

int
pcfg_descriptor_wait(pgsocket sock, int events, long timeout, uint32 wait_event)
{
	pcfg_descriptor_pay();
	ReleaseExternalFD();		/* the wait pays for itself */
	return WaitLatchOrSocket(MyLatch,
							 events | WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 sock, timeout, wait_event);
}

PcfgSocket *
pcfg_socket_find(int slot, uint32 generation)
{
	if (cache == NULL || cache[slot].fd == PGINVALID_SOCKET ||
		cache[slot].generation != generation)
		return NULL;
	cache[slot].used = ++cache_clock;
	return &cache[slot];
}

void
pcfg_socket_prepare(int slot)
{
	create_cache();
	forget(&cache[slot]);
	forget_replaced();
	while (count_cached() >= CACHE_MAX && forget_oldest())
		;
	if (!prepaid)
		pcfg_descriptor_pay();
	prepaid = true;
}

PcfgSocket *
pcfg_socket_register(int slot, uint32 generation, int fd)
{
	PcfgSocket *entry = &cache[slot];

	Assert(prepaid && entry->fd == PGINVALID_SOCKET);
	entry->fd = fd;
	entry->generation = generation;
	entry->set = NULL;
	entry->used = ++cache_clock;
	prepaid = false;
	return entry;
}

void
pcfg_socket_keep_wait_set(PcfgSocket *socket)
{
	WaitEventSet *set;

	if (!AcquireExternalFD())
		return;
	ReleaseExternalFD();		/* the set pays for itself */
	set = pcfg_create_wait_set(3);
	PG_TRY();
	{
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(set, WL_SOCKET_READABLE, socket->fd, NULL, NULL);
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	}
	PG_CATCH();
	{
		FreeWaitEventSet(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	socket->set = set;
}

void
pcfg_socket_forget(int slot, uint32 generation)
{
	if (cache != NULL && cache[slot].generation == generation)
		forget(&cache[slot]);
}

int
pcfg_socket_wait(PcfgSocket *socket, int events, PcfgTime deadline,
				 uint32 wait_event)
{
	long		timeout = pcfg_ms_until(deadline, WAIT_CAP_MS);
	int			happened = 0;

	if (socket->set != NULL)
	{
		WaitEvent	occurred[3];
		int			n;
		int			i;

		/* free of charge when the events are those of the last wait */
		ModifyWaitEvent(socket->set, 1, events, NULL);
		n = WaitEventSetWait(socket->set, timeout, occurred, lengthof(occurred),
							 wait_event);
		for (i = 0; i < n; i++)
			happened |= occurred[i].events;
		if (n == 0)
			happened = WL_TIMEOUT;
	}
	else
		happened = pcfg_descriptor_wait(socket->fd, events, timeout, wait_event);

	if (happened & WL_LATCH_SET)
		ResetLatch(MyLatch);
	return happened;
}
