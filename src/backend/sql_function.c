/*-------------------------------------------------------------------------
 *
 * backend/sql_function.c
 *	  Ordinary SQL functions made of remote statements, and whether they still
 *	  are what the remote has.
 *
 * Floor 10; backends.
 *
 * The statement is described by the remote, not run.  What comes of it is a
 * plain CREATE FUNCTION in the name of the caller: rights, dependencies, dump
 * and restore are the server's affair.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/transam.h"
#include "backend/inquiry.h"
#include "backend/params.h"
#include "backend/session.h"
#include "backend/version.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_create_function);
PCFG_SQL_FUNCTION(pcfg_sql_check_functions);

/* What is assumed of a function of which nothing is known. */
#define ROWS_UNKNOWN	1000.0

/* What a signature says. */
typedef struct Signature
{
	List	   *name;
	int			nargs;
	Oid			types[FUNC_MAX_ARGS];
	const char *names[FUNC_MAX_ARGS];	/* NULL = none */
} Signature;

/* A column of a result, with its type as it is here. */
typedef struct Column
{
	const char *name;
	Oid			type;			/* InvalidOid = there is no such type */
	int32		typmod;
	const char *remote_type;	/* its name there; NULL = the same on each server */
} Column;

static void
raise_signature(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("the signature of the function is not valid"),
			 errdetail("%s", why),
			 errhint("Write a name and its arguments: customer(id int).")));
}

/*
 * The server's own parser reads it, as part of a statement that is thrown
 * away; anything more than a signature shows in the tree.
 */
static CreateFunctionStmt *
parse_signature(const char *text)
{
	char	   *statement = psprintf("CREATE FUNCTION %s RETURNS void AS ''", text);
	List	   *list = raw_parser(statement, RAW_PARSE_DEFAULT);
	CreateFunctionStmt *stmt;

	if (list_length(list) != 1 || !IsA(linitial_node(RawStmt, list)->stmt, CreateFunctionStmt))
		raise_signature("It has to be one signature, and nothing else.");
	stmt = (CreateFunctionStmt *) linitial_node(RawStmt, list)->stmt;
	if (list_length(stmt->options) != 1 || stmt->sql_body != NULL ||
		stmt->returnType == NULL || list_length(stmt->returnType->names) != 1 ||
		strcmp(strVal(linitial(stmt->returnType->names)), "void") != 0)
		raise_signature("It has to be one signature, and nothing else.");
	return stmt;
}

static void
read_signature(const char *text, Signature *signature)
{
	CreateFunctionStmt *stmt = parse_signature(text);
	ListCell   *lc;

	memset(signature, 0, sizeof(*signature));
	signature->name = stmt->funcname;
	foreach(lc, stmt->parameters)
	{
		FunctionParameter *parameter = lfirst_node(FunctionParameter, lc);

		if (parameter->mode != FUNC_PARAM_IN && parameter->mode != FUNC_PARAM_DEFAULT)
			raise_signature("Arguments are IN only; the result is told by the remote server.");
		if (parameter->defexpr != NULL)
			raise_signature("Arguments have no defaults here.");
		if (signature->nargs == FUNC_MAX_ARGS - 2)
			raise_signature("It has too many arguments.");
		signature->names[signature->nargs] = parameter->name;
		signature->types[signature->nargs] = typenameTypeId(NULL, parameter->argType);
		if (get_typtype(signature->types[signature->nargs]) == TYPTYPE_PSEUDO)
			raise_signature("Arguments must be of real types.");
		signature->nargs++;
	}
}

/* The remote's own name of a type that is not the same on every server. */
static char *
ask_type_name(const char *target, Oid type, int32 typmod)
{
	static const char *const query =
		"SELECT * FROM pool_config.query($1, 'select format_type($1, $2)', $2, $3) AS t(name text)";
	Oid			types[] = {TEXTOID, OIDOID, INT4OID};
	Datum		values[] = {
		CStringGetTextDatum(target), ObjectIdGetDatum(type), Int32GetDatum(typmod)
	};

	if (SPI_execute_with_args(query, lengthof(types), types, values, NULL, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not ask target \"%s\" for the name of a type", target);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* Finds the type here that a column of that remote type can have. */
static void
find_type(const char *target, Column *column, Oid type, int32 typmod)
{
	column->type = type;
	column->typmod = typmod;
	if (type < FirstGenbkiObjectId && SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)))
		return;
	column->type = InvalidOid;
	column->remote_type = ask_type_name(target, type, typmod);
	if (column->remote_type == NULL)
		column->remote_type = "???";
	else
		pcfg_parse_type(column->remote_type, &column->type, &column->typmod);
}

