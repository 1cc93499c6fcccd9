/*-------------------------------------------------------------------------
 *
 * shared/failpoint.h
 *	  Named places where a test build fails, dies or stands still.
 *
 * Floor 0; any process.
 *
 * Built with FAILPOINTS=1, and only then, there is the setting
 * pool_config.failpoint = 'PLACE ACTION [N]': when a process reaches the place
 * for the N-th time (1) it does, once
 *
 *		error, fatal		raises that; not in the worker, which raises nothing
 *		cancel, terminate	gets the signal of that
 *		kill				kills itself, which restarts the server
 *		wait				waits while the file "failpoint" is in the data directory
 *
 * Otherwise no trace of it is left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_FAILPOINT_H
#define PCFG_FAILPOINT_H

#ifdef PCFG_FAILPOINTS

typedef enum PcfgFailpoint
{
#define PCFG_PLACE(name, what) PCFG_PLACE_##name,
#include "shared/failpoints.def"
#undef PCFG_PLACE
	PCFG_PLACES
} PcfgFailpoint;

extern void pcfg_failpoint_define(void);
extern void pcfg_failpoint_reach(PcfgFailpoint place);

/* Whether that place is the one set: then its file may lead to it. */
extern bool pcfg_failpoint_is_set(PcfgFailpoint place);

#define PCFG_FAILPOINT(name)	pcfg_failpoint_reach(PCFG_PLACE_##name)
#define PCFG_FAILPOINT_SET(name)	pcfg_failpoint_is_set(PCFG_PLACE_##name)

#else

#define pcfg_failpoint_define()	((void) 0)
#define PCFG_FAILPOINT(name)	((void) 0)
#define PCFG_FAILPOINT_SET(name)	false

#endif

#endif							/* PCFG_FAILPOINT_H */
