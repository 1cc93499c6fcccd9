/*-------------------------------------------------------------------------
 *
 * backend/target_options.c
 *	  Which connection options a target may carry, and on whose authority.
 *
 * Floor 1; backends; no server header.  Promises that no option passes that
 * was not judged here.  Refuses to know catalogs, roles and where the
 * options stand.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/target_options.h"

#include <stddef.h>
#include <string.h>

#include "libpq-fe.h"
#include "shared/setting_table.h"

typedef struct OptionRule
{
	const char *name;
	PcfgOptionClass class;
	bool		local;			/* of ours: libpq does not know it */
} OptionRule;

static const OptionRule rules[] = {
	/* where to, and how to speak to it */
	{"host", PCFG_OPT_SERVER},
	{"hostaddr", PCFG_OPT_SERVER},
	{"port", PCFG_OPT_SERVER},
	{"dbname", PCFG_OPT_SERVER},
	{"target_session_attrs", PCFG_OPT_SERVER},
	{"load_balance_hosts", PCFG_OPT_SERVER},
	{"application_name", PCFG_OPT_SERVER},
	{"fallback_application_name", PCFG_OPT_SERVER},
	{"options", PCFG_OPT_SERVER},
	{"keepalives", PCFG_OPT_SERVER},
	{"keepalives_idle", PCFG_OPT_SERVER},
	{"keepalives_interval", PCFG_OPT_SERVER},
	{"keepalives_count", PCFG_OPT_SERVER},
	{"tcp_user_timeout", PCFG_OPT_SERVER},

	/* protection that names no file */
	{"sslmode", PCFG_OPT_SERVER},
	{"sslnegotiation", PCFG_OPT_SERVER},
	{"sslcompression", PCFG_OPT_SERVER},
	{"sslsni", PCFG_OPT_SERVER},
	{"sslcertmode", PCFG_OPT_SERVER},
	{"ssl_min_protocol_version", PCFG_OPT_SERVER},
	{"ssl_max_protocol_version", PCFG_OPT_SERVER},
	{"channel_binding", PCFG_OPT_SERVER},
	{"require_auth", PCFG_OPT_SERVER},

	/* who */
	{"user", PCFG_OPT_MAPPING},
	{"password", PCFG_OPT_MAPPING},
	{"sslpassword", PCFG_OPT_MAPPING},
	{"password_required", PCFG_OPT_MAPPING, .local = true},

	/* read by the account that runs the server */
	{"sslcert", PCFG_OPT_PRIVILEGED},
	{"sslkey", PCFG_OPT_PRIVILEGED},
	{"sslrootcert", PCFG_OPT_PRIVILEGED},
	{"sslcrl", PCFG_OPT_PRIVILEGED},
	{"sslcrldir", PCFG_OPT_PRIVILEGED},
	{"requirepeer", PCFG_OPT_PRIVILEGED},

	/* credentials of that account, files it would write, other protocols */
	{"service", PCFG_OPT_REFUSED},
	{"servicefile", PCFG_OPT_REFUSED},
	{"passfile", PCFG_OPT_REFUSED},
	{"gssencmode", PCFG_OPT_REFUSED},
	{"gsslib", PCFG_OPT_REFUSED},
	{"gssdelegation", PCFG_OPT_REFUSED},
	{"krbsrvname", PCFG_OPT_REFUSED},
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
	if (rule->class == PCFG_OPT_REFUSED || rule->local ||
		pcfg_option_in_libpq(name))
		return rule->class;
	return PCFG_OPT_UNSUPPORTED;
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
		return strcmp(value, "system") == 0 && PQlibVersion() >= 160000;
	return false;
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
