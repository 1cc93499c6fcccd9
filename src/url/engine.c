/*-------------------------------------------------------------------------
 *
 * url/engine.c
 *	  Settings of a pool as users write them: our own, and the words of
 *	  SQLAlchemy's engine.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/engine.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "url/json.h"
#include "url/server_setting.h"

#define OWN_ARGUMENT	"It is an argument of its own of create_target()."
#define AN_OBJECT		"It is an object of Python and has no meaning here; leave it out."

/* What is no setting here, and what to do about it. */
static const struct
{
	const char *name;
	PcfgKind	kind;
	const char *hint;
}			words[] =
{
	{"echo_pool", PCFG_N_IGNORED, "What the pool does stands in the server's log, by log_min_messages."},
	{"pool_logging_name", PCFG_N_IGNORED, "The name in the log is that of the target."},
	{"echo", PCFG_N_IGNORED, NULL},
	{"future", PCFG_N_IGNORED, NULL},
	{"logging_name", PCFG_N_IGNORED, NULL},
	{"query_cache_size", PCFG_N_IGNORED, NULL},
	{"hide_parameters", PCFG_N_IGNORED, NULL},
	{"json_serializer", PCFG_N_IGNORED, NULL},
	{"json_deserializer", PCFG_N_IGNORED, NULL},
	{"label_length", PCFG_N_IGNORED, NULL},
	{"max_identifier_length", PCFG_N_IGNORED, NULL},
	{"implicit_returning", PCFG_N_IGNORED, NULL},
	{"enable_from_linting", PCFG_N_IGNORED, NULL},
	{"executemany_mode", PCFG_N_IGNORED, NULL},
	{"executemany_batch_page_size", PCFG_N_IGNORED, NULL},
	{"insertmanyvalues_page_size", PCFG_N_IGNORED, NULL},
	{"use_insertmanyvalues", PCFG_N_IGNORED, NULL},
	{"paramstyle", PCFG_N_IGNORED, NULL},
	{"execution_options", PCFG_N_IGNORED, NULL},
	{"encoding", PCFG_N_IGNORED, NULL},
	{"pool", PCFG_E_DRIVER, AN_OBJECT},
	{"creator", PCFG_E_DRIVER, AN_OBJECT},
	{"async_creator", PCFG_E_DRIVER, AN_OBJECT},
	{"module", PCFG_E_DRIVER, AN_OBJECT},
	{"events", PCFG_E_DRIVER, AN_OBJECT},
	{"dialect", PCFG_E_DRIVER, AN_OBJECT},
	{"plugins", PCFG_E_DRIVER, AN_OBJECT},
	{"url", PCFG_E_DRIVER, OWN_ARGUMENT},
	{"connect_args", PCFG_E_DRIVER, OWN_ARGUMENT},
	{"password", PCFG_E_DRIVER, OWN_ARGUMENT},
	{"max_size", PCFG_E_DRIVER, "Set pool_size and max_overflow: their sum is the most that is opened."},
	{"maxconn", PCFG_E_DRIVER, "Set pool_size and max_overflow: their sum is the most that is opened."},
	{"maximumPoolSize", PCFG_E_DRIVER, "Set pool_size and max_overflow: their sum is the most that is opened."},
	{"connection_limit", PCFG_E_DRIVER, "Set pool_size and max_overflow: their sum is the most that is opened."},
	{"min_size", PCFG_E_DRIVER, "Set min_idle."},
	{"minconn", PCFG_E_DRIVER, "Set min_idle."},
	{"minimumIdle", PCFG_E_DRIVER, "Set min_idle."},
	{"max_idle", PCFG_E_DRIVER, "Set idle_timeout."},
	{"idleTimeout", PCFG_E_DRIVER, "Set idle_timeout; it is in seconds."},
	{"max_inactive_connection_lifetime", PCFG_E_DRIVER, "Set idle_timeout."},
	{"max_lifetime", PCFG_E_DRIVER, "Set pool_recycle."},
	{"maxLifetime", PCFG_E_DRIVER, "Set pool_recycle; it is in seconds."},
	{"max_queries", PCFG_E_DRIVER, "Connections are replaced by age: set pool_recycle."},
	{"max_waiting", PCFG_E_DRIVER, "Waiting is limited by time: set pool_timeout."},
	{"timeout", PCFG_E_DRIVER, "Set pool_timeout to limit the wait for a connection, connect_timeout to limit a connect."},
	{"connectionTimeout", PCFG_E_DRIVER, "Set pool_timeout; it is in seconds."},
	{"statement_timeout", PCFG_E_DRIVER, "Set command_timeout."}
};

#define NWORDS	((int) (sizeof(words) / sizeof(words[0])))

/* Words that are translated. */
static const char *const translated[] = {"pool_reset_on_return", "poolclass", "isolation_level"};

#define NTRANSLATED	3
#define NAME_MAX		63		/* longest name that is repeated */

