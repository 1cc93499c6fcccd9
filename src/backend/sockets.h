/*-------------------------------------------------------------------------
 *
 * backend/sockets.h
 *	  The cache of the remote sockets that this process holds, waiting on
 *	  them, and the account of descriptors.
 *
 * Floor 6; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SOCKETS_H
#define PCFG_SOCKETS_H

#include "shared/clock.h"
#include "shared/compat.h"

/* A connection of which this process holds a copy. */
typedef struct PcfgSocket
{
	int			slot;
	uint32		generation;
	pgsocket	fd;				/* non-blocking, close-on-exec */
	WaitEventSet *set;			/* latch, fd, postmaster death; NULL = none to
								 * be had, wait with WaitLatchOrSocket */
	uint64		used;			/* for LRU */
} PcfgSocket;

/* The cached socket of that connection, or NULL. */
extern PcfgSocket *pcfg_socket_find(int slot, uint32 generation);

/*
 * Pays for a descriptor that is about to be received for a slot, at the cost
 * of what is only kept; paid once however often it is called before a
 * registration.  Errors: 53000 when there is none to be had.
 */
extern void pcfg_socket_prepare(int slot);

/* A received and paid descriptor becomes that slot's socket.  Cannot fail. */
extern PcfgSocket *pcfg_socket_register(int slot, uint32 generation, int fd);

/*
 * Makes a wait set for the socket if there is a descriptor for it.  An error
 * leaves the socket as it was, usable without one.
 */
extern void pcfg_socket_keep_wait_set(PcfgSocket *socket);

/* Closes this process's copy, if there is one; sends nothing to anybody. */
extern void pcfg_socket_forget(int slot, uint32 generation);

/*
 * Waits for the latch, the socket (WL_SOCKET_READABLE or _WRITEABLE in
 * events) or the deadline; exits on postmaster death.  Returns the events
 * that happened (WL_TIMEOUT among them).  Does not process interrupts and
 * has reset the latch when WL_LATCH_SET is among them.
 */
extern int	pcfg_socket_wait(PcfgSocket *socket, int events, PcfgTime deadline,
							 uint32 wait_event);

/* Pays for any other descriptor; errors as above.  ReleaseExternalFD ends it. */
extern void pcfg_descriptor_pay(void);

/*
 * WaitLatchOrSocket with the latch, a timeout in milliseconds and exit on
 * postmaster death; sees to the descriptor that it takes.
 */
extern int	pcfg_descriptor_wait(pgsocket sock, int events, long timeout,
								 uint32 wait_event);

#endif							/* PCFG_SOCKETS_H */
