/*-------------------------------------------------------------------------
 *
 * worker/attempt.h
 *	  From one address to an authenticated, proven socket to be lent: the
 *	  remote's own, or a relay's end where TLS is in use.
 *
 * Floor 8; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ATTEMPT_H
#define PCFG_ATTEMPT_H

#include "worker/cancel.h"
#include "worker/credentials.h"
#include "worker/hosts.h"
#include "worker/login_failure.h"
#include "worker/relay.h"

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

/* What to log in to, and how. */
typedef struct PcfgAttemptWhat
{
	PcfgCredentialSet *set;
	const PcfgHosts *hosts;		/* where the round stands */
	const PcfgHost *host;
	const char *address;		/* NULL = the host's name says where it is */
	int			encoding;		/* what client_encoding has to be */
	bool		ask_pid;		/* behind a pooler the process announced is not the
								 * one that answers */
} PcfgAttemptWhat;

typedef enum PcfgAttemptState
{
	PCFG_ATTEMPT_CONNECTING,	/* libpq is at work */
	PCFG_ATTEMPT_PROVING,		/* init_sql runs */
	PCFG_ATTEMPT_PROVEN,
	PCFG_ATTEMPT_FAILED,		/* another address may do */
	PCFG_ATTEMPT_REFUSED,		/* others would only repeat it: the remote answered,
								 * and said no, or it is our fault */
	PCFG_ATTEMPT_OUTDATED		/* refused, and the password_file has another
								 * password by now */
} PcfgAttemptState;

typedef struct PcfgAttempt PcfgAttempt;

/*
 * Starts one; it has no time limit.  "what" and "result" are the caller's and
 * stay for as long as it lives; result->sock is -1, and the failure is set where
 * it fails.  It may be over at once.  NULL without memory.
 */
extern PcfgAttempt *pcfg_attempt_start(const PcfgAttemptWhat *what, PcfgLoginResult *result);

/* How far it is; it goes on from the loop, and calls nobody. */
extern PcfgAttemptState pcfg_attempt_state(const PcfgAttempt *attempt);

/*
 * Ends it (NULL: nothing).  Unless it is PROVEN its connection is closed, and
 * what still runs there cancelled.
 */
extern void pcfg_attempt_end(PcfgAttempt *attempt);

#endif							/* PCFG_ATTEMPT_H */
