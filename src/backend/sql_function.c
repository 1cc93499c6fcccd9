/*-------------------------------------------------------------------------
 *
 * backend/sql_function.c
 *	  Ordinary SQL functions made of remote statements.
 *
 * Floor 13; backends.
 *
 * The statement is described by the remote, not run.  What comes of it is a
 * plain CREATE FUNCTION in the name of the caller: rights, dependencies, dump
 * and restore are the server's affair.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/description.h"
#include "backend/inquiry.h"
#include "backend/sql_text.h"
#include "backend/target.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_create_function);

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

/* Whether a function can return them. */
static void
require_usable(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const PcfgDescribed *column = lfirst(lc);

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
type_name(const PcfgDescribed *column)
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
		const PcfgDescribed *column = lfirst(lc);

		appendStringInfo(&list, "%s%s %s", lc != list_head(columns) ? ", " : "",
						 quote_identifier(column->name), type_name(column));
	}
	return list.data;
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

/* What is set for a function that is to be replaced. */
static double
find_rows(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	double		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_proc) GETSTRUCT(tuple))->prorows;
		ReleaseSysCache(tuple);
	}
	return rows > 0 ? rows : ROWS_UNKNOWN;
}

/*
 * How many rows are to be expected: what the remote's planner says.  It cannot
 * be asked that where values are not known (GENERIC_PLAN takes those of the
 * extended protocol for known), so ALTER FUNCTION ... ROWS is kept there.
 */
static double
expect_rows(const char *target, const char *sql, const Signature *signature)
{
	static const char label[] = "\"Plan Rows\": ";
	const char *found = NULL;
	char	   *plan = NULL;

	if (signature->nargs > 0)
		return find_rows(LookupFuncName(signature->name, signature->nargs, signature->types, true));
	/* the outermost node comes first; a quote within a string is escaped */
	if (pcfg_sql_has_plan(sql) &&
		pcfg_inquire(target, psprintf("EXPLAIN (FORMAT JSON) %s", sql), 1, &plan, NULL) == NULL &&
		plan != NULL)
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
	List	   *described;
	char	   *columns;
	char	   *statement;

	pcfg_require_preload();
	read_signature(text_to_cstring(PG_GETARG_TEXT_PP(0)), &signature);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	described = pcfg_describe(target, sql, signature.types, signature.nargs);
	require_usable(described);
	columns = list_columns(described);
	statement = make_statement(&signature, columns,
							   make_body(target, sql, &signature, columns),
							   columns != NULL ? expect_rows(target, sql, &signature) : 0,
							   PG_GETARG_BOOL(3), PG_GETARG_BOOL(4));
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "CREATE FUNCTION failed");
	SPI_finish();
	PG_RETURN_OID(LookupFuncName(signature.name, signature.nargs, signature.types, false));
}
