/*-------------------------------------------------------------------------
 *
 * backend/json_rows.h
 *	  A row of values as one jsonb object.
 *
 * Floor 3; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_JSON_ROWS_H
#define PCFG_JSON_ROWS_H

#include "access/tupdesc.h"

typedef struct PcfgJsonShape PcfgJsonShape;

/*
 * The local type as which a remote column of that type becomes part of an
 * object: the type itself where to_jsonb() makes more of it than a string,
 * else text.
 */
extern Oid	pcfg_json_column_type(Oid remote_type);

/* Prepares for rows of *desc, whose names become keys; in the current context. */
extern PcfgJsonShape *pcfg_json_shape_create(TupleDesc desc);

/* The object, in the current context; NULLs become null. */
extern Datum pcfg_json_row(PcfgJsonShape *shape, const Datum *values, const bool *nulls);

#endif							/* PCFG_JSON_ROWS_H */
