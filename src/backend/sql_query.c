/*-------------------------------------------------------------------------
 *
 * backend/sql_query.c
 *	  The SQL functions that run a statement on a target.
 *
 * Floor 12; backends.
 *
 * Checks how the function was called, prepares where the rows go, and leaves
 * the rest to session.c.  The target is opened last, as what is opened is
 * good only until the catalogs are looked at again.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/params.h"
#include "backend/session.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "utils/builtins.h"

PCFG_SQL_FUNCTION(pcfg_sql_query);
PCFG_SQL_FUNCTION(pcfg_sql_query_as);
PCFG_SQL_FUNCTION(pcfg_sql_query_json);
PCFG_SQL_FUNCTION(pcfg_sql_exec);

#define BLANKS	" \t\n\r\f\v"

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

/*
 * The statement in arguments "first" (target) and following; the parameters
 * are those behind it, if the function was declared with any.
 */
static const char *
read_call(FunctionCallInfo fcinfo, int first, PcfgStatement *statement)
{
	memset(statement, 0, sizeof(*statement));
	statement->sql = text_to_cstring(PG_GETARG_TEXT_PP(first + 1));
	if (PG_NARGS() > first + 2)
		statement->params = pcfg_wire_params_make(fcinfo, first + 2, &statement->nparams);
	return text_to_cstring(PG_GETARG_TEXT_PP(first));
}

/* How a remote row becomes one of ours. */
typedef enum Match
{
	BY_POSITION, BY_NAME, AS_JSON
} Match;

/* Runs the statement and fills the result. */
static void
fill_result(FunctionCallInfo fcinfo, int first, TupleDesc desc, Match match)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Tuplestorestate *store = begin_result(rsinfo, desc);
	PcfgStatement statement;
	PcfgOutcome outcome;
	const char *target;
	PcfgRows   *rows;

	if (PG_ARGISNULL(first) || PG_ARGISNULL(first + 1))
		return;
	target = read_call(fcinfo, first, &statement);
	rows = match == AS_JSON ? pcfg_rows_create_json(rsinfo->setDesc, store) :
		pcfg_rows_create(rsinfo->setDesc, store, match == BY_NAME);
	pcfg_session_run(open_target(target, statement.sql), &statement, rows, &outcome);
}

/* query(target text, sql text [, params]) returns setof record */
Datum
pcfg_sql_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;

	pcfg_session_require_usable();
	rsinfo = require_set_context(fcinfo);
	if (rsinfo->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pool_config.query() needs a column list"),
				 errhint("Call it in FROM: SELECT * FROM pool_config.query('target', 'select ...') AS t(a int, b text).")));
	fill_result(fcinfo, 0, rsinfo->expectedDesc, BY_POSITION);
	return (Datum) 0;
}

/*
 * query_as(row_type anyelement, target text, sql text [, params])
 * returns setof anyelement
 */
Datum
pcfg_sql_query_as(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Oid			type;

	pcfg_session_require_usable();
	(void) require_set_context(fcinfo);
	if (get_call_result_type(fcinfo, &type, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the first argument of pool_config.query_as() must be of a row type"),
				 errdetail("Its type is %s.", format_type_be(get_fn_expr_argtype(fcinfo->flinfo, 0))),
				 errhint("Give NULL as a table or composite type: query_as(NULL::my_table, 'target', 'select ...').")));
	fill_result(fcinfo, 1, desc, BY_NAME);
	return (Datum) 0;
}

/* query_json(target text, sql text [, params]) returns setof jsonb */
Datum
pcfg_sql_query_json(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1);

	pcfg_session_require_usable();
	(void) require_set_context(fcinfo);
	TupleDescInitEntry(desc, 1, "query_json", JSONBOID, -1, 0);
	fill_result(fcinfo, 0, desc, AS_JSON);
	return (Datum) 0;
}

/* exec(target text, sql text [, params]) returns text */
Datum
pcfg_sql_exec(PG_FUNCTION_ARGS)
{
	PcfgStatement statement;
	PcfgOutcome outcome;
	const char *target;

	pcfg_session_require_usable();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	target = read_call(fcinfo, 0, &statement);
	statement.simple = statement.nparams == 0;
	pcfg_session_run(open_target(target, statement.sql), &statement, NULL, &outcome);
	PG_RETURN_TEXT_P(cstring_to_text(outcome.tag));
}
