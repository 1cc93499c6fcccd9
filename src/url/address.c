/*-------------------------------------------------------------------------
 *
 * url/address.c
 *	  An address as people paste it, and connect_args, to libpq's keywords and
 *	  settings of the pool.
 *
 * Floor 6; backends; no server header, no ereport.
 *
 * Each parameter is translated by itself; url/check looks at the whole.
 *
 *-------------------------------------------------------------------------
 */
#include "url/address.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/setting_table.h"
#include "url/check.h"
#include "url/grammar.h"
#include "url/option.h"
#include "url/server_setting.h"

#define POOLER_HINT \
	"Who switches it off often has a pooler in front of the database: then say so with settings => '{\"pooler\": \"transaction\"}'."

typedef struct Translator
{
	PcfgAddress *out;
	PcfgFindings *findings;
	const PcfgAddressInput *input;
	PcfgParts	parts;
	const PcfgGiven *given;		/* the one at hand */
	const char *options;		/* of the address, then server_settings */
	PcfgOrigin	options_origin;	/* of the first of them */
} Translator;

static const char *
where(const Translator *t)
{
	return t->given->argument ? "in connect_args" : "of the address";
}

static void
bad_value(Translator *t, const char *hint)
{
	pcfg_finding_add(t->findings, PCFG_E_VALUE, hint, "parameter \"%s\" %s has a value that is not possible",
					 t->given->name, where(t));
}

/* One keyword of the result; twice is right only with the same value. */
static void
put(Translator *t, const char *name, const char *value)
{
	const char *present = pcfg_address_value(t->out, name);

	if (present != NULL)
	{
		if (strcmp(present, value) != 0)
			pcfg_finding_add(t->findings, PCFG_E_AMBIGUOUS, "Give it once.",
							 t->given->argument ?
							 "the address and connect_args give \"%s\" differently" :
							 "the address gives \"%s\" twice", name);
		return;
	}
	pcfg_address_put(t->out, name, value,
					 t->given->argument ? PCFG_FROM_ARGUMENTS : PCFG_FROM_ADDRESS);
}

/* ----------------------------------------------------------------
 * values
 * ----------------------------------------------------------------
 */

static bool
is_single(const PcfgJson *value)
{
	return value->type != PCFG_JSON_ARRAY && value->type != PCFG_JSON_OBJECT;
}

static bool
is_true(const PcfgJson *value)
{
	return value->text[0] == 't';
}

/* Microseconds as seconds: 5, 0.25. */
static const char *
seconds_text(Translator *t, int64_t usecs)
{
	char		fraction[8];
	size_t		len;

	if (usecs % 1000000 == 0)
		return pcfg_arena_print(&t->findings->arena, "%lld", (long long) (usecs / 1000000));
	snprintf(fraction, sizeof(fraction), "%06d", (int) (usecs % 1000000));
	len = strlen(fraction);
	while (fraction[len - 1] == '0')
		fraction[--len] = '\0';
	return pcfg_arena_print(&t->findings->arena, "%lld.%s", (long long) (usecs / 1000000), fraction);
}

/*
 * A time limit, in seconds without a unit; libpq takes whole ones only.
 * False when it is none.
 */
static bool
read_seconds(Translator *t, PcfgSettingId id, bool whole, int64_t *usecs)
{
	const PcfgJson *value = t->given->value;
	const char *text = value->text + strspn(value->text, " ");
	const char *hint = "Connecting always has a limit: give a number of seconds above 0, or leave it out for the default of the pool.";
	double		number;
	char	   *end;

	if ((value->type != PCFG_JSON_NUMBER && value->type != PCFG_JSON_STRING) ||
		strlen(text) > 40 || strspn(text, "+-.0123456789eE ") != strlen(text))
		goto bad;
	number = strtod(text, &end);
	if (end == text || end[strspn(end, " ")] != '\0' || !(number > 0))
		goto bad;
	if (whole && text[strspn(text, "+0123456789 ")] != '\0')
	{
		hint = "libpq takes whole seconds; give connect_timeout to create_target() for parts of one.";
		goto bad;
	}
	/* up to the next millisecond, as a shorter limit could not be kept */
	number = ceil(number * 1000 - 1e-6) / 1000;
	if (number * 1e6 > (double) pcfg_settings[id].max)
		goto bad;
	*usecs = llround(number * 1e6);
	if (fabs(number - strtod(text, NULL)) > 1e-9)
		pcfg_finding_add(t->findings, PCFG_N_ROUNDED, NULL, "\"%s\" is rounded up to whole milliseconds",
						 t->given->name);
	return true;

bad:
	bad_value(t, hint);
	return false;
}

