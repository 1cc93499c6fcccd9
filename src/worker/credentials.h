/*-------------------------------------------------------------------------
 *
 * worker/credentials.h
 *	  What the worker knows of each pool's remote: keywords for libpq and
 *	  statements for a fresh connection.
 *
 * Floor 6; worker.  Holds passwords, in this process only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CREDENTIALS_H
#define PCFG_CREDENTIALS_H

#include "postgres.h"

#include "shared/control.h"

#define PCFG_ADDRESS_LEN	64	/* an address in text, with its zone */

/* Shared by its pool and the connects under way. */
typedef struct PcfgCredentialSet
{
	uint32		serial;			/* of the pool */
	int			references;
	int			nparams;
	int			ninit;
	const char **keywords;		/* nparams, and a NULL */
	const char **values;
	const char **init;			/* ninit */
	size_t		size;			/* of the text, to be wiped */
	char	   *text;
} PcfgCredentialSet;

/* At the worker's start; false without memory. */
extern bool pcfg_credentials_create(void);

/* Takes over a message of that length; false when it is malformed. */
extern bool pcfg_credentials_store(const PcfgCredentials *message, size_t length);

/* The pool's, or NULL; to be released.  *serial is compared. */
extern PcfgCredentialSet *pcfg_credentials_get(int pool, uint32 serial);
extern void pcfg_credentials_release(PcfgCredentialSet *set);

/* Value of a keyword, or NULL. */
extern const char *pcfg_credentials_value(const PcfgCredentialSet *set, const char *keyword);

/* Drops those whose pool is gone. */
extern void pcfg_credentials_sweep(void);

#endif							/* PCFG_CREDENTIALS_H */
