/*-------------------------------------------------------------------------
 *
 * url/keywords.h
 *	  What an address comes to: libpq's keywords and settings of the pool.
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_KEYWORDS_H
#define PCFG_KEYWORDS_H

#include "url/findings.h"
#include "url/provider.h"

#define PCFG_MAX_KEYWORDS	128

typedef enum PcfgOrigin
{
	PCFG_FROM_ADDRESS, PCFG_FROM_ARGUMENTS, PCFG_FROM_PROVIDER
} PcfgOrigin;

typedef struct PcfgKeyword
{
	const char *name;			/* libpq's keyword, or a setting of the pool, */
	const char *value;			/* whose value is then in seconds */
	PcfgOrigin	origin;
} PcfgKeyword;

typedef struct PcfgAddress
{
	PcfgKeyword keywords[PCFG_MAX_KEYWORDS];	/* contain secrets */
	int			nkeywords;		/* 0 when there are errors */
	const PcfgProvider *provider;	/* NULL = nobody's that is known */
	PcfgFindings findings;		/* findings.nerrors = 0: accepted; its arena
								 * holds all texts, and may have failed */
} PcfgAddress;

/* The value of a keyword, or NULL. */
extern const char *pcfg_address_value(const PcfgAddress *address, const char *name);

/*
 * Sets a keyword, or gives one that is there another value.  Neither text is
 * copied.
 */
extern void pcfg_address_put(PcfgAddress *address, const char *name, const char *value,
							 PcfgOrigin origin);

/* Takes a keyword out. */
extern void pcfg_address_drop(PcfgAddress *address, const char *name);

/*
 * Where to and who first, the rest by name: the same target has the same
 * list, in whichever form it was written.
 */
extern void pcfg_address_sort(PcfgAddress *address);

/* Overwrites and frees what it holds. */
extern void pcfg_address_free(PcfgAddress *address);

#endif							/* PCFG_KEYWORDS_H */
