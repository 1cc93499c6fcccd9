/*-------------------------------------------------------------------------
 *
 * url/libpq_form.h
 *	  libpq's own two forms of address, read by libpq's own parser.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_LIBPQ_FORM_H
#define PCFG_LIBPQ_FORM_H

#include "url/splitter.h"

/* postgresql://, from behind the "//"; asyncpg reads its parameters by itself. */
extern void pcfg_libpq_split_uri(PcfgSplitter *s, const char *rest);

/* host=... user=... */
extern void pcfg_libpq_split_keywords(PcfgSplitter *s, const char *text);

#endif							/* PCFG_LIBPQ_FORM_H */
