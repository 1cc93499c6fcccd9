/*-------------------------------------------------------------------------
 *
 * backend/sql_targets.c
 *	  The function behind the view targets.
 *
 * Floor 11; backends; works without preload; reads catalogs only.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "backend/target.h"
#include "backend/version.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "shared/settings.h"
#include "url/provider.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PCFG_SQL_FUNCTION(pcfg_sql_targets);

/* Columns before those of the settings, and the one behind them. */
#define FIXED_COLUMNS	7
#define COLUMNS			(FIXED_COLUMNS + PCFG_SETTING_COUNT + 1)

static const char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

static void
put_text(Datum *values, bool *nulls, int n, const char *text)
{
	nulls[n] = text == NULL;
	values[n] = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

/* The effective value of a setting as text, and where it comes from. */
static const char *
effective(const PcfgSetting *s, List *options, bool foreign, const char **source)
{
	const char *option = foreign ? NULL : option_value(options, s->name);
	int64		value;
	char		text[64];

	if (option != NULL && !pcfg_settings_is_session(s->id))
	{
		*source = "option";
		return option;
	}
	if (!pcfg_settings_is_configured(s->id) &&
		pcfg_provider_setting(pcfg_provider_find(option_value(options, "host"),
												 option_value(options, "port")), s->id, &value))
	{
		*source = "provider";
		pcfg_setting_format(s, value, text, sizeof(text));
		return pstrdup(text);
	}
	*source = pcfg_settings_is_session(s->id) ? "session" :
		pcfg_settings_is_configured(s->id) ? "postgresql.conf" : "default";
	if (s->kind == PCFG_KIND_TEXT)
	{
		const char *configured = pcfg_settings_text(s->id);

		return configured != NULL && configured[0] != '\0' ? pstrdup(configured) : NULL;
	}
	pcfg_setting_format(s, pcfg_settings_value(s->id), text, sizeof(text));
	return pstrdup(text);
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = pstrdup(text);
	v.val.string.len = strlen(text);
	(void) pushJsonbValue(state, token, &v);
}

/* Whether the role may use the target now: USAGE, and a mapping. */
static bool
is_usable(Oid server, Oid role)
{
	if (pcfg_server_aclcheck(server, role) != ACLCHECK_OK)
		return false;
	return SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role),
								 ObjectIdGetDatum(server)) ||
		SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
							  ObjectIdGetDatum(server));
}

static void
put_target(ReturnSetInfo *rsinfo, ForeignServer *server, const char *wrapper, bool foreign)
{
	Oid			role = GetUserId();
	bool		trusted = pcfg_owns_foreign_server(server->serverid, role) ||
		pcfg_server_aclcheck(server->serverid, role) == ACLCHECK_OK;
	List	   *options = trusted ? server->options : NIL;
	JsonbParseState *state = NULL;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {0};
	int			i;
	int			n = 0;

	put_text(values, nulls, n++, server->servername);
	put_text(values, nulls, n++, GetUserNameFromId(server->owner, true));
	values[n++] = BoolGetDatum(is_usable(server->serverid, role));
	put_text(values, nulls, n++, wrapper);
	put_text(values, nulls, n++, option_value(options, "host") != NULL ?
			 option_value(options, "host") : option_value(options, "hostaddr"));
	put_text(values, nulls, n++, option_value(options, "port"));
	put_text(values, nulls, n++, option_value(options, "dbname"));
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		const char *source;

		put_text(values, nulls, n++, effective(&pcfg_settings[i], options, foreign, &source));
		push_string(&state, WJB_KEY, pcfg_settings[i].name);
		push_string(&state, WJB_VALUE, source);
	}
	values[n++] = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * targets() returns setof record: one row a server that is a target.
 */
Datum
pcfg_sql_targets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = pcfg_begin_result(fcinfo, COLUMNS);
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;

	catalog = table_open(ForeignServerRelationId, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server row = (Form_pg_foreign_server) GETSTRUCT(tuple);
		bool		foreign;

		if (!pcfg_target_is_wrapper(row->srvfdw, &foreign))
			continue;
		put_target(rsinfo, GetForeignServer(row->oid),
				   GetForeignDataWrapper(row->srvfdw)->fdwname, foreign);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return (Datum) 0;
}
