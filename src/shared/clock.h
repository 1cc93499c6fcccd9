/*-------------------------------------------------------------------------
 *
 * shared/clock.h
 *	  Monotonic time.
 *
 * Floor 0; any process; no server header.  Every timer of ours uses this
 * clock, never the wall's: it does not jump.  It is the same in all
 * processes of one machine, so its values may stand in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CLOCK_H
#define PCFG_CLOCK_H

#include <stdint.h>
#include <time.h>

typedef int64_t PcfgTime;		/* microseconds since some fixed moment */

#define PCFG_SECOND		((PcfgTime) 1000000)
#define PCFG_FOREVER	INT64_MAX	/* a deadline that never comes */

static inline PcfgTime
pcfg_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (PcfgTime) ts.tv_sec * PCFG_SECOND + ts.tv_nsec / 1000;
}

/* Milliseconds to wait until the deadline, rounded up, within 0..cap_ms. */
static inline long
pcfg_ms_until(PcfgTime deadline, long cap_ms)
{
	PcfgTime	left;

	if (deadline == PCFG_FOREVER)
		return cap_ms;
	left = deadline - pcfg_now();
	if (left <= 0)
		return 0;
	left = (left + 999) / 1000;
	return left < cap_ms ? (long) left : cap_ms;
}

#endif							/* PCFG_CLOCK_H */
