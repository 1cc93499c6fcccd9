/*-------------------------------------------------------------------------
 *
 * backend/sql_validator.c
 *	  What CREATE and ALTER of SERVER and USER MAPPING may say.
 *
 * Floor 11; backends; works without preload.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/reloptions.h"
#include "backend/file_rights.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "shared/setting_table.h"
#include "url/option.h"

PCFG_SQL_FUNCTION(pcfg_sql_validator);
PCFG_SQL_FUNCTION(pcfg_sql_handler);

static void
refuse_name(const char *name, bool mapping)
{
	const char *nearest = pcfg_option_nearest(name, mapping);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 nearest != NULL ? errhint("Perhaps you meant the option \"%s\".", nearest) :
			 mapping ? errhint("A user mapping takes user, password, password_file and password_required.") :
			 errhint("A server takes the keywords of libpq and the settings of pool_config.")));
}

static void
check_setting(const PcfgSetting *s, const char *text)
{
	char		errbuf[256];
	const char *why;
	const char *hint;
	int64		value;

	if (s->kind != PCFG_KIND_TEXT &&
		!pcfg_setting_parse(s, text, &value, errbuf, sizeof(errbuf), &why, &hint))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("%s", why),
				 hint != NULL ? errhint("%s", hint) : 0));
}

/* An option of libpq; "mapping": of a user mapping. */
static void
check_connection_option(const char *name, const char *text, bool mapping)
{
	PcfgOptionClass class = pcfg_option_classify(name, false);
	const char *legal = pcfg_option_check_value(name, text);

	switch (class)
	{
		case PCFG_OPT_UNKNOWN:
		case PCFG_OPT_IGNORED:
			refuse_name(name, mapping);
			break;
		case PCFG_OPT_UNSUPPORTED:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("option \"%s\" is not known to the libpq in use", name),
					 pcfg_option_since(name) > 0 ?
					 errhint("It came with the libpq of PostgreSQL %d.", pcfg_option_since(name)) : 0));
			break;
		case PCFG_OPT_REFUSED:
			if (!pcfg_option_value_is_harmless(name, text))
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						 errmsg("option \"%s\" cannot be used for a pool", name)));
			break;
		case PCFG_OPT_PRIVILEGED:
			if (!pcfg_may_name_files(GetUserId()) && !pcfg_option_value_is_harmless(name, text))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("permission denied to set option \"%s\"", name),
						 errdetail("It names a file, a facility or a credential of the server: only superusers and members of pg_read_server_files may set it.")));
			break;
		case PCFG_OPT_SERVER:
		case PCFG_OPT_MAPPING:
			break;
	}
	if (mapping && !pcfg_option_fits_mapping(name))
		refuse_name(name, true);
	if (legal != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" has a value that is not possible", name),
				 errhint("Possible is: %s.", legal)));
	if (!mapping && class == PCFG_OPT_MAPPING)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" belongs to a user mapping", name),
				 errhint("Give it in CREATE USER MAPPING, where only those see it who use it.")));
}

/* The worker reads it at each connect, as the account of the server. */
static void
check_password_file(const char *path)
{
	if (!pcfg_may_name_files(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"password_file\""),
				 errdetail("Only superusers and members of pg_read_server_files may set it.")));
	if (!is_absolute_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"password_file\" is not an absolute path")));
}

static void
check_mapping_option(DefElem *option)
{
	if (strcmp(option->defname, "password_file") == 0)
	{
		check_password_file(defGetString(option));
		return;
	}
	if (strcmp(option->defname, "password_required") == 0)
	{
		if (!defGetBoolean(option) && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("password_required=false is superuser-only"),
					 errhint("User mappings with the password_required option set to false may only be created or modified by the superuser.")));
		return;
	}
	check_connection_option(option->defname, defGetString(option), true);
}

static void
refuse_table(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign tables are not supported by pool_config"),
			 errhint("Use pool_config.query() in FROM, or a view over it.")));
}

/*
 * validator(options text[], catalog oid)
 */
Datum
pcfg_sql_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	int			passwords = 0;
	ListCell   *lc;

	if (catalog == ForeignTableRelationId)
		refuse_table();
	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);
		const PcfgSetting *setting = pcfg_setting_find(option->defname);

		if (catalog == UserMappingRelationId)
			check_mapping_option(option);
		else if (catalog != ForeignServerRelationId)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 errhint("Options of pool_config belong to a server or a user mapping.")));
		else if (setting != NULL)
			check_setting(setting, defGetString(option));
		else
			check_connection_option(option->defname, defGetString(option), false);
		passwords += strcmp(option->defname, "password") == 0 ||
			strcmp(option->defname, "password_file") == 0;
	}
	if (passwords > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("a user mapping has either a password or a password_file"),
				 errhint("Drop the other one in the same command: OPTIONS (DROP password, ADD password_file '...').")));
	PG_RETURN_VOID();
}

/*
 * The wrapper has no tables: whoever touches one is told so.
 */
Datum
pcfg_sql_handler(PG_FUNCTION_ARGS)
{
	refuse_table();
	PG_RETURN_NULL();
}
