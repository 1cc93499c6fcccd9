/*-------------------------------------------------------------------------
 *
 * url/option.c
 *	  Which connection options a target may carry, and on whose authority.
 *
 * Floor 1; backends; no server header.  Promises that no option passes that
 * was not judged here.  Refuses to know catalogs, roles and where the
 * options stand.
 *
 *-------------------------------------------------------------------------
 */
#include "url/option.h"

#include <libpq-fe.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/setting_table.h"

typedef struct OptionRule
{
	const char *name;
	PcfgOptionClass class;
	bool		local;			/* of ours: libpq need not know it */
	int			since;			/* PostgreSQL's version; 0 = all of ours */
	const char *legal;			/* what a value may be, for people; NULL = any */
	int			min;			/* a whole number from min to max, when max is set; */
	int			max;			/* else one of the words of "legal" */
	bool		any_case;		/* these words in capitals, too */
} OptionRule;

#define FLAG		.legal = "0 or 1", .min = 0, .max = 1
#define SECONDS		.legal = "a whole number of seconds", .min = 0, .max = INT_MAX
#define TLS_VERSION	.legal = "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3", .any_case = true

static const OptionRule rules[] = {
	/* where to, and how to speak to it */
	{"host", PCFG_OPT_SERVER},
	{"hostaddr", PCFG_OPT_SERVER},
	{"port", PCFG_OPT_SERVER},
	{"dbname", PCFG_OPT_SERVER},
	{"target_session_attrs", PCFG_OPT_SERVER,
	.legal = "any, read-write, read-only, primary, standby, prefer-standby"},
	{"load_balance_hosts", PCFG_OPT_SERVER, .local = true, .legal = "disable, random"},
	{"application_name", PCFG_OPT_SERVER},
	{"fallback_application_name", PCFG_OPT_SERVER},
	{"options", PCFG_OPT_SERVER},
	{"keepalives", PCFG_OPT_SERVER, FLAG},
	{"keepalives_idle", PCFG_OPT_SERVER, SECONDS},
	{"keepalives_interval", PCFG_OPT_SERVER, SECONDS},
	{"keepalives_count", PCFG_OPT_SERVER, .legal = "a whole number", .min = 0, .max = INT_MAX},
	{"tcp_user_timeout", PCFG_OPT_SERVER,
	.legal = "a whole number of milliseconds", .min = 0, .max = INT_MAX},

	/* protection that names no file */
	{"sslmode", PCFG_OPT_SERVER, .legal = "disable, allow, prefer, require, verify-ca, verify-full"},
	{"sslnegotiation", PCFG_OPT_SERVER, .since = 17, .legal = "postgres, direct"},
	{"sslcompression", PCFG_OPT_SERVER, FLAG},
	{"sslsni", PCFG_OPT_SERVER, FLAG},
	{"sslcertmode", PCFG_OPT_SERVER, .since = 16, .legal = "disable, allow, require"},
	{"ssl_min_protocol_version", PCFG_OPT_SERVER, TLS_VERSION},
	{"ssl_max_protocol_version", PCFG_OPT_SERVER, TLS_VERSION},
	{"channel_binding", PCFG_OPT_SERVER, .legal = "disable, prefer, require"},
	{"require_auth", PCFG_OPT_SERVER, .since = 16},

	/* who */
	{"user", PCFG_OPT_MAPPING},
	{"password", PCFG_OPT_MAPPING},
	{"sslpassword", PCFG_OPT_MAPPING},
	{"password_file", PCFG_OPT_MAPPING, .local = true},
	{"password_required", PCFG_OPT_MAPPING, .local = true},

	/* files and credentials of the account that runs the server */
	{"sslcert", PCFG_OPT_PRIVILEGED},
	{"sslkey", PCFG_OPT_PRIVILEGED},
	{"sslrootcert", PCFG_OPT_PRIVILEGED},
	{"sslcrl", PCFG_OPT_PRIVILEGED},
	{"sslcrldir", PCFG_OPT_PRIVILEGED},
	{"requirepeer", PCFG_OPT_PRIVILEGED},
	{"service", PCFG_OPT_PRIVILEGED},
	{"servicefile", PCFG_OPT_PRIVILEGED, .since = 19},
	{"passfile", PCFG_OPT_PRIVILEGED},
	{"krbsrvname", PCFG_OPT_PRIVILEGED},
	{"gsslib", PCFG_OPT_PRIVILEGED},
	{"gssdelegation", PCFG_OPT_PRIVILEGED, .since = 16, FLAG},

	/* an encryption that a pool cannot lend, files it would write, other protocols */
	{"gssencmode", PCFG_OPT_REFUSED, .legal = "disable, prefer, require"},
	{"sslkeylogfile", PCFG_OPT_REFUSED},
	{"scram_client_key", PCFG_OPT_REFUSED},
	{"scram_server_key", PCFG_OPT_REFUSED},
	{"oauth_issuer", PCFG_OPT_REFUSED},
	{"oauth_client_id", PCFG_OPT_REFUSED},
	{"oauth_client_secret", PCFG_OPT_REFUSED},
	{"oauth_scope", PCFG_OPT_REFUSED},
	{"replication", PCFG_OPT_REFUSED},
	{"client_encoding", PCFG_OPT_REFUSED},
	{"min_protocol_version", PCFG_OPT_REFUSED},
	{"max_protocol_version", PCFG_OPT_REFUSED}
};