static void
put(PcfgEngine *e, PcfgSettingId id, int64_t value)
{
	if (e->given[id] && e->value[id] != value)
		pcfg_finding_add(&e->findings, PCFG_E_AMBIGUOUS, "Give it once.",
						 "the settings give \"%s\" twice", pcfg_settings[id].name);
	e->given[id] = true;
	e->value[id] = value;
}

static void
bad_word(PcfgEngine *e, const char *name, const char *hint)
{
	pcfg_finding_add(&e->findings, PCFG_E_VALUE, hint, "\"%s\" has a value that is not possible", name);
}

/* ----------------------------------------------------------------
 * SQLAlchemy's words
 * ----------------------------------------------------------------
 */

static void
take_reset(PcfgEngine *e, const PcfgJson *value)
{
	bool		on = value->type == PCFG_JSON_BOOL && value->text[0] == 't';

	if (on || (value->type == PCFG_JSON_STRING && strcasecmp(value->text, "rollback") == 0))
	{
		put(e, PCFG_POOL_RESET, PCFG_RESET_ROLLBACK);
		pcfg_finding_add(&e->findings, PCFG_N_TRANSLATED,
						 "The default, auto, also clears the state of a session before another one takes over.",
						 "pool_reset_on_return is pool_reset here: rollback");
	}
	else if (value->type == PCFG_JSON_NULL || value->type == PCFG_JSON_BOOL ||
			 (value->type == PCFG_JSON_STRING && strcasecmp(value->text, "none") == 0))
	{
		put(e, PCFG_POOL_RESET, PCFG_RESET_NONE);
		pcfg_finding_add(&e->findings, PCFG_N_TRANSLATED,
						 "The default, auto, clears the state of a session before another one takes over.",
						 "pool_reset_on_return is pool_reset here: none");
	}
	else if (value->type == PCFG_JSON_STRING && strcasecmp(value->text, "commit") == 0)
		bad_word(e, "pool_reset_on_return", "Each call commits by itself, so there is nothing to commit on return; say rollback, or leave it out.");
	else
		bad_word(e, "pool_reset_on_return", "Possible is: rollback, none.");
}

static void
take_class(PcfgEngine *e, const PcfgJson *value, bool sized)
{
	const char *dot = value->type == PCFG_JSON_STRING ? strrchr(value->text, '.') : NULL;
	const char *name = value->type != PCFG_JSON_STRING ? "" : dot != NULL ? dot + 1 : value->text;

	sized |= e->given[PCFG_POOL_SIZE] || e->given[PCFG_MAX_OVERFLOW];
	if (strcmp(name, "QueuePool") == 0 || strcmp(name, "AsyncAdaptedQueuePool") == 0)
		return;
	if (strcmp(name, "NullPool") != 0 && strcmp(name, "StaticPool") != 0)
	{
		bad_word(e, "poolclass", "Possible is: QueuePool, AsyncAdaptedQueuePool, NullPool, StaticPool.");
		return;
	}
	if (sized)
	{
		pcfg_finding_add(&e->findings, PCFG_E_AMBIGUOUS, "Leave one of the two out.",
						 "poolclass %s takes no pool_size and no max_overflow", name[0] == 'N' ? "NullPool" : "StaticPool");
		return;
	}
	if (name[0] == 'N')
	{
		put(e, PCFG_IDLE_TIMEOUT, pcfg_settings[PCFG_IDLE_TIMEOUT].min);
		put(e, PCFG_MIN_IDLE, 0);
		pcfg_finding_add(&e->findings, PCFG_N_TRANSLATED, "pool_size and max_overflow still limit how many there are.",
						 "NullPool keeps nothing: min_idle is 0, and an idle connection is closed at once");
	}
	else
	{
		put(e, PCFG_POOL_SIZE, 1);
		put(e, PCFG_MAX_OVERFLOW, 0);
		pcfg_finding_add(&e->findings, PCFG_N_TRANSLATED, NULL,
						 "StaticPool is one connection: pool_size is 1, max_overflow 0");
	}
}

static void
take_isolation(PcfgEngine *e, const PcfgJson *value)
{
	static const char *const levels[] = {
		"read committed", "read uncommitted", "repeatable read", "serializable"
	};
	char		level[32] = "";
	PcfgServerSetting result;
	int			i;

	if (value->type == PCFG_JSON_STRING && strlen(value->text) < sizeof(level))
		for (i = 0; value->text[i] != '\0'; i++)
			level[i] = value->text[i] == '_' ? ' ' : value->text[i];
	if (strcasecmp(level, "autocommit") == 0)
		return;
	for (i = 0; i < 4; i++)
	{
		PcfgJson	text = {PCFG_JSON_STRING, levels[i], "", NULL, NULL};

		if (strcasecmp(level, levels[i]) == 0 &&
			pcfg_server_setting_read(&result, &e->findings, "default_transaction_isolation", &text))
		{
			e->options = result.text;
			pcfg_finding_add(&e->findings, PCFG_N_TRANSLATED, NULL,
							 "isolation_level is default_transaction_isolation in options of the target");
			return;
		}
	}
	bad_word(e, "isolation_level",
			 "Possible is: AUTOCOMMIT, READ COMMITTED, READ UNCOMMITTED, REPEATABLE READ, SERIALIZABLE.");
}

