/*-------------------------------------------------------------------------
 *
 * backend/target_wanted.c
 *	  What a user asks a target to be: address, JSON objects and settings, as
 *	  options of a server and a user mapping.
 *
 * Floor 9; backends; works without preload.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/file_rights.h"
#include "backend/target_wanted.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "shared/settings.h"
#include "url/engine.h"
#include "url/option.h"
#include "url/server_setting.h"
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

static void
put_setting(PcfgWanted *wanted, const PcfgSetting *s, int64 value)
{
	char		text[64];

	pcfg_setting_format(s, value, text, sizeof(text));
	pcfg_option_put(&wanted->server, s->name, text);
}

void
pcfg_wanted_setting(PcfgWanted *wanted, PcfgSettingId id, int64 value)
{
	const PcfgSetting *s = &pcfg_settings[id];

	if (!pcfg_setting_in_range(s, value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for setting \"%s\"", s->name),
				 s->special != NULL ? errhint("%s", s->special) : 0));
	put_setting(wanted, s, value);
}

/* ----------------------------------------------------------------
 * what is to be said
 * ----------------------------------------------------------------
 */

/* The pure code speaks UTF-8. */
static char *
to_server(const char *text)
{
	return pg_any_to_server(text, strlen(text), PG_UTF8);
}

/* Errors of one list, appended to those before; *kind is that of the first. */
static void
append_errors(const PcfgFindings *findings, StringInfo message, StringInfo hint, PcfgKind *kind)
{
	int			i;

	for (i = 0; i < findings->n; i++)
	{
		const PcfgFinding *f = &findings->items[i];

		if (f->kind > PCFG_ERRORS)
			continue;
		if (*kind == PCFG_ERRORS)
			*kind = f->kind;
		appendStringInfo(message, "%s%s", message->len > 0 ? "; " : "", to_server(f->message));
		if (f->hint != NULL && strstr(hint->data, f->hint) == NULL)
			appendStringInfo(hint, "%s%s", hint->len > 0 ? " " : "", to_server(f->hint));
	}
}

/* Everything that is wrong, in one error. */
static void
report_errors(const PcfgFindings *a, const PcfgFindings *b)
{
	StringInfoData message;
	StringInfoData hint;
	PcfgKind	kind = PCFG_ERRORS;
	const char *sqlstate;

	if (a->arena.failed || b->arena.failed)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (a->nerrors == 0 && b->nerrors == 0)
		return;
	initStringInfo(&message);
	initStringInfo(&hint);
	append_errors(a, &message, &hint, &kind);
	append_errors(b, &message, &hint, &kind);
	sqlstate = pcfg_kind_sqlstate(kind);
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4])),
			 errhidestmt(true), errhidecontext(true),
			 errmsg_internal("%s", message.data),
			 hint.len > 0 ? errhint("%s", hint.data) : 0));
}

static void
report_notices(const PcfgFindings *findings)
{
	int			i;

	for (i = 0; i < findings->n; i++)
	{
		const PcfgFinding *f = &findings->items[i];

		if (f->kind > PCFG_ERRORS)
			ereport(f->kind == PCFG_N_WARNING ? WARNING : NOTICE,
					(errhidestmt(true), errhidecontext(true),
					 errmsg_internal("%s", to_server(f->message)),
					 f->hint != NULL ? errhint("%s", to_server(f->hint)) : 0));
	}
}

/* ----------------------------------------------------------------
 * reading
 * ----------------------------------------------------------------
 */

static const char *
to_utf8(const char *text)
{
	return text == NULL ? NULL : pg_server_to_any(text, strlen(text), PG_UTF8);
}

static const char *
jsonb_text(Jsonb *object)
{
	return object == NULL ? NULL : to_utf8(JsonbToCString(NULL, &object->root, VARSIZE(object)));
}

/* Words for options that settings ask for, behind those that stay. */
static const char *
joined_options(PcfgEngine *engine, const PcfgWantedSource *source)
{
	const char *old = to_utf8(source->old_options);
	const char *kept;

	if (engine->options == NULL || old == NULL)
		return engine->options;
	kept = pcfg_server_setting_without(&engine->findings.arena, old,
									   "default_transaction_isolation");
	return psprintf("%s%s%s", kept, kept[0] != '\0' ? " " : "", engine->options);
}

static void
parse_address(PcfgAddress *address, const PcfgWantedSource *source, PcfgEngine *engine)
{
	PcfgAddressInput input = {0};

	input.text = to_utf8(source->url);
	input.connect_args = jsonb_text(source->connect_args);
	input.driver = to_utf8(source->driver);
	input.privileged = pcfg_may_name_files(GetUserId());
	input.options = joined_options(engine, source);
	input.pooler = engine->given[PCFG_POOLER] ? engine->value[PCFG_POOLER] : PCFG_POOLER_AUTO;
	pcfg_address_parse(address, &input);
}

/*
 * A keyword of an address, to where it belongs.  What is set is the default
 * of nobody: providers' are found again at each use.
 */
