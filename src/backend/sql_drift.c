/*-------------------------------------------------------------------------
 *
 * backend/sql_drift.c
 *	  Whether functions made of remote statements are still what the remote has.
 *
 * Floor 13; backends.
 *
 * What a function is made of stands in its body, and nowhere else: so it is
 * known of restored functions, too, and of those that others wrote like it.
 * The remote describes the statement anew, as the role that asks; it runs
 * nothing, whoever wrote the function.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/description.h"
#include "backend/inquiry.h"
#include "backend/target.h"
#include "backend/version.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_check_functions);

/* A function that was made, as its body tells. */
typedef struct Made
{
	Oid			function;
	const char *body;
	const char *only;			/* the target asked about; NULL = all */
	const char *target;			/* NULL = it is none of ours, or of that */
	const char *sql;
	List	   *columns;		/* declared ones */
	List	   *described;		/* what the remote says now */
} Made;

static const char *
string_constant(const Node *node)
{
	if (!IsA(node, A_Const) || ((const A_Const *) node)->isnull ||
		!IsA(&((const A_Const *) node)->val, String))
		return NULL;
	return strVal(&((const A_Const *) node)->val);
}

/* The call of query() or exec(), and what it says of target and statement. */
static void
read_call(const Node *node, const char *name, Made *made)
{
	const FuncCall *call = (const FuncCall *) node;

	if (!IsA(node, FuncCall) || list_length(call->funcname) != 2 ||
		strcmp(strVal(linitial(call->funcname)), "pool_config") != 0 ||
		strcmp(strVal(lsecond(call->funcname)), name) != 0 || list_length(call->args) < 2)
		return;
	made->sql = string_constant(lsecond(call->args));
	if (made->sql != NULL)
		made->target = string_constant(linitial(call->args));
}

/* The columns behind AS. */
static List *
read_definitions(List *definitions)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, definitions)
	{
		ColumnDef  *definition = lfirst_node(ColumnDef, lc);
		PcfgDescribed *column = palloc0(sizeof(PcfgDescribed));

		column->name = definition->colname;
		typenameTypeIdAndMod(NULL, definition->typeName, &column->type, &column->typmod);
		columns = lappend(columns, column);
	}
	return columns;
}

/* The reverse of make_body. */
static void
read_body(Made *made)
{
	List	   *list = raw_parser(made->body, RAW_PARSE_DEFAULT);
	const SelectStmt *select;

	if (list_length(list) != 1 || !IsA(linitial_node(RawStmt, list)->stmt, SelectStmt))
		return;
	select = (const SelectStmt *) linitial_node(RawStmt, list)->stmt;
	if (list_length(select->fromClause) == 1 && IsA(linitial(select->fromClause), RangeFunction))
	{
		const RangeFunction *from = linitial_node(RangeFunction, select->fromClause);

		if (list_length(from->functions) != 1)
			return;
		read_call(linitial(linitial_node(List, from->functions)), "query", made);
		if (made->target != NULL)
			made->columns = read_definitions(from->coldeflist);
	}
	else if (select->fromClause == NIL && list_length(select->targetList) == 1)
		read_call(linitial_node(ResTarget, select->targetList)->val, "exec", made);
}

/* Describes it anew, with the types of the function's arguments. */
static void
describe_made(Made *made)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(made->function));
	Oid			types[FUNC_MAX_ARGS];
	Form_pg_proc proc;
	int			nargs;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", made->function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	nargs = proc->pronargs;
	memcpy(types, proc->proargtypes.values, sizeof(Oid) * nargs);
	ReleaseSysCache(tuple);
	made->described = pcfg_describe(made->target, made->sql, types, nargs);
}

/* A body that cannot be read is none of ours. */
static void
examine(void *arg)
{
	Made	   *made = arg;

	read_body(made);
	if (made->target != NULL && made->only != NULL && strcmp(made->only, made->target) != 0)
		made->target = NULL;
	if (made->target != NULL)
		describe_made(made);
}

