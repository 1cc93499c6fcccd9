/*-------------------------------------------------------------------------
 *
 * backend/sight.c
 *	  Who may see what of a pool.
 *
 * Floor 7; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/sight.h"
#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/syscache.h"

PcfgSight
pcfg_sight_of(Oid database, Oid server)
{
	Oid			role = GetUserId();

	if (database != MyDatabaseId ||
		!SearchSysCacheExists1(FOREIGNSERVEROID, ObjectIdGetDatum(server)))
		return PCFG_SIGHT_NOTHING;
	if (has_privs_of_role(role, ROLE_PG_MONITOR) || pcfg_owns_foreign_server(server, role))
		return PCFG_SIGHT_ALL;
	if (pcfg_server_aclcheck(server, role) == ACLCHECK_OK)
		return PCFG_SIGHT_USER;
	return PCFG_SIGHT_NOTHING;
}
