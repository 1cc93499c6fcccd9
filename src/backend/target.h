/*-------------------------------------------------------------------------
 *
 * backend/target.h
 *	  From a target's name to identity, options, policy and rights.
 *
 * Floor 7; backends.  Everything about who may use what is decided here, at
 * each call, for the current user.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TARGET_H
#define PCFG_TARGET_H

#include "shared/pool.h"
#include "shared/queue.h"

/*
 * A target as the current user may use it.  Belongs to this file's cache:
 * valid until the next pcfg_target_open or until invalidation messages are
 * processed, except while pinned by a lease (pcfg_target_pin).
 */
typedef struct PcfgTarget
{
	char		name[PCFG_NAME_LEN];
	PcfgPoolKey key;			/* key.server, key.mapping … */
	Oid			role;			/* effective role it was opened for */
	Oid			owner;			/* of the server */
	Oid			mapping_user;	/* InvalidOid = PUBLIC */
	PcfgPolicy	policy;			/* effective: option, else postgresql.conf */
	const char *init_sql;		/* NULL = none */

	/*
	 * Final libpq keywords: host … password, those we force (client_encoding,
	 * options, application_name, passfile …) included.  Contains secrets.
	 */
	int			nparams;
	const char **keywords;
	const char **values;
	bool		password_given;	/* non-empty, in the mapping */
	bool		password_required;	/* for non-superusers; default true */

	/* this session's own view of the pool; filled by backend/lease */
	int			pool;			/* PCFG_NONE = not looked up */
	uint32		serial;
	PcfgLastUse last;
	int			server_version; /* of the connection used last; 0 = none yet */
	bool		password_used;	/* it demanded the password */
	struct PcfgStatementCache *statements;	/* NULL = none yet */
	int			pins;
	bool		stale;			/* invalidated; freed when no pin is left */
} PcfgTarget;

/*
 * The target of that name for the current user.  Errors: 42704 unknown, with
 * the nearest name as hint (never echoing something that looks like an
 * address); 42501 without USAGE; 42704 without mapping; 2F003 when a
 * non-superuser's mapping carries no password.
 */
extern PcfgTarget *pcfg_target_open(const char *name);

/* Error 42501 unless the current role owns the server of a target. */
extern void pcfg_target_require_owner(Oid server, const char *name);

/* The target nearest to a mistyped name among those the role may use, or NULL. */
extern const char *pcfg_target_nearest(const char *name);

/* Raises 42704 with the nearest name, as pcfg_target_open does. */
extern void pcfg_target_report_unknown(const char *name);

/* Are servers of this wrapper targets?  *foreign: the wrapper is not ours. */
extern bool pcfg_target_is_wrapper(Oid wrapper, bool *foreign);

/*
 * The session starts anew (DISCARD ALL): it is a stranger to the connections
 * that it used before.
 */
extern void pcfg_target_forget_uses(void);

/* Keeps *target alive across invalidation, and lets go. */
extern void pcfg_target_pin(PcfgTarget *target);
extern void pcfg_target_unpin(PcfgTarget *target);

/*
 * dblink's second rule, at every lease: 2F003 when the current user is no
 * superuser and the remote did not demand the password of this connection.
 */
extern void pcfg_target_check_connection(const PcfgTarget *target, bool password_used);

/* Seconds-based deadlines of a call that starts now. */
extern PcfgTime pcfg_target_pool_deadline(const PcfgTarget *target, PcfgTime now);
extern PcfgTime pcfg_target_command_deadline(const PcfgTarget *target, PcfgTime now);

#endif							/* PCFG_TARGET_H */
