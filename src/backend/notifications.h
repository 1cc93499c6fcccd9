/*-------------------------------------------------------------------------
 *
 * backend/notifications.h
 *	  Notifications that arrived on a connection and were not fetched yet.
 *
 * Floor 6; backends; no network.
 *
 * They come at any time, and whoever sent them has no patience with us: what
 * is kept is bounded, and what does not fit is counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_NOTIFICATIONS_H
#define PCFG_NOTIFICATIONS_H

#include "wire/message.h"

typedef struct PcfgNotification
{
	struct PcfgNotification *next;
	int			pid;			/* of the remote process that sent it */
	const char *channel;
	const char *payload;
	char		text[FLEXIBLE_ARRAY_MEMBER];
} PcfgNotification;

/* Zeroed but for the context, it is empty. */
typedef struct PcfgNotifications
{
	MemoryContext context;		/* of what is kept */
	PcfgNotification *first;
	PcfgNotification *last;
	int			n;
	size_t		bytes;
	uint64		dropped;		/* since this was told last */
} PcfgNotifications;

/*
 * Takes a NotificationResponse.  False when it is malformed, or not in the
 * encoding of this database.  Raises nothing.
 */
extern bool pcfg_notifications_add(PcfgNotifications *list, const PcfgFrame *frame);

/* Forgets the first. */
extern void pcfg_notifications_shift(PcfgNotifications *list);

#endif							/* PCFG_NOTIFICATIONS_H */
