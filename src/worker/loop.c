/*-------------------------------------------------------------------------
 *
 * worker/loop.c
 *	  The worker's wait: what to watch, and whom to call.
 *
 * Floor 6; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#ifndef __linux__
#error "pool_config's worker needs epoll (Linux)"
#endif

#include <sys/epoll.h>
#include <unistd.h>

#include "port/pg_bitutils.h"
#include "shared/shmem.h"
#include "worker/loop.h"

/* Events handled between two looks at signals and timers. */
#define BATCH		64

/* ... and so long batches follow each other (microseconds). */
#define SLICE		2000

/* Longest sleep: the heartbeat of the view. */
#define BEAT_MS		1000

static int	epoll_fd = -1;
static WaitEventSet *wait_set = NULL;
static struct epoll_event batch[BATCH];
static int	nbatch = 0;
static int	nwatched = 0;

/* Who is to be called without an event, in the order they asked. */
static PcfgWatch *again_head = NULL;
static PcfgWatch *again_tail = NULL;
static int	nagain = 0;

static void (*poll_shared) (void) = NULL;

/* When events were looked for last; 0 = never.  How often they were. */
static PcfgTime looked_at = 0;
static uint64_t turn = 0;

bool
pcfg_loop_create(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return false;
	wait_set = pcfg_create_wait_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, epoll_fd, NULL, NULL);
	return true;
}

void
pcfg_watch_init(PcfgWatch *watch, PcfgWatchHandler handler, void *arg)
{
	watch->fd = -1;
	watch->events = 0;
	watch->handler = handler;
	watch->arg = arg;
	watch->next_again = NULL;
	watch->again = false;
}

/* Events of that watch that were fetched already must not be delivered. */
static void
forget_batch(PcfgWatch *watch)
{
	int			i;

	for (i = 0; i < nbatch; i++)
	{
		if (batch[i].data.ptr == watch)
			batch[i].data.ptr = NULL;
	}
}

void
pcfg_watch_again(PcfgWatch *watch)
{
	if (watch->again)
		return;
	watch->again = true;
	watch->next_again = NULL;
	if (again_tail != NULL)
		again_tail->next_again = watch;
	else
		again_head = watch;
	again_tail = watch;
	nagain++;
}

static void
forget_again(PcfgWatch *watch)
{
	PcfgWatch  *before = NULL;
	PcfgWatch  *w;

	if (!watch->again)
		return;
	for (w = again_head; w != watch; w = w->next_again)
		before = w;
	if (before != NULL)
		before->next_again = watch->next_again;
	else
		again_head = watch->next_again;
	if (again_tail == watch)
		again_tail = before;
	watch->again = false;
	nagain--;
}

static uint32
epoll_events(int events)
{
	uint32		result = 0;

	if (events & PCFG_WATCH_READ)
		result |= EPOLLIN | EPOLLRDHUP;
	if (events & PCFG_WATCH_WRITE)
		result |= EPOLLOUT;
	if (events & PCFG_WATCH_HANGUP)
		result |= EPOLLRDHUP | EPOLLET;
	return result;
}

static void
stop_watching(PcfgWatch *watch)
{
	if (watch->fd < 0)
		return;
	/* ENOENT, EBADF: whoever owned it closed the last copy, which is as good */
	(void) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	forget_batch(watch);
	watch->fd = -1;
	watch->events = 0;
	nwatched--;
}

bool
pcfg_watch_set(PcfgWatch *watch, int fd, int events)
{
	struct epoll_event ev = {0};

	if (events == 0)
	{
		stop_watching(watch);
		return true;
	}
	if (watch->fd != fd)
		stop_watching(watch);
	else if (watch->events == events)
		return true;
	ev.events = epoll_events(events);
	ev.data.ptr = watch;

	/* the number may name another socket than it did: libpq reopens its own */
	if (watch->fd == fd && epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &ev) == 0)
	{
		watch->events = events;
		return true;
	}
	stop_watching(watch);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		return false;
	watch->fd = fd;
	watch->events = events;
	nwatched++;
	return true;
}

void
pcfg_watch_remove(PcfgWatch *watch)
{
	stop_watching(watch);
	forget_again(watch);
}

void
pcfg_loop_set_poll(void (*poll) (void))
{
	poll_shared = poll;
}

uint64_t
pcfg_loop_turn(void)
{
	return turn;
}

int
pcfg_loop_count(void)
{
	return nwatched;
}

/* Calls whom the system has something to tell; false when there was nobody. */
static bool
handle_batch(void)
{
	int			n = epoll_wait(epoll_fd, batch, BATCH, 0);
	int			i;

	nbatch = Max(n, 0);
	for (i = 0; i < nbatch; i++)
	{
		PcfgWatch  *watch = batch[i].data.ptr;

		if (watch != NULL)
			watch->handler(watch->arg);
	}
	nbatch = 0;
	return n > 0;
}

/* Calls who asked for it; those who ask again have their turn the next time. */
static void
handle_again(void)
{
	int			n = nagain;

	while (n-- > 0 && again_head != NULL)
	{
		PcfgWatch  *watch = again_head;

		forget_again(watch);
		watch->handler(watch->arg);
	}
}

/* Counts a stretch of work during which nobody looked for events. */
static void
note_turn(PcfgTime length)
{
	int			bucket = (int) Max(length, 0);

	if (length >= 4)
	{
		int			b = pg_leftmost_one_pos64((uint64) length);

		bucket = 4 * b - 4 + (int) (length >> (b - 2) & 3);
	}
	pcfg_shared->turns[Min(bucket, PCFG_TURN_BUCKETS - 1)]++;
}

void
pcfg_loop_wait(PcfgTime deadline)
{
	WaitEvent	occurred;
	PcfgTime	until;

	if (looked_at != 0)
		note_turn(pcfg_now() - looked_at);

	/* whoever comes after this look sees that he has to wake us */
	pg_atomic_write_u32(&pcfg_shared->worker_sleeps, 1);
	pg_memory_barrier();
	poll_shared();
	(void) WaitEventSetWait(wait_set, nagain > 0 ? 0 : pcfg_ms_until(deadline, BEAT_MS),
							&occurred, 1, pcfg_wait_event(PCFG_WAIT_WORKER_MAIN));
	ResetLatch(MyLatch);
	pg_atomic_write_u32(&pcfg_shared->worker_sleeps, 0);

	/*
	 * Under load there is always another event.  To look for it is cheaper
	 * than to go to sleep over it, but signals and timers have their turn.
	 */
	looked_at = pcfg_now();
	until = looked_at + SLICE;
	for (;;)
	{
		bool		more;
		PcfgTime	now;

		turn++;
		poll_shared();
		handle_again();
		more = handle_batch() && !MyLatch->is_set;
		now = pcfg_now();
		if (!more || now >= until)
			break;
		note_turn(now - looked_at);
		looked_at = now;
	}
}