#define NRULES ((int) (sizeof(rules) / sizeof(rules[0])))

/*
 * libpq's own list of its keywords, made once and kept.  Parsing an empty
 * string gives it without a look at environment or files, which
 * PQconndefaults() would take.  NULL when there is no memory.
 */
static const PQconninfoOption *
libpq_keywords(void)
{
	static const PQconninfoOption *keywords = NULL;

	if (keywords == NULL)
		keywords = PQconninfoParse("", NULL);
	return keywords;
}

static const OptionRule *
find_rule(const char *name)
{
	int			i;

	for (i = 0; i < NRULES; i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

static bool
may_stand_on_mapping(const OptionRule *rule)
{
	return rule->class == PCFG_OPT_MAPPING ||
		strcmp(rule->name, "sslcert") == 0 ||
		strcmp(rule->name, "sslkey") == 0;
}

bool
pcfg_option_in_libpq(const char *name)
{
	const PQconninfoOption *k = libpq_keywords();

	if (k == NULL)
		return true;			/* it will say itself what it does not know */
	for (; k->keyword != NULL; k++)
		if (strcmp(k->keyword, name) == 0)
			return true;
	return false;
}

PcfgOptionClass
pcfg_option_classify(const char *name, bool foreign_wrapper)
{
	const OptionRule *rule = find_rule(name);

	/*
	 * connect_timeout is a setting of the pool, and libpq's clock is never
	 * used; on a foreign wrapper the caller may read it.
	 */
	if (strcmp(name, "connect_timeout") == 0)
		return foreign_wrapper ? PCFG_OPT_IGNORED : PCFG_OPT_UNKNOWN;

	if (rule == NULL)
	{
		/* a libpq newer than this table may have invented anything */
		if (libpq_keywords() != NULL && pcfg_option_in_libpq(name))
			return PCFG_OPT_REFUSED;
		return foreign_wrapper ? PCFG_OPT_IGNORED : PCFG_OPT_UNKNOWN;
	}
	/* the wrappers of others did not look at what is ours */
	if (rule->local && foreign_wrapper)
		return PCFG_OPT_IGNORED;
	if (rule->class == PCFG_OPT_REFUSED || rule->local ||
		pcfg_option_in_libpq(name))
		return rule->class;
	return PCFG_OPT_UNSUPPORTED;
}

int
pcfg_option_since(const char *name)
{
	const OptionRule *rule = find_rule(name);

	return rule != NULL ? rule->since : 0;
}

/* As libpq reads it: blanks around it, no more than an int. */
static bool
is_number_within(const char *text, int min, int max)
{
	const char *digits = text + strspn(text, " \t\n\v\f\r");
	char	   *end;
	long		value;

	if (strspn(digits, "+-0123456789") == 0 || strlen(digits) > 32)
		return false;
	value = strtol(digits, &end, 10);
	return end != digits && end[strspn(end, " \t\n\v\f\r")] == '\0' &&
		value >= min && value <= max;
}

/* Is the word one of a list written as "a, b, c"? */
static bool
is_word_of(const char *word, const char *list, bool any_case)
{
	size_t		len = strlen(word);

	while (*list != '\0')
	{
		size_t		n = strcspn(list, ",");

		if (n == len && (any_case ? strncasecmp(list, word, n) : strncmp(list, word, n)) == 0)
			return true;
		list += n;
		list += strspn(list, ", ");
	}
	return false;
}

const char *
pcfg_option_check_value(const char *name, const char *value)
{
	const OptionRule *rule = find_rule(name);

	if (rule == NULL || rule->legal == NULL || value[0] == '\0')
		return NULL;
	if (rule->max != 0 ? is_number_within(value, rule->min, rule->max) :
		is_word_of(value, rule->legal, rule->any_case))
		return NULL;
	return rule->legal;
}

bool
pcfg_option_fits_mapping(const char *name)
{
	const OptionRule *rule = find_rule(name);

	return rule != NULL && may_stand_on_mapping(rule);
}

bool
pcfg_option_value_is_harmless(const char *name, const char *value)
{
	if (strcmp(name, "gssencmode") == 0)
		return strcmp(value, "disable") == 0 || strcmp(value, "prefer") == 0;
	/* an older libpq would look for a file of that name */
	if (strcmp(name, "sslrootcert") == 0)
		return strcmp(value, "system") == 0 && pcfg_option_has_system_roots();
	return false;
}

bool
pcfg_option_has_system_roots(void)
{
	return PQlibVersion() >= 160000;
}

const char *
pcfg_option_nearest(const char *name, bool mapping)
{
	const char *candidates[NRULES + PCFG_SETTING_COUNT];
	int			n = 0;
	int			i;

	for (i = 0; i < NRULES; i++)
	{
		bool		fits = mapping ? may_stand_on_mapping(&rules[i]) :
			rules[i].class == PCFG_OPT_SERVER || rules[i].class == PCFG_OPT_PRIVILEGED;

		if (fits && (rules[i].local || pcfg_option_in_libpq(rules[i].name)))
			candidates[n++] = rules[i].name;
	}
	for (i = 0; !mapping && i < PCFG_SETTING_COUNT; i++)
		candidates[n++] = pcfg_settings[i].name;
	return pcfg_nearest_name(name, candidates, n);
}
