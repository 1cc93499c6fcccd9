/*-------------------------------------------------------------------------
 *
 * worker/login.h
 *	  From keywords to an authenticated, proven socket to be lent: the remote's
 *	  own, or a relay's end where TLS is in use.
 *
 * Floor 9; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LOGIN_H
#define PCFG_LOGIN_H

#include "worker/attempt.h"

typedef struct PcfgLogin PcfgLogin;

typedef void (*PcfgLoginDone) (void *arg, PcfgLoginResult *result);

/*
 * Starts a login; takes over the reference to set.  Each host gets
 * step_timeout to find its name, and each of its addresses (as libpq counts)
 * for connect, login and init_sql; all end at the deadline.  encoding and
 * ask_pid are those of PcfgAttemptWhat.  done(arg, …) is called once, never from
 * here; the login is void afterwards.  NULL without memory.
 */
extern PcfgLogin *pcfg_login_start(PcfgCredentialSet *set, PcfgTime step_timeout,
								   PcfgTime deadline, int encoding, bool ask_pid,
								   PcfgLoginDone done, void *arg);

/* Ends it without a call; what runs at the remote is cancelled. */
extern void pcfg_login_abandon(PcfgLogin *login);

/*
 * Serves time limits and hosts that failed; returns when to be called again.
 * The login may be over afterwards (done was called).
 */
extern PcfgTime pcfg_login_tick(PcfgLogin *login, PcfgTime now);

#endif							/* PCFG_LOGIN_H */
