/*-------------------------------------------------------------------------
 *
 * url/address.h
 *	  An address as people paste it, to libpq's keywords.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 * libpq's parser owns the grammar.  Before it comes what it would take in
 * silence although two readings are possible, and what its error messages
 * would repeat: no text made here contains the address or a part of it, but
 * names of parameters that are known somewhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ADDRESS_H
#define PCFG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define PCFG_ADDRESS_MAX	8192	/* longest address, in bytes */
#define PCFG_MAX_PROBLEMS	8	/* told of one address */

typedef struct PcfgKeyword
{
	char	   *name;
	char	   *value;
} PcfgKeyword;

typedef struct PcfgProblem
{
	char		sqlstate[6];
	char	   *message;		/* lower case, no period */
	char	   *hint;			/* a sentence, or NULL */
} PcfgProblem;

typedef struct PcfgAddress
{
	PcfgKeyword *keywords;		/* as libpq knows them; contain secrets */
	int			nkeywords;
	PcfgProblem problems[PCFG_MAX_PROBLEMS];	/* none = accepted */
	int			nproblems;
	PcfgProblem notices[PCFG_MAX_PROBLEMS]; /* accepted all the same */
	int			nnotices;
	bool		out_of_memory;
} PcfgAddress;

/* Reads an address.  Always to be followed by pcfg_address_free. */
extern void pcfg_address_parse(PcfgAddress *address, const char *text);

/* Overwrites and frees what it holds. */
extern void pcfg_address_free(PcfgAddress *address);

#endif							/* PCFG_ADDRESS_H */
