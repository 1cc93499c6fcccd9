/*-------------------------------------------------------------------------
 *
 * backend/target_wanted.h
 *	  What a user asks a target to be: address, JSON objects and settings, as
 *	  options of a server and a user mapping.
 *
 * Floor 6; backends; works without preload.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TARGET_WANTED_H
#define PCFG_TARGET_WANTED_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "shared/setting_table.h"
#include "utils/jsonb.h"

/* Options to be set, each a list of DefElem with string values. */
typedef struct PcfgWanted
{
	List	   *server;
	List	   *mapping;
} PcfgWanted;

/* The option of that name, or NULL; adds or replaces one. */
extern DefElem *pcfg_option_find(List *options, const char *name);
extern void pcfg_option_put(List **options, const char *name, const char *value);

/* A setting by its value, or by name and text; refused with the reason. */
extern void pcfg_wanted_setting(PcfgWanted *wanted, PcfgSettingId id, int64 value);
extern void pcfg_wanted_setting_text(PcfgWanted *wanted, const char *name, const char *text);

typedef void (*PcfgTakePair) (void *arg, const char *name, const char *value);

/*
 * Reads an address, or the pairs of a JSON object, and hands them out one by
 * one.  All that is wrong with an address is told in one error, which repeats
 * nothing of it.
 */
extern void pcfg_read_address(const char *url, PcfgTakePair take, void *arg);
extern void pcfg_read_object(Jsonb *object, const char *argument, PcfgTakePair take, void *arg);

/* Takers whose arg is a PcfgWanted. */
extern void pcfg_wanted_keyword(void *arg, const char *name, const char *value);
extern void pcfg_wanted_connect_arg(void *arg, const char *name, const char *value);
extern void pcfg_wanted_setting_pair(void *arg, const char *name, const char *value);

#endif							/* PCFG_TARGET_WANTED_H */
