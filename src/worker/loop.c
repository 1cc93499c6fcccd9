/*-------------------------------------------------------------------------
 *
 * worker/loop.c
 *	  The worker's wait: what to watch, and whom to call.
 *
 * Floor 4; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#ifndef __linux__
#error "pool_config's worker needs epoll (Linux)"
#endif

#include <sys/epoll.h>
#include <unistd.h>

#include "worker/loop.h"

/* Events handled between two looks at signals and timers. */
#define BATCH		64

/* Longest sleep: the heartbeat of the view. */
#define BEAT_MS		1000

static int	epoll_fd = -1;
static WaitEventSet *wait_set = NULL;
static struct epoll_event batch[BATCH];
static int	nbatch = 0;
static int	nwatched = 0;

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

bool
pcfg_watch_set(PcfgWatch *watch, int fd, int events)
{
	struct epoll_event ev = {0};

	if (watch->fd != fd)
		pcfg_watch_remove(watch);
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
	pcfg_watch_remove(watch);
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
	if (watch->fd < 0)
		return;
	/* ENOENT, EBADF: whoever owned it closed the last copy, which is as good */
	(void) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	forget_batch(watch);
	watch->fd = -1;
	watch->events = 0;
	nwatched--;
}

int
pcfg_loop_count(void)
{
	return nwatched;
}

void
pcfg_loop_wait(PcfgTime deadline)
{
	WaitEvent	occurred;
	int			i;
	int			n;

	(void) WaitEventSetWait(wait_set, pcfg_ms_until(deadline, BEAT_MS), &occurred, 1,
							pcfg_wait_event(PCFG_WAIT_WORKER_MAIN));
	ResetLatch(MyLatch);
	n = epoll_wait(epoll_fd, batch, BATCH, 0);
	nbatch = Max(n, 0);
	for (i = 0; i < nbatch; i++)
	{
		PcfgWatch  *watch = batch[i].data.ptr;

		if (watch != NULL)
			watch->handler(watch->arg);
	}
	nbatch = 0;
}
