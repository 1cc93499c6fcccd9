/*-------------------------------------------------------------------------
 *
 * worker/feed.h
 *	  Between libpq and the network during a login: what comes from the
 *	  network is looked at before libpq is given it.
 *
 * Floor 7; worker.
 *
 * libpq takes what a server says on trust: it would hash a password for
 * twenty minutes, and keep a notice of a gigabyte.  So its socket is replaced
 * by one end of a pair, and the feed passes on what wire/login_guard allows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_FEED_H
#define PCFG_FEED_H

#include <libpq-fe.h>
#include <stdbool.h>

typedef struct PcfgFeed PcfgFeed;

typedef enum PcfgFeedResult
{
	PCFG_FEED_WAIT,				/* for what pcfg_feed_events says */
	PCFG_FEED_CALL,				/* libpq has something to read, or the end */
	PCFG_FEED_REFUSED			/* *why: the login is to be given up */
} PcfgFeedResult;

/*
 * Takes the socket from under a connection that libpq has begun to use and
 * not read from yet (the first PGRES_POLLING_READING).  NULL, with errno, and
 * all as before when the system refuses.
 */
extern PcfgFeed *pcfg_feed_start(PGconn *conn);

/*
 * Passes on what libpq wrote, and, unless libpq has still something to read,
 * the next piece of what came.
 */
extern PcfgFeedResult pcfg_feed_move(PcfgFeed *feed, const char **why);

/* The network's socket, and what to watch it for (PCFG_WATCH_...). */
extern int	pcfg_feed_socket(const PcfgFeed *feed);
extern int	pcfg_feed_events(const PcfgFeed *feed);

/*
 * The login is over.  The network's socket is the caller's; libpq keeps its
 * end of the pair.  -1 with EPROTO when something is left over that libpq has
 * not read.
 */
extern int	pcfg_feed_detach(PcfgFeed *feed);

/* The same, but the socket goes back to libpq; false with errno. */
extern bool pcfg_feed_give_back(PcfgFeed *feed);

/* Closes what the feed holds; harmless with NULL. */
extern void pcfg_feed_close(PcfgFeed *feed);

#endif							/* PCFG_FEED_H */
