/*-------------------------------------------------------------------------
 *
 * backend/target_wanted.c
 *	  What a user asks a target to be: address, JSON objects and settings, as
 *	  options of a server and a user mapping.
 *
 * Floor 6; backends; works without preload.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/target_options.h"
#include "backend/target_wanted.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "url/address.h"
#include "url/parameter.h"
#include "utils/builtins.h"

DefElem *
pcfg_option_find(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

/* Adds or replaces an option. */
void
pcfg_option_put(List **options, const char *name, const char *value)
{
	DefElem    *option = pcfg_option_find(*options, name);

	if (option == NULL)
		*options = lappend(*options, makeDefElem(pstrdup(name),
												 (Node *) makeString(pstrdup(value)), -1));
	else
		option->arg = (Node *) makeString(pstrdup(value));
}

/* One keyword of an address, to where it belongs. */
static void
put_keyword(PcfgWanted *wanted, const char *name, const char *value)
{
	if (pcfg_option_classify(name, false) == PCFG_OPT_MAPPING)
		pcfg_option_put(&wanted->mapping, name, value);
	else
		pcfg_option_put(&wanted->server, name, value);
}

void
pcfg_wanted_setting(PcfgWanted *wanted, PcfgSettingId id, int64 value)
{
	const PcfgSetting *s = &pcfg_settings[id];
	char		text[64];

	if (!pcfg_setting_in_range(s, value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for setting \"%s\"", s->name),
				 s->special != NULL ? errhint("%s", s->special) : 0));
	pcfg_setting_format(s, value, text, sizeof(text));
	pcfg_option_put(&wanted->server, s->name, text);
}

/* A setting by name, as a user wrote it; canonical text is stored. */
void
pcfg_wanted_setting_text(PcfgWanted *wanted, const char *name, const char *text)
{
	const PcfgSetting *s = pcfg_setting_find(name);
	char		canonical[64];
	char		errbuf[256];
	const char *why;
	const char *hint;
	int64		value;

	if (s == NULL)
	{
		const char *names[PCFG_SETTING_COUNT];
		const char *nearest;
		int			i;

		for (i = 0; i < PCFG_SETTING_COUNT; i++)
			names[i] = pcfg_settings[i].name;
		nearest = pcfg_nearest_name(name, names, PCFG_SETTING_COUNT);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("setting \"%s\" does not exist", name),
				 nearest != NULL ? errhint("Perhaps you meant the setting \"%s\".", nearest) :
				 errhint("The columns of pool_config.targets name all settings.")));
	}
	if (s->kind == PCFG_KIND_TEXT)
	{
		pcfg_option_put(&wanted->server, name, text);
		return;
	}
	if (!pcfg_setting_parse(s, text, &value, errbuf, sizeof(errbuf), &why, &hint))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("%s", why),
				 hint != NULL ? errhint("%s", hint) : 0));
	pcfg_setting_format(s, value, canonical, sizeof(canonical));
	pcfg_option_put(&wanted->server, s->name, canonical);
}

/* Everything that is wrong with an address, in one error. */
static void
report_problems(const PcfgAddress *address)
{
	StringInfoData message;
	const char *hint = NULL;
	int			i;

	if (address->out_of_memory)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	initStringInfo(&message);
	for (i = 0; i < address->nproblems; i++)
	{
		const PcfgProblem *p = &address->problems[i];

		appendStringInfo(&message, "%s%s", i > 0 ? "; " : "", p->message);
		if (hint == NULL)
			hint = p->hint;
	}
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(address->problems[0].sqlstate[0],
								   address->problems[0].sqlstate[1],
								   address->problems[0].sqlstate[2],
								   address->problems[0].sqlstate[3],
								   address->problems[0].sqlstate[4])),
			 errhidestmt(true), errhidecontext(true),
			 errmsg_internal("%s", message.data),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Parses an address and hands its keywords out one by one.
 */
void
pcfg_read_address(const char *url, PcfgTakePair take, void *arg)
{
	PcfgAddress address;
	char	   *utf8 = pg_server_to_any(url, strlen(url), PG_UTF8);
	int			i;

	pcfg_address_parse(&address, utf8);
	PG_TRY();
	{
		if (address.nproblems > 0 || address.out_of_memory)
			report_problems(&address);
		for (i = 0; i < address.nnotices; i++)
			ereport(NOTICE, (errmsg_internal("%s", address.notices[i].message)));
		for (i = 0; i < address.nkeywords; i++)
			take(arg, address.keywords[i].name,
				 pg_any_to_server(address.keywords[i].value,
								  strlen(address.keywords[i].value), PG_UTF8));
	}
	PG_FINALLY();
	{
		pcfg_address_free(&address);
	}
	PG_END_TRY();
}

/* connect_timeout of an address is our setting: libpq's own does nothing. */
void
pcfg_wanted_keyword(void *arg, const char *name, const char *value)
{
	PcfgWanted	   *wanted = arg;

	if (strcmp(name, "connect_timeout") == 0)
		pcfg_wanted_setting_text(wanted, name, value);
	else
		put_keyword(wanted, name, value);
}

/* Calls back for each pair of a JSON object; values as text. */
void
pcfg_read_object(Jsonb *object, const char *argument,
			void (*take) (void *arg, const char *name, const char *value), void *arg)
{
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	char	   *name = "";

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a JSON object", argument),
				 errhint("Write it as {\"name\": value}.")));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
		{
			switch (v.type)
			{
				case jbvNull:
					break;		/* as if it were not there */
				case jbvString:
					take(arg, name, pnstrdup(v.val.string.val, v.val.string.len));
					break;
				case jbvNumeric:
					take(arg, name, DatumGetCString(DirectFunctionCall1(numeric_out,
																		NumericGetDatum(v.val.numeric))));
					break;
				case jbvBool:
					take(arg, name, v.val.boolean ? "on" : "off");
					break;
				default:
					ereport(ERROR,
							(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							 errmsg("the value of \"%s\" in %s is not a single value",
									name, argument)));
			}
		}
	}
}

/* An entry of connect_args: the names are those of libpq. */
void
pcfg_wanted_connect_arg(void *arg, const char *name, const char *value)
{
	const char *hint;
	const char *what = pcfg_parameter_check_name(name, &hint);

	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errhidestmt(true), errhidecontext(true),
				 hint != NULL ? errmsg("parameter \"%s\" in connect_args %s", name, what) :
				 errmsg("a parameter in connect_args %s", what),
				 hint != NULL ? errhint("%s", hint) :
				 errhint("connect_args takes the keywords of libpq.")));
	pcfg_wanted_keyword(arg, name, value);
}

void
pcfg_wanted_setting_pair(void *arg, const char *name, const char *value)
{
	pcfg_wanted_setting_text(arg, name, value);
}