/* Text of a value for one of libpq's keywords; NULL when it cannot be one. */
static const char *
keyword_text(Translator *t, const char *keyword)
{
	const PcfgJson *value = t->given->value;

	if (value->type == PCFG_JSON_BOOL)
	{
		/* libpq's switches are numbers */
		if (strcmp(keyword, "keepalives") == 0 || strcmp(keyword, "sslsni") == 0)
			return is_true(value) ? "1" : "0";
		bad_value(t, "Give a number or a text.");
		return NULL;
	}
	if (!is_single(value))
	{
		bad_value(t, "Give a number or a text.");
		return NULL;
	}
	if (!pcfg_parameter_is_sound(value->text))
	{
		pcfg_finding_add(t->findings, PCFG_E_ESCAPE, NULL,
						 "parameter \"%s\" %s has a control character or is not valid UTF-8",
						 t->given->name, where(t));
		return NULL;
	}
	return value->text;
}

/* asyncpg takes lists of hosts and ports in JSON. */
static const char *
join_list(Translator *t)
{
	const PcfgJson *item;
	const char *joined = NULL;
	int			n = 0;

	for (item = t->given->value->first; item != NULL; item = item->next)
	{
		if (++n > PCFG_MAX_HOSTS || !is_single(item) || item->type == PCFG_JSON_BOOL ||
			strchr(item->text, ',') != NULL || !pcfg_parameter_is_sound(item->text))
		{
			bad_value(t, "Give a list of texts or numbers.");
			return NULL;
		}
		joined = joined == NULL ? item->text :
			pcfg_arena_print(&t->findings->arena, "%s,%s", joined, item->text);
	}
	return joined;
}

