/*-------------------------------------------------------------------------
 *
 * url/findings.h
 *	  What is to be said of an address: what is wrong with it, and what was
 *	  read otherwise than it was written.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 * No text of these may hold a part of the address, but for names that are
 * known: half a password may stand anywhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_FINDINGS_H
#define PCFG_FINDINGS_H

#include "url/arena.h"

typedef enum PcfgKind
{
	/* errors */
	PCFG_E_EMPTY,				/* nothing given */
	PCFG_E_SCHEME,				/* unknown prefix or driver, another database */
	PCFG_E_SYNTAX,				/* cannot be split */
	PCFG_E_ESCAPE,				/* bad %, control character, not UTF-8 */
	PCFG_E_HOST,
	PCFG_E_PORT,
	PCFG_E_MULTIHOST,			/* counts differ, forms mixed */
	PCFG_E_AMBIGUOUS,			/* drivers read it in different ways */
	PCFG_E_UNKNOWN,				/* a name that no driver has */
	PCFG_E_DRIVER,				/* a name of another driver */
	PCFG_E_VALUE,				/* right name, wrong value */
	PCFG_E_SETTING,				/* the same, of a setting of the pool */
	PCFG_E_VERSION,				/* this libpq lacks it */
	PCFG_E_PRIVILEGE,			/* names a file or facility of the server */
	PCFG_E_POOLER,				/* needs a session, behind a pooler */
	PCFG_E_PLACEHOLDER,			/* a template that was not filled in */
	PCFG_E_REFUSED,				/* a pool never takes it */
	PCFG_ERRORS,				/* no kind: all above are errors */

	/* accepted all the same */
	PCFG_N_ALIAS,				/* a spelling that is refused elsewhere */
	PCFG_N_TRANSLATED,			/* another name or form was used */
	PCFG_N_IGNORED,				/* has no meaning here */
	PCFG_N_EMPTY,				/* no value: left out */
	PCFG_N_ROUNDED,
	PCFG_N_STRIPPED,			/* a provider's prefix was taken off */
	PCFG_N_PROVIDER,			/* advice for this provider */
	PCFG_N_WARNING				/* the same, and it can hardly work */
} PcfgKind;

typedef struct PcfgFinding
{
	PcfgKind	kind;
	const char *message;		/* lower case, no period */
	const char *hint;			/* a sentence, or NULL */
} PcfgFinding;

#define PCFG_MAX_FINDINGS	24	/* told of one address; the rest is dropped */

typedef struct PcfgFindings
{
	PcfgArena	arena;
	PcfgFinding items[PCFG_MAX_FINDINGS];
	int			n;
	int			nerrors;		/* none = accepted; dropped ones included */
} PcfgFindings;

/* Adds one; the same message is told once.  The hint is copied. */
extern void pcfg_finding_add(PcfgFindings *findings, PcfgKind kind, const char *hint,
							 const char *format,...)
			__attribute__((format(printf, 4, 5)));

/* The five characters of SQLSTATE for an error. */
extern const char *pcfg_kind_sqlstate(PcfgKind kind);

#endif							/* PCFG_FINDINGS_H */
