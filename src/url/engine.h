/*-------------------------------------------------------------------------
 *
 * url/engine.h
 *	  Settings of a pool as users write them: our own, and the words of
 *	  SQLAlchemy's engine.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ENGINE_H
#define PCFG_ENGINE_H

#include "shared/setting_table.h"
#include "url/findings.h"

typedef struct PcfgEngine
{
	bool		given[PCFG_SETTING_COUNT];
	int64_t		value[PCFG_SETTING_COUNT];	/* in the unit of the kind */
	const char *init_sql;		/* where given[PCFG_INIT_SQL] */
	const char *options;		/* words for libpq's options; NULL = none */
	PcfgFindings findings;		/* as of an address */
} PcfgEngine;

/*
 * Reads a JSON object (UTF-8).  "sized": pool_size or max_overflow is given
 * beside it.  Always to be followed by pcfg_engine_free.
 */
extern void pcfg_engine_parse(PcfgEngine *engine, const char *json, bool sized);

/* One setting by name and text. */
extern void pcfg_engine_setting(PcfgEngine *engine, const char *name, const char *text);

extern void pcfg_engine_free(PcfgEngine *engine);

#endif							/* PCFG_ENGINE_H */
