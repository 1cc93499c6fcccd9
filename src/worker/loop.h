/*-------------------------------------------------------------------------
 *
 * worker/loop.h
 *	  The worker's wait: what to watch, and whom to call.
 *
 * Floor 6; worker.
 *
 * The server's own wait set holds the latch, the postmaster's death and one
 * epoll descriptor; all other descriptors are in the latter, because an entry
 * can be taken out of it again.  A watch is always removed before its
 * descriptor is closed: a closed number whose copy lives on in a backend
 * would report for ever.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LOOP_H
#define PCFG_LOOP_H

#include <stdbool.h>

#include "shared/clock.h"

/* What to watch for. */
#define PCFG_WATCH_READ		1
#define PCFG_WATCH_WRITE	2
#define PCFG_WATCH_HANGUP	4	/* only the peer's end of file or a reset, once:
								 * data at the socket does not wake us */

typedef void (*PcfgWatchHandler) (void *arg);

/* Belongs to the caller; at rest while fd is -1. */
typedef struct PcfgWatch
{
	int			fd;
	int			events;
	PcfgWatchHandler handler;
	void	   *arg;
	struct PcfgWatch *next_again;
	bool		again;			/* see pcfg_watch_again */
} PcfgWatch;

/* At the worker's start; false when the system refuses. */
extern bool pcfg_loop_create(void);

extern void pcfg_watch_init(PcfgWatch *watch, PcfgWatchHandler handler, void *arg);

/*
 * Watches fd for these events from now on, whatever was watched before; for
 * none of them, not even for a hang-up, when events is 0.  False (and at rest)
 * when the system refuses.
 */
extern bool pcfg_watch_set(PcfgWatch *watch, int fd, int events);

/* Ends watching; harmless at rest.  To be called before fd is closed. */
extern void pcfg_watch_remove(PcfgWatch *watch);

/*
 * Has the handler called once more, soon, without an event: there is work
 * left that the system does not know of.  Taken back by pcfg_watch_remove.
 */
extern void pcfg_watch_again(PcfgWatch *watch);

/*
 * Has "poll" called in each turn, and before each sleep: for what comes
 * through shared memory, without an event.
 */
extern void pcfg_loop_set_poll(void (*poll) (void));

/*
 * Waits until the deadline, the latch, or something watched, and calls the
 * handlers.  A handler may set and remove any watch.  Returns after about two
 * milliseconds of work at the latest.
 */
extern void pcfg_loop_wait(PcfgTime deadline);

/*
 * Counts the looks for events: who has work that takes long does a bounded part
 * of it between two of them.
 */
extern uint64_t pcfg_loop_turn(void);

/* Descriptors being watched, for the view. */
extern int	pcfg_loop_count(void);

#endif							/* PCFG_LOOP_H */
