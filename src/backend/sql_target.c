/*-------------------------------------------------------------------------
 *
 * backend/sql_target.c
 *	  Targets in SQL: create, alter, reset, drop, and what an address says.
 *
 * Floor 12; backends; works without preload.
 *
 * A target is a foreign server and its user mappings; these functions only
 * put together the same commands.  They call the server's own routines for
 * them, so that rights, dependencies and validation are the DDL's, while no
 * statement text with a password exists that could be logged.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "backend/ddl_watch.h"
#include "backend/target.h"
#include "backend/target_wanted.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "shared/setting_table.h"
#include "url/parameter.h"
#include "url/provider.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_create_target);
PCFG_SQL_FUNCTION(pcfg_sql_alter_target);
PCFG_SQL_FUNCTION(pcfg_sql_reset_target);
PCFG_SQL_FUNCTION(pcfg_sql_drop_target);
PCFG_SQL_FUNCTION(pcfg_sql_parse_url);

/* The arguments of create_target and alter_target, in their order. */
enum
{
	ARG_TARGET, ARG_URL, ARG_CONNECT_ARGS, ARG_POOL_SIZE, ARG_MAX_OVERFLOW,
	ARG_POOL_TIMEOUT, ARG_POOL_RECYCLE, ARG_POOL_PRE_PING, ARG_CONNECT_TIMEOUT,
	ARG_SETTINGS, ARG_PASSWORD, ARG_ROLE, ARG_REPLACE
};

/* ----------------------------------------------------------------
 * arguments
 * ----------------------------------------------------------------
 */

static int64
seconds_argument(PG_FUNCTION_ARGS, int n, const char *name)
{
	float8		seconds = PG_GETARG_FLOAT8(n);

	if (!(seconds >= -1) || seconds > 1e9)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for setting \"%s\"", name)));
	return seconds == -1 ? PCFG_NEVER : (int64) rint(seconds * 1e6);
}

/* The value of an option, or something else. */
static const char *
option_text(List *options, const char *name, const char *otherwise)
{
	DefElem    *option = pcfg_option_find(options, name);

	return option != NULL ? strVal(option->arg) : otherwise;
}

/*
 * All arguments but target, role and replace; old_options are libpq's options
 * of the target, if its address stays.
 */
static void
read_arguments(FunctionCallInfo fcinfo, PcfgWanted *wanted, const char *old_options)
{
	PcfgWantedSource source = {0};

	memset(wanted, 0, sizeof(*wanted));
	source.old_options = old_options;
	source.sized = !PG_ARGISNULL(ARG_POOL_SIZE) || !PG_ARGISNULL(ARG_MAX_OVERFLOW);
	if (!PG_ARGISNULL(ARG_URL))
		source.url = text_to_cstring(PG_GETARG_TEXT_PP(ARG_URL));
	if (!PG_ARGISNULL(ARG_CONNECT_ARGS))
		source.connect_args = PG_GETARG_JSONB_P(ARG_CONNECT_ARGS);
	if (!PG_ARGISNULL(ARG_SETTINGS))
		source.settings = PG_GETARG_JSONB_P(ARG_SETTINGS);
	pcfg_wanted_read(wanted, &source);
	if (!PG_ARGISNULL(ARG_POOL_SIZE))
		pcfg_wanted_setting(wanted, PCFG_POOL_SIZE, PG_GETARG_INT32(ARG_POOL_SIZE));
	if (!PG_ARGISNULL(ARG_MAX_OVERFLOW))
		pcfg_wanted_setting(wanted, PCFG_MAX_OVERFLOW, PG_GETARG_INT32(ARG_MAX_OVERFLOW));
	if (!PG_ARGISNULL(ARG_POOL_TIMEOUT))
		pcfg_wanted_setting(wanted, PCFG_POOL_TIMEOUT,
					seconds_argument(fcinfo, ARG_POOL_TIMEOUT, "pool_timeout"));
	if (!PG_ARGISNULL(ARG_POOL_RECYCLE))
		pcfg_wanted_setting(wanted, PCFG_POOL_RECYCLE,
					seconds_argument(fcinfo, ARG_POOL_RECYCLE, "pool_recycle"));
	if (!PG_ARGISNULL(ARG_POOL_PRE_PING))
		pcfg_wanted_setting(wanted, PCFG_POOL_PRE_PING, PG_GETARG_BOOL(ARG_POOL_PRE_PING));
	if (!PG_ARGISNULL(ARG_CONNECT_TIMEOUT))
		pcfg_wanted_setting(wanted, PCFG_CONNECT_TIMEOUT,
					seconds_argument(fcinfo, ARG_CONNECT_TIMEOUT, "connect_timeout"));
	if (!PG_ARGISNULL(ARG_PASSWORD))
	{
		char	   *password = text_to_cstring(PG_GETARG_TEXT_PP(ARG_PASSWORD));

		if (pcfg_parameter_is_placeholder(password))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errhidestmt(true), errhidecontext(true),
					 errmsg("the password is a placeholder"),
					 errhint("Put the real password in its place.")));
		pcfg_option_put(&wanted->mapping, "password", password);
	}
}

