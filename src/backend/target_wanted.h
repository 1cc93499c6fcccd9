/*-------------------------------------------------------------------------
 *
 * backend/target_wanted.h
 *	  What a user asks a target to be: address, JSON objects and settings, as
 *	  options of a server and a user mapping.
 *
 * Floor 9; backends; works without preload.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TARGET_WANTED_H
#define PCFG_TARGET_WANTED_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "shared/setting_table.h"
#include "url/address.h"
#include "utils/jsonb.h"

/* Options to be set, each a list of DefElem with string values. */
typedef struct PcfgWanted
{
	List	   *server;
	List	   *mapping;
} PcfgWanted;

/* What they are made of; all but "sized" may be NULL. */
typedef struct PcfgWantedSource
{
	const char *url;
	Jsonb	   *connect_args;
	const char *driver;
	Jsonb	   *settings;
	bool		sized;			/* pool_size or max_overflow stands beside */
	const char *old_options;	/* libpq's options of a target whose address
								 * stays */
} PcfgWantedSource;

/* The option of that name, or NULL; adds or replaces one. */
extern DefElem *pcfg_option_find(List *options, const char *name);
extern void pcfg_option_put(List **options, const char *name, const char *value);

/* A setting by its value; refused with the reason. */
extern void pcfg_wanted_setting(PcfgWanted *wanted, PcfgSettingId id, int64 value);

/*
 * Reads all of the source into *wanted.  Everything that is wrong is told in
 * one error, which repeats nothing of the address; what is read otherwise
 * than it was written, in notices.
 */
extern void pcfg_wanted_read(PcfgWanted *wanted, const PcfgWantedSource *source);

/* Notices of what hardly suits the provider whose host these options name. */
extern void pcfg_wanted_advise(List *server_options);

/* An error, with the nearest name, when there is no setting of that name. */
extern void pcfg_wanted_check_setting(const char *name);

/*
 * Hands out the keywords of an address and connect_args one by one, in the
 * encoding of the database; errors and notices as above.
 */
typedef void (*PcfgTakeKeyword) (void *arg, const char *name, const char *value, PcfgOrigin origin);

extern void pcfg_wanted_list(const PcfgWantedSource *source, PcfgTakeKeyword take, void *arg);

#endif							/* PCFG_TARGET_WANTED_H */
