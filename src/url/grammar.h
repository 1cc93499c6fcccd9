/*-------------------------------------------------------------------------
 *
 * url/grammar.h
 *	  Whose form an address has, and its parts by that form.
 *
 * Floor 5; backends; no server header, no ereport.
 *
 * One text has up to four readings.  The scheme, or a driver that is named
 * beside it, chooses; where readings differ in silence and nobody chose, or
 * where people slip, the address is refused with the way to write it.
 * libpq's own addresses are read by libpq's own parser, after what it would
 * take in silence was looked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_GRAMMAR_H
#define PCFG_GRAMMAR_H

#include "url/splitter.h"

#define PCFG_ADDRESS_MAX	8192	/* longest address, in bytes */

/*
 * Fills *parts, all in the arena of *findings.  text may be NULL; driver may
 * be NULL.  What is wrong is added to the findings; what could be read all
 * the same is in *parts, to be judged further.
 */
extern void pcfg_grammar_split(PcfgParts *parts, PcfgFindings *findings,
							   const char *text, const char *driver);

/* Adds what a JSON object gives. */
extern void pcfg_grammar_add_arguments(PcfgParts *parts, PcfgFindings *findings,
									   const PcfgJson *object);

#endif							/* PCFG_GRAMMAR_H */
