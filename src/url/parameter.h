/*-------------------------------------------------------------------------
 *
 * url/parameter.h
 *	  Names of connection parameters, with each driver, and texts that nobody
 *	  means.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_PARAMETER_H
#define PCFG_PARAMETER_H

#include "url/findings.h"

/* Whose names count.  Bits, so that a name can belong to several. */
typedef enum PcfgVocabulary
{
	PCFG_LIBPQ = 1,				/* addresses and keyword strings of libpq */
	PCFG_PSYCOPG2 = 2,			/* keyword arguments of the drivers, which */
	PCFG_PSYCOPG = 4,			/* are the parameters of SQLAlchemy's URLs */
	PCFG_ASYNCPG = 8,
	PCFG_ASYNCPG_DSN = 16		/* an address that asyncpg itself reads */
} PcfgVocabulary;

typedef enum PcfgAction
{
	PCFG_TAKE,					/* libpq's keyword "as" */
	PCFG_TAKE_SECONDS,			/* our setting "as" */
	PCFG_TAKE_TOTAL,			/* a limit on connecting to all hosts together */
	PCFG_TAKE_SSL,				/* asyncpg's ssl */
	PCFG_TAKE_REQUIRESSL,
	PCFG_TAKE_DIRECT_TLS,
	PCFG_TAKE_SERVER_SETTINGS,
	PCFG_TAKE_SERVER_SETTING,	/* one, by its own name */
	PCFG_TAKE_OPTIONS,
	PCFG_TAKE_AUTOCOMMIT,
	PCFG_IGNORE,				/* tunes a client */
	PCFG_IGNORE_COUNT,			/* the same; 0 or null hints at a pooler */
	PCFG_REFUSE					/* "kind" and "hint" say why */
} PcfgAction;

typedef struct PcfgVerdict
{
	PcfgAction	action;
	const char *as;
	PcfgKind	kind;
	const char *hint;			/* may be NULL */
	bool		known;			/* so that the name may be repeated */
} PcfgVerdict;

/* What becomes of a parameter of that name. */
extern PcfgVerdict pcfg_parameter_judge(const char *name, PcfgVocabulary vocabulary);

/* The known name that a mistyped one may have meant, or NULL. */
extern const char *pcfg_parameter_nearest(const char *name, PcfgVocabulary vocabulary);

/* True for text that nobody means as a password: [YOUR-PASSWORD], ****. */
extern bool pcfg_parameter_is_placeholder(const char *text);

/* False with a control character, or where the text is not UTF-8. */
extern bool pcfg_parameter_is_sound(const char *text);

#endif							/* PCFG_PARAMETER_H */
