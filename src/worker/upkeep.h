/*-------------------------------------------------------------------------
 *
 * worker/upkeep.h
 *	  What is due by time: age, retired pools, connects after a failure.
 *
 * Floor 11; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_UPKEEP_H
#define PCFG_UPKEEP_H

#include "shared/clock.h"

/* Looks after all pools; returns when to be called again. */
extern PcfgTime pcfg_upkeep_tick(PcfgTime now);

#endif							/* PCFG_UPKEEP_H */
