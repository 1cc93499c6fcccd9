/*-------------------------------------------------------------------------
 *
 * url/json.h
 *	  JSON objects as users give them for connect_args, types kept.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_JSON_H
#define PCFG_JSON_H

#include "url/arena.h"

#define PCFG_JSON_MAX		65536	/* longest text, in bytes */

typedef enum PcfgJsonType
{
	PCFG_JSON_NULL,
	PCFG_JSON_BOOL,				/* text is "true" or "false" */
	PCFG_JSON_NUMBER,			/* text is the number as written */
	PCFG_JSON_STRING,
	PCFG_JSON_ARRAY,
	PCFG_JSON_OBJECT
} PcfgJsonType;

typedef struct PcfgJson
{
	PcfgJsonType type;
	const char *text;			/* of a single value, decoded; else "" */
	const char *name;			/* in an object; else "" */
	struct PcfgJson *first;		/* of an array or object */
	struct PcfgJson *next;		/* in the array or object it stands in */
} PcfgJson;

/*
 * Reads one value.  NULL when it is not JSON, longer than PCFG_JSON_MAX,
 * nested deeper than 8, or has a NUL in it.  The tree belongs to the arena.
 */
extern PcfgJson *pcfg_json_parse(PcfgArena *arena, const char *text);

#endif							/* PCFG_JSON_H */
