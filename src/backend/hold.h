/*-------------------------------------------------------------------------
 *
 * backend/hold.h
 *	  Connections that this session keeps beyond a call.
 *
 * Floor 10; backends.
 *
 * One for each target and effective role at most.  A call for that role on
 * that target goes to it; one of another role never does.  Between calls it
 * rests: the worker may take it back, the remote may end it.  The next use
 * finds that out, and says it once: the hold is over then, and goes with the
 * end of the local transaction, in which every further use is told the same,
 * or with release() or acquire().
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_HOLD_H
#define PCFG_HOLD_H

#include "backend/lease.h"
#include "backend/notifications.h"
#include "backend/savepoints.h"

typedef struct PcfgHold
{
	PcfgLease	lease;			/* void when lost */
	MemoryContext context;		/* holds this, and all it points to */

	/* whose it is; the lease's target is void when it is lost */
	Oid			server;
	Oid			mapping;
	Oid			role;
	char		name[PCFG_NAME_LEN];

	int			depth;			/* acquire() less release() */
	bool		acquired;		/* ever */
	char		status;			/* of the remote session between calls: 'I',
								 * 'T', 'E', as in ReadyForQuery */
	bool		lost;
	bool		told;			/* ... and the session knows */
	PcfgTime	rested_at;		/* 0 = in use, or lost while it was */
	PcfgTime	patience;		/* idle_lease_timeout */
	PcfgNotifications notifications;

	/* the transaction that is joined to the local one */
	bool		joined;
	bool		begun;			/* ... at the remote, too */
	bool		ended;			/* by a statement: nothing good can come of it */
	char		begin[100];		/* the statement */
	PcfgSavepoints savepoints;

	struct PcfgHold *next;
} PcfgHold;

/* All of this session. */
extern PcfgHold *pcfg_holds;

/* The one that calls of that target, as it was opened now, go to, or NULL. */
extern PcfgHold *pcfg_hold_search(const PcfgTarget *target);

static inline PcfgHold *
pcfg_hold_find(const PcfgTarget *target)
{
	return pcfg_holds == NULL ? NULL : pcfg_hold_search(target);
}

/* The one of the current role for a name, which may be no target any more. */
extern PcfgHold *pcfg_hold_by_name(const char *name);

/*
 * Leases a connection to be kept, at rest.  The caller says at once what for:
 * acquired, or joined.  Errors: those of a lease.
 */
extern PcfgHold *pcfg_hold_take(PcfgTarget *target);
extern void pcfg_hold_acquire(PcfgHold *hold);
extern void pcfg_hold_join(PcfgHold *hold, const char *begin);

/*
 * The joined transaction is over, one way or the other: an open one is rolled
 * back, and the connection given back unless it is acquired.  Never fails,
 * waits for nothing.
 */
extern void pcfg_hold_part(PcfgHold *hold);

/* Whether it is lost, or was taken back, as far as is known without a use. */
extern bool pcfg_hold_is_lost(const PcfgHold *hold);

/*
 * A use begins; it is to be ended in each case.  Errors: 08006 when the
 * connection is lost, nothing was run; 55006 when it is in use by an outer
 * call; 2F003.
 */
extern void pcfg_hold_begin(PcfgHold *hold, const PcfgTarget *target);

/* The same without a look at rights: for the end of a transaction. */
extern void pcfg_hold_resume(PcfgHold *hold);

/*
 * What goes before the next statement of a joined transaction, and that it
 * was carried out.
 */
extern List *pcfg_hold_prelude(PcfgHold *hold);
extern void pcfg_hold_prelude_done(PcfgHold *hold);

/* Error 2D000 when a statement ended the transaction that was joined. */
extern void pcfg_hold_require_joined(const PcfgHold *hold);

/*
 * It ends: at rest in that state of the remote session, or with the
 * connection lost.  Never fail.
 */
extern void pcfg_hold_rest(PcfgHold *hold, char status);
extern void pcfg_hold_lose(PcfgHold *hold);

/* Reads what came meanwhile, during a use.  False: it is lost. */
extern bool pcfg_hold_listen(PcfgHold *hold);

/* Raises 08006: the connection is lost, and that is told now. */
PCFG_NORETURN extern void pcfg_hold_raise_lost(PcfgHold *hold);

/* The same for an error that is about to be raised; a hint to go with it. */
extern int	pcfg_hold_tell_lost(PcfgHold *hold);

/*
 * Gives the connection back, whatever its state: what lives in its session is
 * to be met by nobody.  A transaction that is open there is rolled back; true
 * if so.  Error 55006 when it is in use.
 */
extern bool pcfg_hold_end(PcfgHold *hold);

/* The same for all, of all roles: the session starts anew.  Never fails. */
extern void pcfg_hold_end_all(void);

#endif							/* PCFG_HOLD_H */
