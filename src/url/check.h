/*-------------------------------------------------------------------------
 *
 * url/check.h
 *	  What can be said of an address as a whole: hosts and ports, encryption,
 *	  providers.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CHECK_H
#define PCFG_CHECK_H

#include "url/keywords.h"

/*
 * Checks and completes the keywords of an address; what is wrong goes to its
 * findings.  "complete": a host must be named (else it is only a part of an
 * address, from connect_args).
 */
extern void pcfg_check_address(PcfgAddress *address, bool complete,
							   enum PcfgPooler pooler, bool asyncpg);

#endif							/* PCFG_CHECK_H */
