/*-------------------------------------------------------------------------
 *
 * shared/backoff.c
 *	  When to try again after a connect failed.
 *
 * Floor 1; any process; no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/backoff.h"

#include <string.h>

#define FIRST_DELAY		(PCFG_SECOND / 20)
#define LONGEST_DELAY	PCFG_SECOND
#define LASTING_DELAY	(60 * PCFG_SECOND)

/* What another attempt does not change; a class stands for all of its codes. */
static const char *const lasting_codes[] = {
	"0A",						/* not supported */
	"22023",					/* a parameter of the start-up is refused */
	"28",						/* who are you? */
	"3D000",					/* no such database */
	"42",						/* no right, or init_sql makes no sense */
	"55P02"						/* a parameter cannot be changed now */
};

/*
 * Words of libpq and of proxies that carry no code of their own.  The worker
 * has libpq's not translated.
 */
static const char *const lasting_words[] = {
	"certificate verify failed", "does not match host name",
	"server certificate for", "root certificate file",
	"channel binding", "does not support SSL", "no encryption",
	"unsupported startup parameter", "authentication method",
	"password authentication failed", "no such user", "no such database",
	"endpoint is disabled", "endpoint could not be found", "is not specified",
	"Tenant or user not found", "is not allowed to connect"
};

PcfgFailureClass
pcfg_failure_class(const char *sqlstate, const char *message)
{
	size_t		i;

	for (i = 0; i < sizeof(lasting_codes) / sizeof(lasting_codes[0]); i++)
	{
		if (strncmp(sqlstate, lasting_codes[i], strlen(lasting_codes[i])) == 0)
			return PCFG_FAILURE_LASTING;
	}
	/* with a code of its own the remote has said what it means */
	if (strncmp(sqlstate, "08", 2) != 0 && strcmp(sqlstate, "XX000") != 0)
		return PCFG_FAILURE_TRANSIENT;
	for (i = 0; i < sizeof(lasting_words) / sizeof(lasting_words[0]); i++)
	{
		if (strstr(message, lasting_words[i]) != NULL)
			return PCFG_FAILURE_LASTING;
	}
	return PCFG_FAILURE_TRANSIENT;
}

PcfgTime
pcfg_backoff_next(PcfgFailureClass failure, int failures, PcfgTime now, double random)
{
	PcfgTime	delay = FIRST_DELAY;
	int			i;

	if (failure == PCFG_FAILURE_LASTING)
		return now + LASTING_DELAY;
	if (failures <= 1)
		return now;
	for (i = 2; i < failures && delay < LONGEST_DELAY; i++)
		delay *= 2;
	if (delay > LONGEST_DELAY)
		delay = LONGEST_DELAY;
	return now + delay - (PcfgTime) (random * 0.25 * (double) delay);
}
