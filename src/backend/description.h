/*-------------------------------------------------------------------------
 *
 * backend/description.h
 *	  What the remote says of a statement that it does not run.
 *
 * Floor 12; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_DESCRIPTION_H
#define PCFG_DESCRIPTION_H

#include "nodes/pg_list.h"

/* A column of a result, with its type as it is here. */
typedef struct PcfgDescribed
{
	const char *name;
	Oid			type;			/* InvalidOid = there is no such type */
	int32		typmod;
	const char *remote_type;	/* its name there; NULL = the same on each server */
} PcfgDescribed;

/*
 * The columns of a statement with parameters of those local types, a list of
 * PcfgDescribed; NIL when it has none.  Parse and Describe at the remote, and
 * a query for each type that is its own; so SPI has to be connected.  In the
 * current memory context.  Errors: those of a call, as the current role.
 */
extern List *pcfg_describe(const char *target, const char *sql,
						   const Oid *types, int ntypes);

#endif							/* PCFG_DESCRIPTION_H */