static const PcfgDescribed *
find_column(List *columns, const char *name)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (strcmp(((const PcfgDescribed *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/*
 * A type of the remote's own may be known here in a schema that is not in the
 * search path now: then its name is all that can be compared.
 */
static bool
is_same_type(const PcfgDescribed *declared, const PcfgDescribed *now)
{
	const char *name;
	const char *dot;

	if (now->remote_type == NULL || OidIsValid(now->type))
		return now->type == declared->type && now->typmod == declared->typmod;
	name = format_type_extended(declared->type, declared->typmod, FORMAT_TYPE_TYPEMOD_GIVEN);
	dot = strrchr(now->remote_type, '.');
	if (strrchr(name, '.') != NULL)
		name = strrchr(name, '.') + 1;
	return strcmp(name, dot != NULL ? dot + 1 : now->remote_type) == 0;
}

static const char *
shown_type(const PcfgDescribed *column)
{
	return column->remote_type != NULL ? column->remote_type :
		format_type_with_typemod(column->type, column->typmod);
}

static void
tell_column(StringInfo text, const PcfgDescribed *declared, const PcfgDescribed *now)
{
	const char *name = declared != NULL ? declared->name : now->name;

	if (declared != NULL && now != NULL && is_same_type(declared, now))
		return;
	appendStringInfo(text, "%scolumn \"%s\" ", text->len > 0 ? "; " : "", name);
	if (now == NULL)
		appendStringInfoString(text, "is gone");
	else if (declared == NULL)
		appendStringInfo(text, "%s is new", shown_type(now));
	else
		appendStringInfo(text, "is %s, was %s", shown_type(now), shown_type(declared));
}

/* What differs, in words; NULL = nothing. */
static char *
tell_drift(const Made *made)
{
	StringInfoData text;
	ListCell   *a;
	ListCell   *b;

	initStringInfo(&text);
	foreach(a, made->columns)
		tell_column(&text, lfirst(a), find_column(made->described, ((const PcfgDescribed *) lfirst(a))->name));
	foreach(a, made->described)
	{
		if (find_column(made->columns, ((const PcfgDescribed *) lfirst(a))->name) == NULL)
			tell_column(&text, NULL, lfirst(a));
	}
	if (text.len > 0)
		return text.data;
	forboth(a, made->columns, b, made->described)
	{
		if (strcmp(((const PcfgDescribed *) lfirst(a))->name, ((const PcfgDescribed *) lfirst(b))->name) != 0)
			return pstrdup("the columns come in another order");
	}
	return NULL;
}

/* Whether the error tells of the function, not of the way to the remote. */
static bool
is_drift(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED);
}

static void
check_made(Made *made, ReturnSetInfo *rsinfo)
{
	ErrorData  *error = pcfg_attempt(examine, made);
	char	   *detail;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (made->target == NULL)
		return;
	detail = error != NULL ? error->message : tell_drift(made);
	values[0] = ObjectIdGetDatum(made->function);
	values[1] = BoolGetDatum(detail == NULL);
	nulls[1] = error != NULL && !is_drift(error);
	nulls[2] = detail == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(detail);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * check_functions(target text) returns table(function regprocedure,
 *				   ok boolean, detail text)
 */
Datum
pcfg_sql_check_functions(PG_FUNCTION_ARGS)
{
	static const char *const candidates =
		"SELECT p.oid, p.prosrc FROM pg_catalog.pg_proc p"
		" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
		" WHERE l.lanname = 'sql' AND p.prosqlbody IS NULL"
		" AND p.prosrc ~ '^SELECT (\\* FROM )?pool_config\\.(query|exec)\\('"
		" AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')"
		" ORDER BY p.oid::pg_catalog.regprocedure::pg_catalog.text";
	const char *only = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *rsinfo;
	SPITupleTable *found;
	uint64		i;

	pcfg_require_preload();
	if (only != NULL)
		(void) pcfg_target_open(only);
	rsinfo = pcfg_begin_result(fcinfo, 3);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(candidates, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for functions");
	found = SPI_tuptable;
	for (i = 0; i < found->numvals; i++)
	{
		Made		made = {InvalidOid};
		bool		isnull;

		made.function = DatumGetObjectId(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull));
		made.body = SPI_getvalue(found->vals[i], found->tupdesc, 2);
		made.only = only;
		check_made(&made, rsinfo);
	}
	SPI_finish();
	return (Datum) 0;
}
