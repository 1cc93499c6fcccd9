/*-------------------------------------------------------------------------
 *
 * backend/target_params.h
 *	  The final libpq keywords of a target, and the fingerprint of them.
 *
 * Floor 3; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TARGET_PARAMS_H
#define PCFG_TARGET_PARAMS_H

#include "nodes/pg_list.h"

#include "shared/shmem.h"

/* What the keywords are made from. */
typedef struct PcfgParamsSource
{
	const char *target;			/* name, for errors */
	bool		foreign_wrapper;	/* of postgres_fdw or dblink_fdw */
	bool		pooled;			/* a pooler between transactions is in front */
	bool		owner_is_trusted;	/* of the server: may name files */
	const char *role_name;		/* effective local role */
	const char *mapping_name;	/* local role of the mapping; "public" */
	const char *database;		/* local */
	List	   *server_options; /* of DefElem */
	List	   *mapping_options;	/* of DefElem */
} PcfgParamsSource;

/* Contains secrets: pcfg_params_wipe() before the memory is given back. */
typedef struct PcfgParams
{
	int			n;
	int			room;
	const char **keywords;
	const char **values;
	bool		password_given; /* non-empty, in the mapping */
	bool		password_required;	/* by the mapping; default true */
} PcfgParams;

/*
 * Fills *params in the current memory context; all fields are valid at any
 * moment, so that a wipe on error finds what there is.  Errors: HV00D for an
 * option that a pool never takes, 42501 for one that only a trusted owner's
 * server may carry, HV00J when no host is named.  Never names a value.
 */
extern void pcfg_params_build(PcfgParams *params, const PcfgParamsSource *source);

/* Overwrites the values. */
extern void pcfg_params_wipe(PcfgParams *params);

/* HMAC, under this server start's key, over all that makes a connection. */
extern void pcfg_params_fingerprint(const PcfgParams *params, const char *init_sql,
									Oid server, Oid mapping, unsigned char *digest);

/*
 * The same for all targets of that name with that remote address, in any
 * database and with any mapping.
 */
extern void pcfg_params_address_id(const PcfgParams *params, const char *target,
								   unsigned char *id);

#endif							/* PCFG_TARGET_PARAMS_H */
