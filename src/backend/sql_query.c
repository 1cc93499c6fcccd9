/*-------------------------------------------------------------------------
 *
 * backend/sql_query.c
 *	  The SQL functions that run a statement on a target.
 *
 * Floor 9; backends.
 *
 * Checks how the function was called, prepares where the rows go, and leaves
 * the rest to session.c.  The target is opened last, as what is opened is
 * good only until the catalogs are looked at again.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/parallel.h"
#include "backend/session.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "utils/builtins.h"

PCFG_SQL_FUNCTION(pcfg_sql_query);
PCFG_SQL_FUNCTION(pcfg_sql_query_as);
PCFG_SQL_FUNCTION(pcfg_sql_exec);

#define BLANKS	" \t\n\r\f\v"

/* What holds for every call. */
static void
require_usable(void)
{
	pcfg_require_preload();
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot use remote connections in a parallel worker"),
				 errhint("Mark the calling function PARALLEL RESTRICTED.")));
}

/* A set can be returned only as a whole, and only where rows may stand. */
static ReturnSetInfo *
require_set_context(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a remote query was called where a set of rows cannot stand"),
				 errhint("Call it in FROM: SELECT * FROM pool_config.query('target', 'select ...') AS t(a int, b text).")));
	return rsinfo;
}

/* The empty result, in the memory of the calling query. */
static Tuplestorestate *
begin_result(ReturnSetInfo *rsinfo, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	bool		random = (rsinfo->allowedModes & SFRM_Materialize_Random) != 0;

	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setDesc = CreateTupleDescCopy(desc);
	rsinfo->setResult = tuplestore_begin_heap(random, false, work_mem);
	MemoryContextSwitchTo(old);
	return rsinfo->setResult;
}

/*
 * Opens the target.  A statement where the name belongs, and the name of a
 * target where the statement belongs, are arguments in the wrong order;
 * neither is repeated, for a statement may hold secrets.
 */
static PcfgTarget *
open_target(const char *target, const char *sql)
{
	if (strlen(sql) < NAMEDATALEN &&
		(strpbrk(sql, BLANKS) == NULL || strpbrk(target, BLANKS "(;") != NULL) &&
		OidIsValid(get_foreign_server_oid(sql, true)) &&
		(strlen(target) >= NAMEDATALEN || !OidIsValid(get_foreign_server_oid(target, true))))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the arguments are in the wrong order"),
				 errdetail("The name of a target stands where the statement belongs."),
				 errhint("The target comes first, the statement second.")));
	return pcfg_target_open(target);
}

/* Runs the statement and fills the result. */
static void
fill_result(ReturnSetInfo *rsinfo, TupleDesc desc, bool by_name,
			const char *target, const char *sql)
{
	Tuplestorestate *store = begin_result(rsinfo, desc);
	PcfgRows   *rows = pcfg_rows_create(rsinfo->setDesc, store, by_name);
	PcfgStatement statement = {.sql = sql};
	PcfgOutcome outcome;

	pcfg_session_run(open_target(target, sql), &statement, rows, &outcome);
}

/* query(target text, sql text) returns setof record */
Datum
pcfg_sql_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;

	require_usable();
	rsinfo = require_set_context(fcinfo);
	if (rsinfo->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pool_config.query() needs a column list"),
				 errhint("Call it in FROM: SELECT * FROM pool_config.query('target', 'select ...') AS t(a int, b text).")));
	fill_result(rsinfo, rsinfo->expectedDesc, false,
				text_to_cstring(PG_GETARG_TEXT_PP(0)),
				text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return (Datum) 0;
}

/*
 * query_as(row_type anyelement, target text, sql text)
 * returns setof anyelement
 */
Datum
pcfg_sql_query_as(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	TupleDesc	desc;
	Oid			type;

	require_usable();
	rsinfo = require_set_context(fcinfo);
	if (get_call_result_type(fcinfo, &type, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the first argument of pool_config.query_as() must be of a row type"),
				 errdetail("Its type is %s.", format_type_be(get_fn_expr_argtype(fcinfo->flinfo, 0))),
				 errhint("Give NULL as a table or composite type: query_as(NULL::my_table, 'target', 'select ...').")));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		(void) begin_result(rsinfo, desc);
	else
		fill_result(rsinfo, desc, true,
					text_to_cstring(PG_GETARG_TEXT_PP(1)),
					text_to_cstring(PG_GETARG_TEXT_PP(2)));
	return (Datum) 0;
}

/* exec(target text, sql text) returns text */
Datum
pcfg_sql_exec(PG_FUNCTION_ARGS)
{
	char	   *target;
	PcfgStatement statement = {.simple = true};
	PcfgOutcome outcome;

	require_usable();
	target = text_to_cstring(PG_GETARG_TEXT_PP(0));
	statement.sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	pcfg_session_run(open_target(target, statement.sql), &statement, NULL, &outcome);
	PG_RETURN_TEXT_P(cstring_to_text(outcome.tag));
}
