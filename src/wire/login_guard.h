/*-------------------------------------------------------------------------
 *
 * wire/login_guard.h
 *	  What a server may say during a login, byte by byte: no message that is
 *	  long, not much in all, and no password hashing that takes long.
 *
 * Floor 0; any process; no I/O, no allocation, no server header.
 *
 * libpq takes notices of any length before a login is over, and any number
 * of SCRAM iterations (of which 2^31 are twenty minutes of computing).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LOGIN_GUARD_H
#define PCFG_LOGIN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCFG_LOGIN_MESSAGE_MAX		65536	/* bytes, header included */
#define PCFG_LOGIN_TOTAL_MAX		262144
#define PCFG_LOGIN_ITERATIONS_MAX	100000

typedef enum PcfgLoginVerdict
{
	PCFG_LOGIN_FINE,
	PCFG_LOGIN_TOO_LONG,		/* a message, or it is not this protocol */
	PCFG_LOGIN_TOO_MUCH,		/* in all */
	PCFG_LOGIN_TOO_COSTLY		/* SCRAM iterations */
} PcfgLoginVerdict;

typedef struct PcfgLoginGuard
{
	size_t		total;			/* bytes seen */
	unsigned char header[5];
	int			header_len;		/* bytes of the header that are there */
	uint32_t	body_len;
	uint32_t	body_seen;
	uint32_t	code;			/* of an authentication message */
	int			matched;		/* bytes of ",i=" seen in a row */
	uint64_t	iterations;
} PcfgLoginGuard;

/* Starts at a message boundary. */
extern void pcfg_login_guard_init(PcfgLoginGuard *guard);

/* Looks at the next bytes, before libpq does.  Once not fine, never again. */
extern PcfgLoginVerdict pcfg_login_guard_look(PcfgLoginGuard *guard,
											  const char *data, size_t len);

/* The verdict in a sentence without a period. */
extern const char *pcfg_login_verdict_text(PcfgLoginVerdict verdict);

#endif							/* PCFG_LOGIN_GUARD_H */
