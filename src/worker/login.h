/*-------------------------------------------------------------------------
 *
 * worker/login.h
 *	  From keywords to an authenticated, proven socket to be lent: the remote's
 *	  own, or a relay's end where TLS is in use.
 *
 * Floor 8; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LOGIN_H
#define PCFG_LOGIN_H

#include "worker/cancel.h"
#include "worker/credentials.h"
#include "worker/login_failure.h"
#include "worker/relay.h"

typedef struct PcfgLogin PcfgLogin;

typedef struct PcfgLoginResult
{
	/* on success; the receiver owns socket, key and relay */
	int			sock;			/* to be lent; -1 = failure */
	PcfgCancelKey *key;
	PcfgRelay  *relay;			/* NULL = sock is the remote's own */
	int			remote_pid;
	int			server_version;
	bool		password_used;
	int			asked_pid;		/* as the remote's process itself says; 0 = it was
								 * not asked, or did not say */

	PcfgLoginFailure failure;	/* on failure */
} PcfgLoginResult;

typedef void (*PcfgLoginDone) (void *arg, PcfgLoginResult *result);

/*
 * Starts a login; takes over the reference to set.  Each host gets
 * step_timeout to find its name, and each of its addresses (as libpq counts)
 * for connect, login and init_sql; all end at the deadline.
 * encoding: what client_encoding has to be.  ask_pid: behind
 * a pooler the process announced is not the one that answers.  done(arg, …) is called once,
 * never from here; the login is void afterwards.  NULL without memory.
 */
extern PcfgLogin *pcfg_login_start(PcfgCredentialSet *set, PcfgTime step_timeout,
								   PcfgTime deadline, int encoding, bool ask_pid,
								   PcfgLoginDone done, void *arg);

/* Ends it without a call. */
extern void pcfg_login_abandon(PcfgLogin *login);

/*
 * Serves time limits and hosts that failed; returns when to be called again.
 * The login may be over afterwards (done was called).
 */
extern PcfgTime pcfg_login_tick(PcfgLogin *login, PcfgTime now);

#endif							/* PCFG_LOGIN_H */