/*
 * The server logs the statement of an error; one with an address or a
 * password in it is better not kept.
 */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

static void
push_hiding(ErrorContextCallback *callback)
{
	callback->callback = hide_statement;
	callback->arg = NULL;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/* ----------------------------------------------------------------
 * names
 * ----------------------------------------------------------------
 */

static char *
target_argument(FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(ARG_TARGET))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of the target is NULL")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET));
	if (strstr(name, "://") != NULL || strpbrk(name, "=@") != NULL ||
		name[0] == '\0' || strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errhidestmt(true), errhidecontext(true),
				 errmsg("the name of the target is empty, over 63 bytes, or an address"),
				 errhint("The name comes first, the address second: create_target('crm', 'postgresql://...').")));
	return name;
}

/* Whose mapping, as the DDL wants it. */
static RoleSpec *
role_argument(FunctionCallInfo fcinfo)
{
	RoleSpec   *role = makeNode(RoleSpec);
	const char *name = PG_ARGISNULL(ARG_ROLE) ? "public" : NameStr(*PG_GETARG_NAME(ARG_ROLE));

	role->location = -1;
	if (strcmp(name, "public") == 0)
		role->roletype = ROLESPEC_PUBLIC;
	else
	{
		role->roletype = ROLESPEC_CSTRING;
		role->rolename = pstrdup(name);
	}
	return role;
}

/* ----------------------------------------------------------------
 * the DDL
 * ----------------------------------------------------------------
 */

/*
 * From options as they are to options as they shall be: ADD, SET, and, for
 * what is only in the old ones, DROP ("complete") or nothing.
 */
static List *
option_changes(List *old, List *wanted, bool complete)
{
	List	   *changes = NIL;
	ListCell   *lc;

	foreach(lc, wanted)
	{
		DefElem    *option = copyObject(lfirst_node(DefElem, lc));

		option->defaction = pcfg_option_find(old, option->defname) != NULL ?
			DEFELEM_SET : DEFELEM_ADD;
		changes = lappend(changes, option);
	}
	foreach(lc, old)
	{
		DefElem    *option = lfirst(lc);

		if (complete && pcfg_option_find(wanted, option->defname) == NULL)
			changes = lappend(changes, makeDefElemExtended(NULL, pstrdup(option->defname),
														   NULL, DEFELEM_DROP, -1));
	}
	return changes;
}

static void
alter_server(const char *name, List *changes)
{
	AlterForeignServerStmt *stmt = makeNode(AlterForeignServerStmt);

	if (changes == NIL)
		return;
	stmt->servername = pstrdup(name);
	stmt->options = changes;
	AlterForeignServer(stmt);
	CommandCounterIncrement();
}

static void
create_server(const char *name, List *options)
{
	CreateForeignServerStmt *stmt = makeNode(CreateForeignServerStmt);

	stmt->servername = pstrdup(name);
	stmt->fdwname = "pool_config";
	stmt->options = options;
	CreateForeignServer(stmt);
	CommandCounterIncrement();
}

/* The mapping's options; *exists tells whether there is one. */
static List *
mapping_options(Oid server, const RoleSpec *role, bool *exists)
{
	Oid			user = role->roletype == ROLESPEC_PUBLIC ? InvalidOid : get_rolespec_oid(role, false);
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user),
										ObjectIdGetDatum(server));
	List	   *options = NIL;
	Datum		datum;
	bool		isnull;

	*exists = HeapTupleIsValid(tuple);
	if (!*exists)
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

static void
put_mapping(const char *name, Oid server, RoleSpec *role, List *options, bool complete)
{
	bool		exists;
	List	   *old = mapping_options(server, role, &exists);

	if (!exists)
	{
		CreateUserMappingStmt *stmt = makeNode(CreateUserMappingStmt);

		stmt->user = role;
		stmt->servername = pstrdup(name);
		stmt->options = options;
		CreateUserMapping(stmt);
	}
	else
	{
		AlterUserMappingStmt *stmt = makeNode(AlterUserMappingStmt);

		stmt->user = role;
		stmt->servername = pstrdup(name);
		stmt->options = option_changes(old, options, complete);
		if (stmt->options == NIL)
			return;
		AlterUserMapping(stmt);
		pcfg_ddl_watch_note_server(name);
	}
	CommandCounterIncrement();
}

