/*-------------------------------------------------------------------------
 *
 * url/splitter.h
 *	  What cutting up any form of address needs: escapes, hosts, parameters.
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SPLITTER_H
#define PCFG_SPLITTER_H

#include "url/findings.h"
#include "url/json.h"
#include "url/parameter.h"

#define PCFG_MAX_GIVEN		128		/* parameters of one address and connect_args */
#define PCFG_MAX_HOSTS		32

typedef enum PcfgGrammar
{
	PCFG_NO_ADDRESS,			/* only connect_args */
	PCFG_URI,					/* postgresql://, read by libpq */
	PCFG_KEYWORD_STRING,		/* host=... */
	PCFG_SQLALCHEMY				/* postgresql+driver:// */
} PcfgGrammar;

typedef struct PcfgGiven
{
	const char *name;
	const PcfgJson *value;
	int			position;		/* among the parameters of its source, from 1 */
	bool		identity;		/* user, password, host, port or dbname from
								 * its place in the address, libpq's name */
	bool		argument;		/* from connect_args */
} PcfgGiven;

typedef struct PcfgParts
{
	PcfgGrammar grammar;
	PcfgVocabulary driver;		/* PCFG_LIBPQ when none was named */
	PcfgVocabulary address_names;
	PcfgVocabulary argument_names;
	PcfgGiven	given[PCFG_MAX_GIVEN];
	int			ngiven;
} PcfgParts;

/* The common hint of what cannot be read at all. */
#define PCFG_ADDRESS_FORM \
	"Its form is postgresql://user:password@host:port/database?name=value, or host=... user=... password=...."

typedef struct PcfgSplitter
{
	PcfgParts  *parts;
	PcfgFindings *findings;
	int			position;		/* of the parameter at hand */
} PcfgSplitter;

/* Hosts and ports as libpq has them: comma lists. */
typedef struct PcfgHostList
{
	const char *hosts;			/* "" at first, as ports */
	const char *ports;
	int			n;
	int			nports;			/* hosts that have one */
} PcfgHostList;

/* What is behind the question mark, and how it is read. */
typedef struct PcfgQuery
{
	bool		plus_is_blank;
	bool		one_equals;		/* exactly one "=" in each; else the first */
	char	   *kept;			/* not NULL: room for the parameters that libpq
								 * knows, as they are, with "?" before them */
	PcfgHostList hosts;			/* SQLAlchemy's host, of which there may be many */
	int			nhosts;
} PcfgQuery;

/*
 * Adds a parameter; "identity": a part of the address by its place, where
 * nothing is as if it were not there.  Texts are not copied.
 */
extern void pcfg_split_give(PcfgSplitter *s, const char *name, const char *value);
extern void pcfg_split_give_identity(PcfgSplitter *s, const char *name, const char *value);

/* Another value for a parameter that was given; its place is kept. */
extern void pcfg_split_replace(PcfgSplitter *s, const char *name, const char *value);

/* Was a parameter of that name given, other than by place? */
extern bool pcfg_split_is_given(const PcfgSplitter *s, const char *name);

/* The parameter at hand has no value: left out, if its name is right. */
extern void pcfg_split_give_empty(PcfgSplitter *s, const char *name);

/*
 * Undoes the percent escapes of what is between two marks ("" when from is
 * NULL); "part" is its name.  NULL when it is not sound, which is told, and
 * *sound is false then.
 */
extern const char *pcfg_split_decode(PcfgSplitter *s, const char *from, const char *to,
									 const char *part, bool *sound);

/* Is the character between the two marks? */
extern bool pcfg_split_has(const char *from, const char *to, char c);

/* h1:1,h2:2; false when that is wrong, which is told. */
extern bool pcfg_split_hosts(PcfgSplitter *s, PcfgHostList *list, const char *p, const char *end);

/* name=value&name=value */
extern void pcfg_split_query(PcfgSplitter *s, PcfgQuery *query, const char *p);

/*
 * The guards on user, password and path: false when they cannot be told from
 * each other.  at may be NULL; path and query begin at their mark or the end.
 */
extern bool pcfg_split_check_places(PcfgSplitter *s, const char *rest, const char *at,
									const char *path, const char *query);

#endif							/* PCFG_SPLITTER_H */
