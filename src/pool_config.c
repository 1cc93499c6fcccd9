/*-------------------------------------------------------------------------
 *
 * pool_config.c
 *	  Module load.  Nothing includes it.
 *
 * Floor 13; postmaster and backends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "backend/ddl_watch.h"
#include "shared/control.h"
#include "shared/failpoint.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "worker/main.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	bool		preloading = process_shared_preload_libraries_in_progress;

	pcfg_failpoint_define();	/* before the prefix is reserved */
	pcfg_settings_define(preloading);
	if (!preloading || IsBinaryUpgrade)
		return;
	pcfg_control_create();
	pcfg_shmem_install_hooks();
	pcfg_ddl_watch_install();
	pcfg_worker_register();
}
