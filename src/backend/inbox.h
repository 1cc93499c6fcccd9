/*-------------------------------------------------------------------------
 *
 * backend/inbox.h
 *	  The receive buffer of a call.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_INBOX_H
#define PCFG_INBOX_H

#include "wire/buffer.h"

typedef struct PcfgInbox
{
	PcfgBuffer	buffer;
	char	   *base;			/* where the buffer starts out; NULL = closed */
	size_t		base_size;
	MemoryContext context;		/* of memory beyond the process's own */
} PcfgInbox;

/*
 * Opens it: the outermost call takes the memory that the process keeps, an
 * inner one gets its own from the current context.
 */
extern void pcfg_inbox_open(PcfgInbox *inbox);

/* Harmless when not open (zeroed), and in an error path. */
extern void pcfg_inbox_close(PcfgInbox *inbox);

/*
 * Declares everything parsed dead, and makes room for the rest of a message
 * of "need" bytes in all (0: not known).  A message longer than the buffer
 * gets more memory only as its bytes really come; afterwards the buffer
 * shrinks again.  Frames handed out before are void.
 */
extern void pcfg_inbox_make_room(PcfgInbox *inbox, size_t need);

#endif							/* PCFG_INBOX_H */
