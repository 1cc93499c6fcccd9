/*-------------------------------------------------------------------------
 *
 * backend/file_rights.h
 *	  Who may name files and credentials of the server in a target.
 *
 * Floor 1; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_FILE_RIGHTS_H
#define PCFG_FILE_RIGHTS_H

#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"

/*
 * Superusers, and those who may read any file of the server anyway.  What
 * the connection then reads, it reads as the account that runs the server.
 */
static inline bool
pcfg_may_name_files(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES);
}

#endif							/* PCFG_FILE_RIGHTS_H */
