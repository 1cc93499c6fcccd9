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

PcfgFailureClass
pcfg_failure_class(const char *sqlstate)
{
	/* invalid authorization; unknown database; no privilege; unsupported */
	if (strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0 ||
		strcmp(sqlstate, "42501") == 0 || strncmp(sqlstate, "0A", 2) == 0)
		return PCFG_FAILURE_LASTING;
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
