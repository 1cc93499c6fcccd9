/*-------------------------------------------------------------------------
 *
 * backend/sql_function.c
 *	  Ordinary SQL functions made of remote statements.
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
#include "backend/params.h"
#include "backend/session.h"
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

/* A remote type as it is written here, in full. */
static char *
local_type_name(const char *target, Oid type, int32 typmod, const char *column)
{
	char	   *name;

	if (type >= FirstGenbkiObjectId || !SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)))
	{
		name = ask_type_name(target, type, typmod);
		type = InvalidOid;
		if (name != NULL)
			pcfg_parse_type(name, &type, &typmod);
		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("type \"%s\" of remote column \"%s\" is not known here",
							name != NULL ? name : "???", column),
					 errhint("Create it here, too, or cast the column in the remote statement: CAST(... AS text).")));
	}
	return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* The columns as a list "name type, ..."; NULL when there are none. */
static char *
read_columns(const char *target, const PcfgFrame *columns)
{
	StringInfoData list;
	PcfgReader	reader;
	int			n;
	int			i;

	if (columns->body == NULL)
		return NULL;
	initStringInfo(&list);
	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	for (i = 0; i < n; i++)
	{
		const char *name = pcfg_read_string(&reader);
		Oid			type;
		int32		typmod;

		(void) pcfg_read_int32(&reader);	/* table */
		(void) pcfg_read_int16(&reader);	/* its column */
		type = (Oid) pcfg_read_int32(&reader);
		(void) pcfg_read_int16(&reader);	/* length */
		typmod = pcfg_read_int32(&reader);
		(void) pcfg_read_int16(&reader);	/* format */
		if (reader.failed || strlen(name) >= NAMEDATALEN ||
			!pg_verify_mbstr(GetDatabaseEncoding(), name, (int) strlen(name), true))
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the remote server sent a malformed result")));
		if (strcmp(name, "?column?") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
					 errmsg("column %d of the remote statement has no name", i + 1),
					 errhint("Give it one: ... AS name.")));
		appendStringInfo(&list, "%s%s %s", i > 0 ? ", " : "", quote_identifier(name),
						 local_type_name(target, type, typmod, name));
	}
	return n > 0 ? list.data : NULL;
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

static char *
make_statement(const Signature *signature, const char *columns, const char *body,
			   bool security_definer, bool replace)
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
	appendStringInfo(&s, " LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 1000%s%s AS %s",
					 columns != NULL ? " ROWS 1000" : "",
					 security_definer ? " SECURITY DEFINER SET search_path = pg_catalog, pg_temp" : "",
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
	char	   *columns;
	char	   *statement;

	pcfg_require_preload();
	read_signature(text_to_cstring(PG_GETARG_TEXT_PP(0)), &signature);
	describe(target, sql, &signature, &outcome);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	columns = read_columns(target, &outcome.columns);
	statement = make_statement(&signature, columns,
							   make_body(target, sql, &signature, columns),
							   PG_GETARG_BOOL(3), PG_GETARG_BOOL(4));
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "CREATE FUNCTION failed");
	SPI_finish();
	PG_RETURN_OID(LookupFuncName(signature.name, signature.nargs, signature.types, false));
}
