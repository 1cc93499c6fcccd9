/*-------------------------------------------------------------------------
 *
 * url/address.h
 *	  An address as people paste it, and connect_args, to libpq's keywords and
 *	  settings of the pool.
 *
 * Floor 6; backends; no server header, no ereport.
 *
 * No text made here contains the address or a part of it, but names of
 * parameters that are known somewhere.  Everything that is wrong is told at
 * once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ADDRESS_H
#define PCFG_ADDRESS_H

#include "url/keywords.h"

typedef struct PcfgAddressInput
{
	const char *text;			/* UTF-8; NULL = only connect_args */
	const char *connect_args;	/* JSON; NULL = none */
	const char *driver;			/* NULL = as the scheme says, else libpq */
	bool		privileged;		/* may name files and credentials of the server */
	const char *options;		/* more words for libpq's options; NULL = none */
	enum PcfgPooler pooler;		/* as the user said; auto = by provider */
} PcfgAddressInput;

/* Reads an address.  Always to be followed by pcfg_address_free. */
extern void pcfg_address_parse(PcfgAddress *address, const PcfgAddressInput *input);

#endif							/* PCFG_ADDRESS_H */
