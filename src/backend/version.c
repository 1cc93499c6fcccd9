/*-------------------------------------------------------------------------
 *
 * backend/version.c
 *	  The SQL objects and the library are of one version, or say that not.
 *
 * Floor 1; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "backend/version.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/regproc.h"
#include "utils/rel.h"

/* The version of the extension in this database. */
static char *
installed_version(void)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	char	   *version = pstrdup("unknown");
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("pool_config"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
}

static void
raise_difference(FunctionCallInfo fcinfo)
{
	char	   *function = format_procedure(fcinfo->flinfo->fn_oid);
	char	   *version = installed_version();

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("function %s of pool_config is not as the loaded library knows it",
					function),
			 errdetail("The extension in this database has version %s, the library is made for %s.",
					   version, PCFG_VERSION),
			 errhint("Bring the extension up to the library: ALTER EXTENSION pool_config UPDATE; and restart the server if the library itself was replaced.")));
}

void
pcfg_require_arguments(FunctionCallInfo fcinfo, int n)
{
	if (PG_NARGS() != n)
		raise_difference(fcinfo);
}

ReturnSetInfo *
pcfg_begin_result(FunctionCallInfo fcinfo, int ncolumns)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleDesc	desc;
	bool		is_row = get_call_result_type(fcinfo, NULL, &desc) == TYPEFUNC_COMPOSITE;

	if (is_row ? desc->natts != ncolumns : ncolumns != 1)
		raise_difference(fcinfo);
	InitMaterializedSRF(fcinfo, is_row ? 0 : MAT_SRF_USE_EXPECTED_DESC);
	return rsinfo;
}
