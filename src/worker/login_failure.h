/*-------------------------------------------------------------------------
 *
 * worker/login_failure.h
 *	  Why a login failed, and who may be told in which words.
 *
 * Floor 6; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LOGIN_FAILURE_H
#define PCFG_LOGIN_FAILURE_H

#include "postgres.h"

#include <libpq-fe.h>

#include "shared/shmem.h"

/* As in PcfgCause; no secret in it. */
typedef struct PcfgLoginFailure
{
	char		sqlstate[6];
	char		message[PCFG_CAUSE_LEN];
	char		said[PCFG_CAUSE_LEN];
} PcfgLoginFailure;

/* A failure in our own words. */
extern void pcfg_login_failure_set(PcfgLoginFailure *failure, const char *sqlstate,
								   const char *message);

/* Whom we were connecting to, for the words; strings are the caller's. */
typedef struct PcfgLoginPlace
{
	const char *user;
	const char *database;
	const char *host;
	const char *port;
} PcfgLoginPlace;

/* libpq gave up; before: its status before the last step. */
extern void pcfg_login_failure_read(PcfgLoginFailure *failure, const PGconn *conn,
									ConnStatusType before, const PcfgLoginPlace *place);

#endif							/* PCFG_LOGIN_FAILURE_H */