static void
put_keyword(void *arg, const char *name, const char *value, PcfgOrigin origin)
{
	PcfgWanted *wanted = arg;
	const PcfgSetting *s = pcfg_setting_find(name);
	char		errbuf[256];
	const char *why;
	const char *hint;
	int64		parsed;

	if (origin == PCFG_FROM_PROVIDER)
		return;
	if (s != NULL)
	{
		if (!pcfg_setting_parse(s, value, &parsed, errbuf, sizeof(errbuf), &why, &hint))
			elog(ERROR, "setting \"%s\" of an address is out of range", name);
		put_setting(wanted, s, parsed);
	}
	else if (pcfg_option_classify(name, false) == PCFG_OPT_MAPPING)
		pcfg_option_put(&wanted->mapping, name, value);
	else
		pcfg_option_put(&wanted->server, name, value);
}

static void
put_settings(PcfgWanted *wanted, const PcfgEngine *engine)
{
	int			i;

	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		if (!engine->given[i])
			continue;
		if (pcfg_settings[i].kind == PCFG_KIND_TEXT)
			pcfg_option_put(&wanted->server, pcfg_settings[i].name, to_server(engine->init_sql));
		else
			put_setting(wanted, &pcfg_settings[i], engine->value[i]);
	}
}

/*
 * What the pure code has made, in memory of its own: wiped with the context
 * that it was begun in, if not before.
 */
typedef struct Reading
{
	PcfgEngine	engine;
	PcfgAddress address;
	MemoryContext context;
	MemoryContextCallback wipe;
} Reading;

static void
wipe_reading(void *arg)
{
	Reading    *reading = arg;

	pcfg_address_free(&reading->address);
	pcfg_engine_free(&reading->engine);
}

static Reading *
begin_reading(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pool_config address",
												  ALLOCSET_SMALL_SIZES);
	Reading    *reading = MemoryContextAllocZero(context, sizeof(Reading));

	reading->context = context;
	reading->wipe.func = wipe_reading;
	reading->wipe.arg = reading;
	MemoryContextRegisterResetCallback(context, &reading->wipe);
	return reading;
}

static void
end_reading(Reading *reading)
{
	MemoryContextDelete(reading->context);
}

/* Reads, tells, and hands out; wanted may be NULL. */
static void
read_all(const PcfgWantedSource *source, PcfgTakeKeyword take, void *arg, PcfgWanted *wanted)
{
	Reading    *reading = begin_reading();
	PcfgEngine *engine = &reading->engine;
	PcfgAddress *address = &reading->address;
	int			i;

	pcfg_engine_parse(engine, jsonb_text(source->settings), source->sized);
	parse_address(address, source, engine);
	report_errors(&address->findings, &engine->findings);
	report_notices(&address->findings);
	report_notices(&engine->findings);
	for (i = 0; i < address->nkeywords; i++)
		take(arg, address->keywords[i].name, to_server(address->keywords[i].value),
			 address->keywords[i].origin);
	if (wanted != NULL)
		put_settings(wanted, engine);
	end_reading(reading);
}

void
pcfg_wanted_read(PcfgWanted *wanted, const PcfgWantedSource *source)
{
	read_all(source, put_keyword, wanted, wanted);
}

void
pcfg_wanted_list(const PcfgWantedSource *source, PcfgTakeKeyword take, void *arg)
{
	read_all(source, take, arg, NULL);
}

/* The value of a setting that a target of these options works by. */
static int64
effective_setting(List *options, const PcfgProvider *provider, const PcfgSetting *s)
{
	DefElem    *option = pcfg_option_find(options, s->name);
	char		errbuf[256];
	const char *why;
	const char *hint;
	int64		value;

	if (option != NULL &&
		pcfg_setting_parse(s, strVal(option->arg), &value, errbuf, sizeof(errbuf), &why, &hint))
		return value;
	if (!pcfg_settings_is_configured(s->id) && pcfg_provider_setting(provider, s->id, &value))
		return value;
	return pcfg_settings_value(s->id);
}

void
pcfg_wanted_advise(List *server_options)
{
	DefElem    *host = pcfg_option_find(server_options, "host");
	DefElem    *port = pcfg_option_find(server_options, "port");
	const PcfgProvider *provider = host == NULL ? NULL :
		pcfg_provider_find(strVal(host->arg), port != NULL ? strVal(port->arg) : NULL);
	PcfgPolicy	policy;
	Reading    *reading;
	int			i;

	if (provider == NULL)
		return;
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
		policy.value[i] = pcfg_settings[i].kind == PCFG_KIND_TEXT ? 0 :
			effective_setting(server_options, provider, &pcfg_settings[i]);
	reading = begin_reading();
	pcfg_provider_advise(provider, &policy, &reading->address.findings);
	report_notices(&reading->address.findings);
	end_reading(reading);
}

void
pcfg_wanted_check_setting(const char *name)
{
	Reading    *reading;

	if (pcfg_setting_find(name) != NULL)
		return;
	reading = begin_reading();
	pcfg_engine_setting(&reading->engine, to_utf8(name), "");
	report_errors(&reading->engine.findings, &reading->address.findings);
	end_reading(reading);
}