/* The columns as the remote describes them; NIL when there are none. */
static List *
read_columns(const char *target, const PcfgFrame *columns)
{
	List	   *list = NIL;
	PcfgReader	reader;
	int			n;
	int			i;

	if (columns->body == NULL)
		return NIL;
	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	for (i = 0; i < n; i++)
	{
		Column	   *column = palloc0(sizeof(Column));
		Oid			type;
		int32		typmod;

		column->name = pcfg_read_string(&reader);
		(void) pcfg_read_int32(&reader);	/* table */
		(void) pcfg_read_int16(&reader);	/* its column */
		type = (Oid) pcfg_read_int32(&reader);
		(void) pcfg_read_int16(&reader);	/* length */
		typmod = pcfg_read_int32(&reader);
		(void) pcfg_read_int16(&reader);	/* format */
		if (reader.failed || strlen(column->name) >= NAMEDATALEN ||
			!pg_verify_mbstr(GetDatabaseEncoding(), column->name, (int) strlen(column->name), true))
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the remote server sent a malformed result")));
		find_type(target, column, type, typmod);
		list = lappend(list, column);
	}
	return list;
}

/* Whether a function can return them. */
static void
require_usable(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const Column *column = lfirst(lc);

		if (strcmp(column->name, "?column?") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
					 errmsg("column %d of the remote statement has no name",
							foreach_current_index(lc) + 1),
					 errhint("Give it one: ... AS name.")));
		if (!OidIsValid(column->type))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("type \"%s\" of remote column \"%s\" is not known here",
							column->remote_type, column->name),
					 errhint("Create it here, too, or cast the column in the remote statement: CAST(... AS text).")));
	}
}