/* ----------------------------------------------------------------
 * names
 * ----------------------------------------------------------------
 */

static bool
take_word(PcfgEngine *e, const char *name)
{
	int			i;

	for (i = 0; i < NWORDS; i++)
	{
		if (strcmp(words[i].name, name) != 0)
			continue;
		pcfg_finding_add(&e->findings, words[i].kind, words[i].hint,
						 words[i].kind == PCFG_N_IGNORED ? "\"%s\" has no meaning for a pool here and is left out" :
						 "\"%s\" is not a setting here", name);
		return true;
	}
	return false;
}

static void
refuse_unknown(PcfgEngine *e, const char *name)
{
	const char *names[PCFG_SETTING_COUNT + NTRANSLATED + NWORDS];
	const char *nearest;
	int			n = 0;
	int			i;

	for (i = 0; i < PCFG_SETTING_COUNT; i++)
		names[n++] = pcfg_settings[i].name;
	for (i = 0; i < NTRANSLATED; i++)
		names[n++] = translated[i];
	for (i = 0; i < NWORDS; i++)
		names[n++] = words[i].name;
	nearest = pcfg_nearest_name(name, names, n);
	pcfg_finding_add(&e->findings, PCFG_E_UNKNOWN,
					 nearest == NULL ? "The columns of pool_config.targets name all settings." :
					 pcfg_arena_print(&e->findings.arena, "Perhaps you meant the setting \"%s\".", nearest),
					 "setting \"%s\" does not exist", strlen(name) <= NAME_MAX ? name : "...");
}

void
pcfg_engine_setting(PcfgEngine *e, const char *name, const char *text)
{
	const PcfgSetting *s = pcfg_setting_find(name);
	char		room[256];
	const char *why;
	const char *hint;
	int64_t		value;

	if (s == NULL)
		refuse_unknown(e, name);
	else if (s->kind == PCFG_KIND_TEXT)
	{
		e->given[s->id] = true;
		e->init_sql = pcfg_arena_text(&e->findings.arena, text, strlen(text));
	}
	else if (pcfg_setting_parse(s, text, &value, room, sizeof(room), &why, &hint))
		put(e, s->id, value);
	else
		pcfg_finding_add(&e->findings, PCFG_E_SETTING, hint, "%s", why);
}

static void
take_pair(PcfgEngine *e, const PcfgJson *pair)
{
	if (strcmp(pair->name, "pool_reset_on_return") == 0)
		take_reset(e, pair);
	else if (pair->type == PCFG_JSON_NULL && strcmp(pair->name, "pool_timeout") == 0)
		bad_word(e, "pool_timeout", "Say -1 to wait as long as the statement may run.");
	else if (pair->type == PCFG_JSON_NULL && pcfg_setting_find(pair->name) != NULL)
		return;					/* as if it were not there */
	else if (strcmp(pair->name, "isolation_level") == 0)
		take_isolation(e, pair);
	else if (strcmp(pair->name, "poolclass") == 0 || take_word(e, pair->name))
		return;					/* poolclass is looked at when the sizes are known */
	else if (pcfg_setting_find(pair->name) == NULL)
		refuse_unknown(e, pair->name);
	else if (pair->type == PCFG_JSON_ARRAY || pair->type == PCFG_JSON_OBJECT)
		pcfg_finding_add(&e->findings, PCFG_E_SETTING, NULL,
						 "the value of \"%s\" in settings is not a single value", pair->name);
	else
		pcfg_engine_setting(e, pair->name, pair->type != PCFG_JSON_BOOL ? pair->text :
							pair->text[0] == 't' ? "on" : "off");
}

void
pcfg_engine_parse(PcfgEngine *engine, const char *json, bool sized)
{
	const PcfgJson *object;
	const PcfgJson *pair;

	memset(engine, 0, sizeof(*engine));
	if (json == NULL)
		return;
	object = pcfg_json_parse(&engine->findings.arena, json);
	if (object == NULL || object->type != PCFG_JSON_OBJECT)
	{
		pcfg_finding_add(&engine->findings, PCFG_E_VALUE, "Write it as {\"name\": value}.",
						 "settings is not a JSON object");
		return;
	}
	for (pair = object->first; pair != NULL; pair = pair->next)
		take_pair(engine, pair);
	for (pair = object->first; pair != NULL; pair = pair->next)
		if (strcmp(pair->name, "poolclass") == 0 && pair->type != PCFG_JSON_NULL)
			take_class(engine, pair, sized);
}

void
pcfg_engine_free(PcfgEngine *engine)
{
	pcfg_arena_free(&engine->findings.arena);
	memset(engine, 0, sizeof(*engine));
}