/* asyncpg writes verify_full, too. */
static const char *
with_hyphens(Translator *t, const char *text)
{
	char	   *copy = (char *) pcfg_arena_text(&t->findings->arena, text, strlen(text));
	char	   *p;

	for (p = copy; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	return copy;
}

/* ----------------------------------------------------------------
 * the parameters
 * ----------------------------------------------------------------
 */

/* May the caller give it, and does this libpq know it? */
static bool
check_class(Translator *t, const char *keyword, const char *value)
{
	switch (pcfg_option_classify(keyword, false))
	{
		case PCFG_OPT_UNSUPPORTED:
			pcfg_finding_add(t->findings, PCFG_E_VERSION,
							 pcfg_option_since(keyword) > 0 ?
							 pcfg_arena_print(&t->findings->arena, "It came with the libpq of PostgreSQL %d.",
											  pcfg_option_since(keyword)) : NULL,
							 "parameter \"%s\" %s is not known to the libpq in use", t->given->name, where(t));
			return false;
		case PCFG_OPT_PRIVILEGED:
			if (t->input->privileged || pcfg_option_value_is_harmless(keyword, value))
				return true;
			pcfg_finding_add(t->findings, PCFG_E_PRIVILEGE,
							 strncmp(keyword, "ssl", 3) == 0 ?
							 "It names a file of the server: a superuser or a member of pg_read_server_files can set it for the target; sslmode=require encrypts without one." :
							 "It names a file or credential of the server: a superuser or a member of pg_read_server_files can set it for the target.",
							 "permission denied for parameter \"%s\" %s", t->given->name, where(t));
			return false;
		case PCFG_OPT_REFUSED:
			if (pcfg_option_value_is_harmless(keyword, value))
				return true;
			if (strcmp(keyword, "gssencmode") == 0 && !t->input->privileged)
				pcfg_finding_add(t->findings, PCFG_E_PRIVILEGE, "Leave it out, or say disable; sslmode=require encrypts.",
								 "permission denied for parameter \"%s\" %s", t->given->name, where(t));
			else
				pcfg_finding_add(t->findings, PCFG_E_REFUSED,
								 strcmp(keyword, "gssencmode") == 0 ?
								 "Its encryption cannot be shared by sessions; sslmode=require encrypts." : NULL,
								 "parameter \"%s\" %s cannot be used for a pool", t->given->name, where(t));
			return false;
		default:
			return true;
	}
}

static void
take_keyword(Translator *t, const char *keyword)
{
	bool		asyncpg = ((t->given->argument ? t->parts.argument_names : t->parts.address_names) &
						   (PCFG_ASYNCPG | PCFG_ASYNCPG_DSN)) != 0;
	const char *value;
	const char *legal;

	if (asyncpg && t->given->value->type == PCFG_JSON_ARRAY &&
		(strcmp(keyword, "host") == 0 || strcmp(keyword, "port") == 0))
		value = join_list(t);
	else
		value = keyword_text(t, keyword);
	if (value == NULL)
		return;
	if (value[0] == '\0')
	{
		pcfg_finding_add(t->findings, PCFG_N_EMPTY, NULL, "parameter \"%s\" %s has no value and is left out",
						 t->given->name, where(t));
		return;
	}
	if (asyncpg && strcmp(keyword, "sslmode") == 0)
		value = with_hyphens(t, value);
	legal = pcfg_option_check_value(keyword, value);
	if (legal != NULL)
	{
		bad_value(t, pcfg_arena_print(&t->findings->arena, "Possible is: %s.", legal));
		return;
	}
	if (strcmp(keyword, "sslrootcert") == 0 && strcmp(value, "system") == 0 &&
		!pcfg_option_has_system_roots())
	{
		/* it would be the name of a file */
		pcfg_finding_add(t->findings, PCFG_E_VERSION, "It came with the libpq of PostgreSQL 16.",
						 "sslrootcert=system is not known to the libpq in use");
		return;
	}
	if (!check_class(t, keyword, value))
		return;
	if (strcmp(keyword, "tcp_user_timeout") == 0 && strtol(value, NULL, 10) > 0 && strtol(value, NULL, 10) < 100)
		pcfg_finding_add(t->findings, PCFG_N_WARNING, "It is in milliseconds.", "tcp_user_timeout is very short");
	put(t, keyword, value);
}

static void
take_limit(Translator *t, const char *setting, bool total)
{
	PcfgVocabulary names = t->given->argument ? t->parts.argument_names : t->parts.address_names;
	bool		whole = (names & (PCFG_LIBPQ | PCFG_PSYCOPG2)) != 0 && t->parts.driver != PCFG_PSYCOPG;
	int64_t		usecs;

	if (!read_seconds(t, pcfg_setting_find(setting)->id, whole, &usecs))
		return;
	if ((names & (PCFG_ASYNCPG | PCFG_ASYNCPG_DSN)) != 0 && t->given->value->type == PCFG_JSON_STRING)
		pcfg_finding_add(t->findings, PCFG_N_ALIAS, NULL,
						 "\"%s\" is accepted as text; asyncpg itself takes it as a number in connect_args only",
						 t->given->name);
	/* one limit for all hosts leaves each of them as much */
	if (total)
		put(t, "connect_deadline", seconds_text(t, usecs));
	put(t, setting, seconds_text(t, usecs));
}

/* asyncpg's ssl: one of the modes, or a switch in JSON. */
static void
take_ssl(Translator *t)
{
	const PcfgJson *value = t->given->value;
	const char *mode;

	if (value->type == PCFG_JSON_BOOL && !is_true(value))
	{
		put(t, "sslmode", "disable");
		return;
	}
	if (value->type == PCFG_JSON_BOOL)
	{
		if (!pcfg_option_has_system_roots())
		{
			pcfg_finding_add(t->findings, PCFG_E_VERSION,
							 "Say \"require\" to encrypt, or \"verify-full\" with a sslrootcert that an administrator sets; true checks against the system's certificates, which libpq can from PostgreSQL 16 on.",
							 "\"ssl\": true needs a newer libpq");
			return;
		}
		put(t, "sslmode", "verify-full");
		put(t, "sslrootcert", "system");
		return;
	}
	mode = value->type == PCFG_JSON_STRING ? with_hyphens(t, value->text) : "";
	if (mode[0] == '\0' || pcfg_option_check_value("sslmode", mode) != NULL)
		bad_value(t, "Say ssl=require to encrypt, or ssl=verify-full to encrypt and check; possible is: disable, allow, prefer, require, verify-ca, verify-full.");
	else
		put(t, "sslmode", mode);
}

/* libpq knows this one value of ssl, in an address only. */
static void
take_ssl_true(Translator *t)
{
	if (strcmp(t->given->value->text, "true") == 0)
		put(t, "sslmode", "require");
	else
		bad_value(t, "Write sslmode=require to encrypt, or sslmode=verify-full to encrypt and check.");
}

static void
take_requiressl(Translator *t)
{
	const char *text = is_single(t->given->value) ? t->given->value->text : "";

	if (strcmp(text, "1") == 0)
		put(t, "sslmode", "require");
	else if (strcmp(text, "0") == 0)
		put(t, "sslmode", "prefer");
	else
		bad_value(t, "Write sslmode=require.");
}

/* Any text would be true to asyncpg, "false" too. */
static void
take_direct_tls(Translator *t)
{
	const PcfgJson *value = t->given->value;

	if (value->type != PCFG_JSON_BOOL)
		bad_value(t, "Give true or false, in connect_args.");
	else if (is_true(value) && check_class(t, "sslnegotiation", "direct"))
		put(t, "sslnegotiation", "direct");
}

static void
add_options(Translator *t, const char *words)
{
	if (t->options[0] == '\0' && t->given != NULL && t->given->argument)
		t->options_origin = PCFG_FROM_ARGUMENTS;
	t->options = t->options[0] == '\0' ? words :
		pcfg_arena_print(&t->findings->arena, "%s %s", t->options, words);
}

static void
take_options(Translator *t)
{
	const char *value = keyword_text(t, "options");

	if (value != NULL && value[0] != '\0')
		add_options(t, value);
}

static void
take_server_setting(Translator *t, const char *name, const PcfgJson *value)
{
	PcfgServerSetting result;

	if (!pcfg_server_setting_read(&result, t->findings, name, value))
		return;
	if (result.keyword != NULL)
		put(t, result.keyword, result.text);
	else if (result.text != NULL)
		add_options(t, result.text);
}

static void
take_server_settings(Translator *t)
{
	const PcfgJson *value = t->given->value;
	const PcfgJson *item;
	int			n = 0;

	/* what ?server_settings={...} gives */
	if (value->type == PCFG_JSON_STRING)
		value = pcfg_json_parse(&t->findings->arena, value->text);
	if (value == NULL || value->type != PCFG_JSON_OBJECT)
	{
		bad_value(t, "Give an object: {\"server_settings\": {\"name\": \"value\"}}.");
		return;
	}
	for (item = value->first; item != NULL; item = item->next)
	{
		if (n++ == PCFG_MAX_GIVEN)
		{
			bad_value(t, "There are too many of them.");
			return;
		}
		if (item->type != PCFG_JSON_NULL)
			take_server_setting(t, item->name, item);
	}
}

/* A number that tunes a cache; switched off, it tells of a pooler. */
static void
ignore_count(Translator *t)
{
	const PcfgJson *value = t->given->value;
	bool		off = value->type == PCFG_JSON_NULL || strcmp(value->text, "0") == 0;

	if (value->type != PCFG_JSON_NULL &&
		(!is_single(value) || value->type == PCFG_JSON_BOOL || value->text[0] == '\0' ||
		 strspn(value->text, "0123456789") != strlen(value->text)))
		bad_value(t, "Give a whole number from 0 on, or leave it out: it tunes a driver.");
	else
		pcfg_finding_add(t->findings, PCFG_N_IGNORED, off ? POOLER_HINT : NULL,
						 "\"%s\" %s tunes a driver and is left out", t->given->name, where(t));
}

static void
take_autocommit(Translator *t)
{
	if (t->given->value->type != PCFG_JSON_BOOL)
		bad_value(t, "Give true or false, in connect_args.");
	else if (!is_true(t->given->value))
		bad_value(t, "Each call commits by itself; leave it out.");
}

static void
refuse_name(Translator *t, const PcfgVerdict *verdict)
{
	const char *name = t->given->name;
	const char *nearest;
	PcfgArena  *arena = &t->findings->arena;

	if (verdict->known)
	{
		static const char *const what[] = {"is not known to libpq", "cannot be used for a pool", "belongs to another driver"};

		pcfg_finding_add(t->findings, verdict->kind, verdict->hint, "parameter \"%s\" %s %s", name, where(t),
						 what[verdict->kind == PCFG_E_UNKNOWN ? 0 : verdict->kind == PCFG_E_REFUSED ? 1 : 2]);
		return;
	}
	/* it may be half a password: its place is told, not itself */
	nearest = pcfg_parameter_nearest(name, t->given->argument ?
									 t->parts.argument_names : t->parts.address_names);
	pcfg_finding_add(t->findings, PCFG_E_UNKNOWN,
					 nearest != NULL ? pcfg_arena_print(arena, "Perhaps you meant \"%s\".", nearest) :
					 t->given->argument ? "connect_args takes the parameters of the driver." :
					 "A \"&\" or \"=\" in a value must be written %26 or %3D.",
					 "parameter %d %s is not known", t->given->position, where(t));
}

static void
translate(Translator *t)
{
	PcfgVocabulary names = t->given->argument ? t->parts.argument_names : t->parts.address_names;
	PcfgVerdict verdict;

	if (t->given->identity)
	{
		take_keyword(t, t->given->name);
		return;
	}
	if (strcmp(t->given->name, "ssl") == 0 && !t->given->argument && t->parts.grammar == PCFG_URI &&
		names == PCFG_LIBPQ)
	{
		take_ssl_true(t);
		return;
	}
	verdict = pcfg_parameter_judge(t->given->name, names);
	switch (verdict.action)
	{
		case PCFG_TAKE:
			take_keyword(t, verdict.as);
			break;
		case PCFG_TAKE_SECONDS:
			take_limit(t, verdict.as, false);
			break;
		case PCFG_TAKE_TOTAL:
			take_limit(t, "connect_timeout", true);
			break;
		case PCFG_TAKE_SSL:
			take_ssl(t);
			break;
		case PCFG_TAKE_REQUIRESSL:
			take_requiressl(t);
			break;
		case PCFG_TAKE_DIRECT_TLS:
			take_direct_tls(t);
			break;
		case PCFG_TAKE_SERVER_SETTINGS:
			take_server_settings(t);
			break;
		case PCFG_TAKE_SERVER_SETTING:
			take_server_setting(t, t->given->name, t->given->value);
			break;
		case PCFG_TAKE_OPTIONS:
			take_options(t);
			break;
		case PCFG_TAKE_AUTOCOMMIT:
			take_autocommit(t);
			break;
		case PCFG_IGNORE:
			pcfg_finding_add(t->findings, PCFG_N_IGNORED, NULL, "\"%s\" %s tunes a driver and is left out",
							 t->given->name, where(t));
			break;
		case PCFG_IGNORE_COUNT:
			ignore_count(t);
			break;
		case PCFG_REFUSE:
			refuse_name(t, &verdict);
			break;
	}
}

static void
add_arguments(Translator *t)
{
	PcfgJson   *object = pcfg_json_parse(&t->findings->arena, t->input->connect_args);

	if (object == NULL || object->type != PCFG_JSON_OBJECT)
		pcfg_finding_add(t->findings, PCFG_E_VALUE, "Write it as {\"name\": value}.",
						 "connect_args is not a JSON object");
	else
		pcfg_grammar_add_arguments(&t->parts, t->findings, object);
}

void
pcfg_address_parse(PcfgAddress *address, const PcfgAddressInput *input)
{
	Translator	t = {address, &address->findings, input};
	int			i;

	memset(address, 0, sizeof(*address));
	t.options = "";
	pcfg_grammar_split(&t.parts, t.findings, input->text, input->driver);
	if (input->connect_args != NULL)
		add_arguments(&t);
	for (i = 0; i < t.parts.ngiven; i++)
	{
		t.given = &t.parts.given[i];
		translate(&t);
	}
	t.given = NULL;
	if (input->options != NULL)
		add_options(&t, input->options);
	if (t.options[0] != '\0')
		pcfg_address_put(address, "options", t.options, t.options_origin);
	pcfg_check_address(address, input->text != NULL, input->pooler,
					   (t.parts.address_names & (PCFG_ASYNCPG | PCFG_ASYNCPG_DSN)) != 0);
	if (t.findings->nerrors > 0 || t.findings->arena.failed)
		address->nkeywords = 0;
}