/* The server of a target of ours, or an error with the nearest name. */
static ForeignServer *
get_own_server(const char *name)
{
	Oid			oid = get_foreign_server_oid(name, true);
	ForeignServer *server;

	if (!OidIsValid(oid))
	{
		const char *nearest = pcfg_target_nearest(name);

		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("target \"%s\" does not exist", name),
				 nearest != NULL ? errhint("Perhaps you meant the target \"%s\".", nearest) : 0));
	}
	server = GetForeignServer(oid);
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "pool_config") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("target \"%s\" belongs to another foreign-data wrapper", name),
				 errhint("Change it with ALTER SERVER, ALTER USER MAPPING or DROP SERVER.")));
	return server;
}

/* ----------------------------------------------------------------
 * what was made, in one line
 * ----------------------------------------------------------------
 */

static text *
describe(const char *name, const RoleSpec *role)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	bool		exists;
	List	   *mapping = mapping_options(server->serverid, role, &exists);
	const char *sslmode;
	StringInfoData line;

	initStringInfo(&line);
	appendStringInfo(&line, "target \"%s\": host %s port %s database %s user %s", name,
					 option_text(server->options, "host",
								 option_text(server->options, "hostaddr", "-")),
					 option_text(server->options, "port", "5432"),
					 option_text(server->options, "dbname", "(name of the user)"),
					 option_text(mapping, "user", "(name of the local role)"));
	sslmode = pcfg_provider_keyword(pcfg_provider_find(option_text(server->options, "host", NULL),
													   option_text(server->options, "port", NULL)),
									"sslmode");
	appendStringInfo(&line, ", sslmode %s",
					 option_text(server->options, "sslmode", sslmode != NULL ? sslmode : "prefer"));
	if (pcfg_option_find(mapping, "password") == NULL &&
		pcfg_option_find(mapping, "password_file") == NULL)
		appendStringInfoString(&line, ", no password: for superusers only");
	return cstring_to_text_with_len(line.data, line.len);
}

/* ----------------------------------------------------------------
 * functions
 * ----------------------------------------------------------------
 */

Datum
pcfg_sql_create_target(PG_FUNCTION_ARGS)
{
	char	   *name;
	bool		replace = !PG_ARGISNULL(ARG_REPLACE) && PG_GETARG_BOOL(ARG_REPLACE);
	RoleSpec   *role;
	PcfgWanted	wanted;
	Oid			server;
	ErrorContextCallback hiding;

	push_hiding(&hiding);
	name = target_argument(fcinfo);
	role = role_argument(fcinfo);
	if (PG_ARGISNULL(ARG_URL))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the address of the target is NULL"),
				 errhint("If it came from a variable of psql, look whether that is set.")));
	read_arguments(fcinfo, &wanted, NULL);
	server = get_foreign_server_oid(name, true);
	if (OidIsValid(server) && !replace)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("target \"%s\" already exists", name),
				 errhint("Use alter_target() to change it, or replace => true.")));
	if (OidIsValid(server))
		alter_server(name, option_changes(get_own_server(name)->options, wanted.server, true));
	else
		create_server(name, wanted.server);
	put_mapping(name, get_foreign_server_oid(name, false), role, wanted.mapping, true);
	pcfg_wanted_advise(GetForeignServerByName(name, false)->options);
	error_context_stack = hiding.previous;
	PG_RETURN_TEXT_P(describe(name, role));
}

Datum
pcfg_sql_alter_target(PG_FUNCTION_ARGS)
{
	char	   *name;
	RoleSpec   *role;
	ForeignServer *server;
	PcfgWanted	wanted;
	ErrorContextCallback hiding;

	push_hiding(&hiding);
	name = target_argument(fcinfo);
	role = role_argument(fcinfo);
	server = get_own_server(name);
	read_arguments(fcinfo, &wanted,
				   PG_ARGISNULL(ARG_URL) ? option_text(server->options, "options", NULL) : NULL);
	/*
	 * The server asks for that where there is something to change; and a role
	 * may change its own mapping.
	 */
	if (wanted.mapping == NIL)
		pcfg_target_require_owner(server->serverid, name);

	/* an address is one piece: what the old one said beyond the new is void */
	if (!PG_ARGISNULL(ARG_URL))
	{
		ListCell   *lc;

		foreach(lc, server->options)
		{
			DefElem    *option = lfirst(lc);

			if (pcfg_setting_find(option->defname) != NULL &&
				pcfg_option_find(wanted.server, option->defname) == NULL)
				pcfg_option_put(&wanted.server, option->defname, strVal(option->arg));
		}
	}
	alter_server(name, option_changes(server->options, wanted.server, !PG_ARGISNULL(ARG_URL)));

	/* a user of the new address never goes with the old one's password */
	if (wanted.mapping != NIL)
		put_mapping(name, server->serverid, role, wanted.mapping,
					pcfg_option_find(wanted.mapping, "user") != NULL);
	pcfg_wanted_advise(GetForeignServerByName(name, false)->options);
	error_context_stack = hiding.previous;
	PG_RETURN_TEXT_P(describe(name, role));
}