/* The type as it is written here, in full. */
static char *
type_name(const Column *column)
{
	return format_type_extended(column->type, column->typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* "name type, ..."; NULL when there are none. */
static char *
list_columns(List *columns)
{
	StringInfoData list;
	ListCell   *lc;

	if (columns == NIL)
		return NULL;
	initStringInfo(&list);
	foreach(lc, columns)
	{
		const Column *column = lfirst(lc);

		appendStringInfo(&list, "%s%s %s", lc != list_head(columns) ? ", " : "",
						 quote_identifier(column->name), type_name(column));
	}
	return list.data;
}

/* What the remote says of the statement. */
static void
describe(const char *target, const char *sql, const Signature *signature, PcfgOutcome *outcome)
{
	PcfgWireParam *params = palloc0(sizeof(PcfgWireParam) * Max(signature->nargs, 1));
	PcfgStatement statement = {.sql = sql, .params = params, .nparams = signature->nargs, .describe = true};
	int			i;

	for (i = 0; i < signature->nargs; i++)
		params[i].type = pcfg_wire_param_type(signature->types[i]);
	pcfg_session_run(pcfg_target_open(target), &statement, NULL, outcome);
}

/* The call that becomes the function's body. */
static char *
make_body(const char *target, const char *sql, const Signature *signature, const char *columns)
{
	StringInfoData body;
	int			i;

	initStringInfo(&body);
	appendStringInfo(&body, "SELECT %s(%s, %s",
					 columns != NULL ? "* FROM pool_config.query" : "pool_config.exec",
					 quote_literal_cstr(target), quote_literal_cstr(sql));
	for (i = 0; i < signature->nargs; i++)
		appendStringInfo(&body, ", $%d%s", i + 1,
						 signature->types[i] == CHAROID ? "::text" : "");
	appendStringInfoChar(&body, ')');
	if (columns != NULL)
		appendStringInfo(&body, " AS t(%s)", columns);
	return body.data;
}

/*
 * How many rows the remote's planner expects.  Servers before 16 cannot be
 * asked that for parameters whose values are not known.
 */
static double
ask_rows(const char *target, const char *sql, int nargs)
{
	char	   *question = psprintf("EXPLAIN (FORMAT JSON%s) %s", nargs > 0 ? ", GENERIC_PLAN" : "", sql);
	static const char label[] = "\"Plan Rows\": ";
	const char *found = NULL;
	char	   *plan = NULL;

	if (nargs > 0 && pcfg_target_open(target)->server_version < 160000)
		return ROWS_UNKNOWN;
	/* the outermost node comes first; a quote within a string is escaped */
	if (pcfg_inquire(target, question, 1, &plan, NULL) == NULL && plan != NULL)
		found = strstr(plan, label);
	return found == NULL ? ROWS_UNKNOWN : Max(strtod(found + strlen(label), NULL), 1.0);
}

static char *
make_statement(const Signature *signature, const char *columns, const char *body,
			   double rows, bool security_definer, bool replace)
{
	StringInfoData s;
	int			i;

	initStringInfo(&s);
	appendStringInfo(&s, "CREATE %sFUNCTION %s(", replace ? "OR REPLACE " : "",
					 NameListToQuotedString(signature->name));
	for (i = 0; i < signature->nargs; i++)
		appendStringInfo(&s, "%s%s %s", i > 0 ? ", " : "",
						 signature->names[i] != NULL ? quote_identifier(signature->names[i]) : "",
						 format_type_be_qualified(signature->types[i]));
	if (columns != NULL)
		appendStringInfo(&s, ") RETURNS TABLE (%s)", columns);
	else
		appendStringInfoString(&s, ") RETURNS text");
	appendStringInfoString(&s, " LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 1000");
	if (columns != NULL)
		appendStringInfo(&s, " ROWS %.0f", rows);
	appendStringInfo(&s, "%s AS %s", security_definer ? " SECURITY DEFINER SET search_path = pg_catalog, pg_temp" : "",
					 quote_literal_cstr(body));
	return s.data;
}

/*
 * create_function(signature text, target text, sql text,
 *				   security_definer bool, replace bool) returns regprocedure
 */
Datum
pcfg_sql_create_function(PG_FUNCTION_ARGS)
{
	const char *target = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *sql = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Signature	signature;
	PcfgOutcome outcome;
	List	   *described;
	char	   *columns;
	char	   *statement;

	pcfg_require_preload();
	read_signature(text_to_cstring(PG_GETARG_TEXT_PP(0)), &signature);
	describe(target, sql, &signature, &outcome);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	described = read_columns(target, &outcome.columns);
	require_usable(described);
	columns = list_columns(described);
	statement = make_statement(&signature, columns,
							   make_body(target, sql, &signature, columns),
							   columns != NULL ? ask_rows(target, sql, signature.nargs) : 0,
							   PG_GETARG_BOOL(3), PG_GETARG_BOOL(4));
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "CREATE FUNCTION failed");
	SPI_finish();
	PG_RETURN_OID(LookupFuncName(signature.name, signature.nargs, signature.types, false));
}

/* ----------------------------------------------------------------
 * drift
 * ----------------------------------------------------------------
 */

/* A function that was made, as its body tells. */
typedef struct Made
{
	Oid			function;
	const char *body;
	const char *target;			/* NULL = it is none of ours */
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
		Column	   *column = palloc0(sizeof(Column));

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
describe_made(void *arg)
{
	Made	   *made = arg;
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(made->function));
	Signature	signature;
	PcfgOutcome outcome;
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", made->function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	memset(&signature, 0, sizeof(signature));
	signature.nargs = proc->pronargs;
	memcpy(signature.types, proc->proargtypes.values, sizeof(Oid) * signature.nargs);
	ReleaseSysCache(tuple);
	describe(made->target, made->sql, &signature, &outcome);
	made->described = read_columns(made->target, &outcome.columns);
}

static const Column *
find_column(List *columns, const char *name)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (strcmp(((const Column *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/*
 * A type of the remote's own may be known here in a schema that is not in the
 * search path now: then its name is all that can be compared.
 */
static bool
is_same_type(const Column *declared, const Column *now)
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
shown_type(const Column *column)
{
	return column->remote_type != NULL ? column->remote_type :
		format_type_with_typemod(column->type, column->typmod);
}

static void
tell_column(StringInfo text, const Column *declared, const Column *now)
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
		tell_column(&text, lfirst(a), find_column(made->described, ((const Column *) lfirst(a))->name));
	foreach(a, made->described)
	{
		if (find_column(made->columns, ((const Column *) lfirst(a))->name) == NULL)
			tell_column(&text, NULL, lfirst(a));
	}
	if (text.len > 0)
		return text.data;
	forboth(a, made->columns, b, made->described)
	{
		if (strcmp(((const Column *) lfirst(a))->name, ((const Column *) lfirst(b))->name) != 0)
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
	ErrorData  *error = pcfg_attempt(describe_made, made);
	char	   *detail = error != NULL ? error->message : tell_drift(made);
	Datum		values[3];
	bool		nulls[3] = {false, error != NULL && !is_drift(error), detail == NULL};

	values[0] = ObjectIdGetDatum(made->function);
	values[1] = BoolGetDatum(detail == NULL);
	values[2] = detail == NULL ? (Datum) 0 : CStringGetTextDatum(detail);
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
		read_body(&made);
		if (made.target != NULL && (only == NULL || strcmp(only, made.target) == 0))
			check_made(&made, rsinfo);
	}
	SPI_finish();
	return (Datum) 0;
}
