/*-------------------------------------------------------------------------
 *
 * backend/lease.h
 *	  The exclusive use of one connection: taken with a deadline, given back
 *	  on release, on error, and at exit.
 *
 * Floor 9; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LEASE_H
#define PCFG_LEASE_H

#include "backend/channel.h"
#include "wire/message.h"

struct PcfgLease;

/*
 * Builds what is to be said first on a connection that others used, for who
 * has to wait for one: the worker may then say it for him.  Returns bytes that
 * live until it is called again; *len 0 = nothing is known beforehand.
 */
typedef const char *(*PcfgComposer) (struct PcfgLease *lease, void *arg, size_t *len);

typedef struct PcfgLease
{
	PcfgTarget *target;			/* pinned */
	PcfgGrant	grant;
	PcfgSocket *socket;
	uint32		generation;
	bool		password_used;	/* the remote demanded it */
	bool		needs_reset;	/* another session or role used it last: the
								 * reset goes first, in the same series */
	bool		opened;			/* the slot is usable, and counts as used by us */
	bool		broken;			/* EOF or a protocol violation was seen */
	bool		demoted;		/* the remote was to be a primary and is none */
	bool		resting;		/* kept beyond a call, and not in use: nothing
								 * runs there that could be cancelled */
	bool		idle;			/* resting outside a remote transaction */
	bool		owed;			/* the answer to a ROLLBACK is unread */
	PcfgStyles	styles;			/* of the remote session, which tells changes
								 * only: a connection that comes back has ours */
	PcfgComposer compose;		/* NULL = nothing is known beforehand */
	void	   *compose_arg;
	struct PcfgLease *next;		/* of this process's leases */
} PcfgLease;

/*
 * Leases a connection of the target until pool_timeout.  *lease is the
 * caller's memory; it must live until the give-back.  With grant.sent what
 * "compose" (or NULL) built last is on its way already, as if the caller had
 * sent it himself; the socket is NULL if the connection is lost.  Errors: 53300
 * exhausted, 08001 cannot connect, 2F003, those of channel.h, and
 * interrupts; on error nothing is held.
 */
extern void pcfg_lease_take(PcfgLease *lease, PcfgTarget *target,
							PcfgComposer compose, void *arg);

/*
 * Looks the target's pool up, and makes it if need be; target->pool is it
 * then.  Errors: 53300 when all places of the server are taken.
 */
extern void pcfg_lease_find_pool(PcfgTarget *target, PcfgTime deadline);

/*
 * Ends it.  clean: the reply machine proves that the connection is between
 * two series.  Otherwise the connection is condemned, and cancelled by the
 * worker if a statement may be running.  Never fails, never talks to the
 * remote, harmless when called twice.
 */
extern void pcfg_lease_give_back(PcfgLease *lease, bool clean);

/*
 * The call ended, the lease goes on, for that purpose: the connection is
 * between two series, "idle" outside a transaction.  The worker may take it
 * back, which is found at the resume.
 */
extern void pcfg_lease_rest(PcfgLease *lease, PcfgHeld held, bool idle);

/*
 * The next call.  False: the connection was taken back; the lease is to be
 * ended.  Looks at nothing else.
 */
extern bool pcfg_lease_resume(PcfgLease *lease);

/*
 * Tells the remote to roll back, of a lease at rest in a transaction.  A
 * single send that does not wait, and no receive: whoever uses the connection
 * next reads the answer.  So it may stand in an error path.  False: it could
 * not be said, and the lease is to be ended, not clean.
 */
extern bool pcfg_lease_roll_back(PcfgLease *lease, PcfgHeld held);

/*
 * dblink's second rule for a connection that is in use already: the role may
 * have lost its rights since.
 */
extern void pcfg_lease_check(const PcfgLease *lease, const PcfgTarget *target);

/*
 * Told of each error of the remote while it is held: some concern more than
 * the statement.  A remote that has become read-only, though the target asks
 * for one that can be written to, loses all connections of the pool at the
 * give-back, so that the next ones look for its successor.
 */
extern void pcfg_lease_note_error(PcfgLease *lease, int sqlstate);

#endif							/* PCFG_LEASE_H */