Datum
pcfg_sql_reset_target(PG_FUNCTION_ARGS)
{
	char	   *name = target_argument(fcinfo);
	ForeignServer *server = get_own_server(name);
	List	   *changes = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			n;
	int			i;
	ListCell   *lc;

	pcfg_target_require_owner(server->serverid, name);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &names, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the name of a setting is NULL")));
		pcfg_wanted_check_setting(TextDatumGetCString(names[i]));
	}
	foreach(lc, server->options)
	{
		DefElem    *option = lfirst(lc);
		bool		chosen = n == 0;

		for (i = 0; i < n; i++)
			chosen |= strcmp(TextDatumGetCString(names[i]), option->defname) == 0;
		if (chosen && pcfg_setting_find(option->defname) != NULL)
			changes = lappend(changes, makeDefElemExtended(NULL, pstrdup(option->defname),
														   NULL, DEFELEM_DROP, -1));
	}
	alter_server(name, changes);
	PG_RETURN_VOID();
}

/* Whose mappings there are on a server; InvalidOid = PUBLIC. */
static List *
mapping_users(Oid server)
{
	Relation	catalog = table_open(UserMappingRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *users = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_user_mapping row = (Form_pg_user_mapping) GETSTRUCT(tuple);

		if (row->umserver == server)
			users = lappend_oid(users, row->umuser);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return users;
}

Datum
pcfg_sql_drop_target(PG_FUNCTION_ARGS)
{
	char	   *name = target_argument(fcinfo);
	bool		missing_ok = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	DropStmt   *stmt;
	List	   *users;
	ListCell   *lc;

	if (missing_ok && !OidIsValid(get_foreign_server_oid(name, true)))
	{
		ereport(NOTICE, (errmsg("target \"%s\" does not exist, skipping", name)));
		PG_RETURN_VOID();
	}
	users = mapping_users(get_own_server(name)->serverid);
	foreach(lc, users)
	{
		DropUserMappingStmt *drop = makeNode(DropUserMappingStmt);
		Oid			user = lfirst_oid(lc);

		drop->user = makeNode(RoleSpec);
		drop->user->roletype = OidIsValid(user) ? ROLESPEC_CSTRING : ROLESPEC_PUBLIC;
		drop->user->rolename = OidIsValid(user) ? GetUserNameFromId(user, false) : NULL;
		drop->user->location = -1;
		drop->servername = name;
		RemoveUserMapping(drop);
		CommandCounterIncrement();
	}
	stmt = makeNode(DropStmt);
	stmt->removeType = OBJECT_FOREIGN_SERVER;
	stmt->objects = list_make1(makeString(name));
	stmt->behavior = DROP_RESTRICT;
	RemoveObjects(stmt);
	PG_RETURN_VOID();
}

/* ---- parse_url ---- */

static void
list_keyword(void *arg, const char *name, const char *value, PcfgOrigin origin)
{
	static const char *const origins[] = {
		[PCFG_FROM_ADDRESS] = "address",
		[PCFG_FROM_ARGUMENTS] = "connect_args",
		[PCFG_FROM_PROVIDER] = "provider"
	};
	ReturnSetInfo *rsinfo = arg;
	bool		secret = strcmp(name, "password") == 0 || strcmp(name, "sslpassword") == 0;
	Datum		values[3];
	bool		nulls[3] = {0};

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(secret ? "********" : value);
	values[2] = CStringGetTextDatum(origins[origin]);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
pcfg_sql_parse_url(PG_FUNCTION_ARGS)
{
	PcfgWantedSource source = {0};
	ErrorContextCallback hiding;

	push_hiding(&hiding);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the address is NULL")));
	source.url = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
		source.connect_args = PG_GETARG_JSONB_P(1);
	if (!PG_ARGISNULL(2))
		source.driver = text_to_cstring(PG_GETARG_TEXT_PP(2));
	InitMaterializedSRF(fcinfo, 0);
	pcfg_wanted_list(&source, list_keyword, fcinfo->resultinfo);
	error_context_stack = hiding.previous;
	return (Datum) 0;
}
