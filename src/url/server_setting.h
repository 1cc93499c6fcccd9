/*-------------------------------------------------------------------------
 *
 * url/server_setting.h
 *	  Settings of the remote server that are given with the connection, as
 *	  words of libpq's "options".
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SERVER_SETTING_H
#define PCFG_SERVER_SETTING_H

#include "url/findings.h"
#include "url/json.h"

typedef struct PcfgServerSetting
{
	const char *keyword;		/* libpq's own for it; NULL = goes to options */
	const char *text;			/* its value, or the words; NULL = left out */
} PcfgServerSetting;

/* Translates one; false when it is refused, which was told. */
extern bool pcfg_server_setting_read(PcfgServerSetting *result, PcfgFindings *findings,
									 const char *name, const PcfgJson *value);

/*
 * True when "options" sets anything that a pooler between two transactions
 * forgets or mixes up.
 */
extern bool pcfg_server_setting_needs_session(const char *options);

/* "options" without what it says of that setting, in the arena. */
extern const char *pcfg_server_setting_without(PcfgArena *arena, const char *options,
											   const char *name);

#endif							/* PCFG_SERVER_SETTING_H */
