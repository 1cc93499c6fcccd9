/*-------------------------------------------------------------------------
 *
 * url/parameter.c
 *	  Names of connection parameters, with each driver, and texts that nobody
 *	  means.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/parameter.h"

#include <string.h>

#include "shared/setting_table.h"
#include "url/option.h"

#define FAMILY		(PCFG_LIBPQ | PCFG_PSYCOPG2 | PCFG_PSYCOPG)
#define BOTH_ASYNCPG	(PCFG_ASYNCPG | PCFG_ASYNCPG_DSN)
#define ALL			(FAMILY | BOTH_ASYNCPG)

#define LEAVE_OUT	"It tunes a driver and has no meaning here; leave it out."
#define AN_OBJECT	"It is an object of the client's language and has no meaning here; leave it out."
#define ENGINE		"It is an option of the pool, not of the address: give it to create_target() as an argument or in settings."
#define BY_OPTIONS	"Give options=-c name=value, percent-encoded."
#define SAY_SSL		"Say it with sslmode, sslrootcert, sslcert and sslkey."
#define NO_LOCAL	"The local end of a connection cannot be chosen; leave it out."
#define BARE_FORM	"asyncpg takes it in an address of its own only: write postgresql:// without +asyncpg."
#define HAS_NONE	"asyncpg has no such parameter: leave it out, or write postgresql:// without +asyncpg."

typedef struct Parameter
{
	const char *name;
	int			right;			/* vocabularies in which it is right */
	PcfgAction	action;			/* what then becomes of it */
	const char *as;				/* under which name; NULL = its own */
	PcfgKind	kind;			/* elsewhere */
	const char *hint;			/* elsewhere: to users of libpq and psycopg */
	const char *asyncpg_hint;	/* to those of asyncpg; NULL = the same */
} Parameter;

static const Parameter parameters[] = {
	/* time limits */
	{"connect_timeout", FAMILY, PCFG_TAKE_SECONDS, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg calls it timeout."},
	{"timeout", BOTH_ASYNCPG, PCFG_TAKE_TOTAL, NULL, PCFG_E_DRIVER,
	"That is asyncpg's name; libpq and psycopg call it connect_timeout."},
	{"command_timeout", BOTH_ASYNCPG, PCFG_TAKE_SECONDS, NULL, PCFG_E_DRIVER,
	"Give command_timeout to create_target() in settings, or options=-c statement_timeout=..., percent-encoded."},
	{"connectTimeout", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; libpq and psycopg call it connect_timeout.",
	"That is JDBC's name; asyncpg calls it timeout."},
	{"loginTimeout", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; libpq and psycopg call it connect_timeout.",
	"That is JDBC's name; asyncpg calls it timeout."},
	{"socketTimeout", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; give command_timeout to create_target() in settings."},
	{"queryTimeout", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; give command_timeout to create_target() in settings."},

	/* encryption */
	{"sslmode", FAMILY | PCFG_ASYNCPG_DSN, PCFG_TAKE, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg calls it ssl: write ssl=require in place of sslmode=require."},
	{"ssl", PCFG_ASYNCPG, PCFG_TAKE_SSL, NULL, PCFG_E_DRIVER,
	"Write sslmode=require to encrypt, or sslmode=verify-full to encrypt and check.",
	"In an address of its own asyncpg calls it sslmode: write sslmode=require."},
	{"requiressl", PCFG_LIBPQ, PCFG_TAKE_REQUIRESSL, NULL, PCFG_E_DRIVER,
	"Write sslmode=require."},
	{"direct_tls", PCFG_ASYNCPG, PCFG_TAKE_DIRECT_TLS, NULL, PCFG_E_DRIVER,
	"That is asyncpg's name; libpq's is sslnegotiation=direct."},
	{"channel_binding", FAMILY, PCFG_TAKE, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg has none: remove it, or write postgresql:// without +asyncpg."},
	{"ssl_context", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, SAY_SSL, "Say it with ssl=require or ssl=verify-full."},
	{"sslfactory", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, SAY_SSL},
	{"socketFactory", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, SAY_SSL},
	{"sslNegotiation", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; libpq's is sslnegotiation."},
	{"channelBinding", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; libpq's is channel_binding."},
	{"sslcompression", FAMILY, PCFG_IGNORE, NULL, PCFG_E_DRIVER, NULL, LEAVE_OUT},

	/* who, where to, and what for */
	{"database", PCFG_PSYCOPG2 | BOTH_ASYNCPG, PCFG_TAKE, "dbname", PCFG_E_DRIVER,
	"libpq and psycopg call it dbname, and it belongs behind the host: ...@host/name."},
	{"dbname", FAMILY | PCFG_ASYNCPG_DSN, PCFG_TAKE, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg calls it database."},
	{"hostaddr", FAMILY, PCFG_TAKE, NULL, PCFG_E_DRIVER, NULL, HAS_NONE},
	{"application_name", FAMILY | PCFG_ASYNCPG_DSN, PCFG_TAKE, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg takes it in server_settings: connect_args => '{\"server_settings\": {\"application_name\": \"...\"}}'."},
	{"options", FAMILY | PCFG_ASYNCPG_DSN, PCFG_TAKE_OPTIONS, NULL, PCFG_E_DRIVER, NULL,
	"asyncpg takes server_settings: connect_args => '{\"server_settings\": {\"name\": \"value\"}}'."},
	{"server_settings", PCFG_ASYNCPG, PCFG_TAKE_SERVER_SETTINGS, NULL, PCFG_E_DRIVER, BY_OPTIONS,
	"In an address asyncpg takes each of them by its own name; server_settings belongs into connect_args."},
	{"unix_sock", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is pg8000's name; write ?host=/directory and the port."},
	{"ApplicationName", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; libpq's is application_name."},
	{"currentSchema", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "Give options=-c search_path=..., percent-encoded.",
	"asyncpg takes server_settings: {\"search_path\": \"...\"}."},
	{"readOnly", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"Give options=-c default_transaction_read_only=on, percent-encoded."},
	{"targetServerType", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"That is JDBC's name; libpq's is target_session_attrs: primary, standby, prefer-standby."},
	{"loadBalanceHosts", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; libpq's is load_balance_hosts."},
	{"gssEncMode", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; leave it out."},
	{"kerberosServerName", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; libpq's is krbsrvname."},
	{"tcpKeepAlive", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is JDBC's name; libpq's is keepalives."},
	{"tcp_keepalive", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "That is pg8000's name; libpq's is keepalives."},
	{"startup_params", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, BY_OPTIONS},
	{"localSocketAddress", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, NO_LOCAL},
	{"source_address", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, NO_LOCAL},

	/* what asyncpg's address takes as settings of the server, by name */
	{"search_path", PCFG_ASYNCPG_DSN, PCFG_TAKE_SERVER_SETTING, NULL, PCFG_E_DRIVER, "Give options=-c search_path=..., percent-encoded.",
	"asyncpg takes server_settings: {\"search_path\": \"...\"}."},
	{"statement_timeout", PCFG_ASYNCPG_DSN, PCFG_TAKE_SERVER_SETTING, NULL, PCFG_E_DRIVER, BY_OPTIONS,
	"asyncpg takes server_settings: {\"statement_timeout\": \"...\"}."},
	{"lock_timeout", PCFG_ASYNCPG_DSN, PCFG_TAKE_SERVER_SETTING, NULL, PCFG_E_DRIVER, BY_OPTIONS,
	"asyncpg takes server_settings: {\"lock_timeout\": \"...\"}."},
	{"jit", PCFG_ASYNCPG_DSN, PCFG_TAKE_SERVER_SETTING, NULL, PCFG_E_DRIVER, BY_OPTIONS,
	"asyncpg takes server_settings: {\"jit\": \"off\"}."},
	{"timezone", PCFG_ASYNCPG_DSN, PCFG_TAKE_SERVER_SETTING, NULL, PCFG_E_DRIVER, BY_OPTIONS,
	"asyncpg takes server_settings: {\"timezone\": \"...\"}."},

	/* what tunes a client */
	{"statement_cache_size", BOTH_ASYNCPG, PCFG_IGNORE_COUNT, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"prepared_statement_cache_size", PCFG_ASYNCPG, PCFG_IGNORE_COUNT, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"max_cached_statement_lifetime", BOTH_ASYNCPG, PCFG_IGNORE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"max_cacheable_statement_size", BOTH_ASYNCPG, PCFG_IGNORE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"async_fallback", PCFG_ASYNCPG, PCFG_IGNORE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"prepare_threshold", PCFG_PSYCOPG, PCFG_IGNORE_COUNT, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"autocommit", PCFG_PSYCOPG, PCFG_TAKE_AUTOCOMMIT, NULL, PCFG_E_DRIVER,
	"Each call is a transaction of its own; leave it out."},
	{"plugin", PCFG_PSYCOPG2 | PCFG_PSYCOPG | PCFG_ASYNCPG, PCFG_IGNORE, NULL, PCFG_E_DRIVER,
	"SQLAlchemy takes it for itself; leave it out."},
	{"prepared_statement_name_func", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER,
	"It is not needed: the pool gives its statements no names."},
	{"async_creator_fn", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"loop", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"connection_class", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"record_class", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"cursor_factory", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"row_factory", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"connection_factory", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"context", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"async", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"async_", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, AN_OBJECT},
	{"prepareThreshold", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"preparedStatementCacheQueries", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"preparedStatementCacheSizeMiB", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"preferQueryMode", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"defaultRowFetchSize", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"reWriteBatchedInserts", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"binaryTransfer", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"stringtype", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"autosave", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"hostRecheckSeconds", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"cancelSignalTimeout", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},

	/* what a pool never takes */
	{"replication", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, "A pool runs statements; leave it out."},
	{"client_encoding", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED,
	"The encoding is always that of the local database; leave it out."},
	{"fallback_application_name", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, "Give application_name."},
	{"dsn", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, "There is one address: the first argument."},
	{"conninfo", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, "There is one address: the first argument."},
	{"password_file", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED,
	"It is an option of the user mapping: ALTER USER MAPPING ... OPTIONS (ADD password_file '...')."},
	{"password_required", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED,
	"It is an option of the user mapping: ALTER USER MAPPING ... OPTIONS (ADD password_required '...')."},
	{"sslkeylogfile", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, NULL},
	{"oauth_issuer", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, NULL},
	{"oauth_client_id", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, NULL},
	{"oauth_client_secret", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, NULL},
	{"oauth_scope", 0, PCFG_REFUSE, NULL, PCFG_E_REFUSED, NULL},

	/* what other clients put into a DATABASE_URL */
	{"pgbouncer", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"Prisma's flag: leave it out, and say what stands in front of the database with settings => '{\"pooler\": \"transaction\"}'."},
	{"schema", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"Prisma's name: give options=-c search_path=..., percent-encoded."},
	{"connection_limit", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"Prisma's name: give pool_size and max_overflow to create_target()."},
	{"socket_timeout", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"Prisma's name: give command_timeout to create_target() in settings."},
	{"default_query_exec_mode", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN, "pgx's name: leave it out."},
	{"pool_max_conns", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"pgx's name: give pool_size and max_overflow to create_target()."},
	{"pool_min_conns", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"pgx's name: give min_idle to create_target() in settings."},
	{"pool_max_conn_lifetime", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"pgx's name: give pool_recycle to create_target()."},
	{"pool_max_conn_idle_time", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"pgx's name: give idle_timeout to create_target() in settings."},
	{"sslaccept", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN,
	"Prisma's name: write sslmode=require to encrypt, or sslmode=verify-full to encrypt and check."},
	{"prepared_statements", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN, "Rails' name: leave it out."},
	{"pool", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN, "Rails' name: give pool_size to create_target()."},
	{"uselibpqcompat", 0, PCFG_REFUSE, NULL, PCFG_E_UNKNOWN, "node-postgres' name: leave it out; sslmode means what libpq says."},

	/* options of SQLAlchemy's engine that are no settings here */
	{"pool_reset_on_return", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, ENGINE},
	{"poolclass", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, ENGINE},
	{"isolation_level", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, ENGINE},
	{"pool_logging_name", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, ENGINE},
	{"echo_pool", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, ENGINE},
	{"echo", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, LEAVE_OUT},
	{"connect_args", 0, PCFG_REFUSE, NULL, PCFG_E_DRIVER, "It is an argument of create_target()."}
};

#define NPARAMETERS	((int) (sizeof(parameters) / sizeof(parameters[0])))

/* libpq's keywords that asyncpg has, too: everywhere, or in its address only. */
static const char *const asyncpg_names[] = {
	"host", "port", "user", "password", "passfile", "target_session_attrs",
	"krbsrvname", "gsslib", "service", "servicefile"
};
static const char *const asyncpg_dsn_names[] = {
	"sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword",
	"ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation"
};

static bool
is_one_of(const char *name, const char *const *names, size_t n)
{
	size_t		i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof(names[0]))

static const Parameter *
find(const char *name)
{
	int			i;

	for (i = 0; i < NPARAMETERS; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return &parameters[i];
	return NULL;
}

/* A keyword of libpq that is in no list above. */
static PcfgVerdict
judge_keyword(const char *name, PcfgVocabulary vocabulary)
{
	PcfgVerdict verdict = {PCFG_TAKE, name, PCFG_E_DRIVER, NULL, true};

	if ((vocabulary & FAMILY) != 0 || IS_ONE_OF(name, asyncpg_names))
		return verdict;
	if (IS_ONE_OF(name, asyncpg_dsn_names))
	{
		if (vocabulary == PCFG_ASYNCPG_DSN)
			return verdict;
		verdict.hint = BARE_FORM;
	}
	else
		verdict.hint = HAS_NONE;
	verdict.action = PCFG_REFUSE;
	return verdict;
}

PcfgVerdict
pcfg_parameter_judge(const char *name, PcfgVocabulary vocabulary)
{
	const Parameter *p = find(name);
	PcfgVerdict verdict = {PCFG_REFUSE, name, PCFG_E_UNKNOWN, NULL, false};

	if (p != NULL)
	{
		verdict.known = true;
		verdict.kind = p->kind;
		if (p->as != NULL)
			verdict.as = p->as;
		if ((p->right & vocabulary) != 0)
			verdict.action = p->action;
		else
			verdict.hint = (vocabulary & BOTH_ASYNCPG) != 0 && p->asyncpg_hint != NULL ?
				p->asyncpg_hint : p->hint;
		return verdict;
	}
	if (pcfg_option_classify(name, false) != PCFG_OPT_UNKNOWN)
		return judge_keyword(name, vocabulary);
	if (pcfg_setting_find(name) != NULL)
	{
		verdict.known = true;
		verdict.kind = PCFG_E_DRIVER;
		verdict.hint = ENGINE;
	}
	return verdict;
}

const char *
pcfg_parameter_nearest(const char *name, PcfgVocabulary vocabulary)
{
	const char *candidates[NPARAMETERS + 1];
	const char *nearest;
	int			n = 0;
	int			i;

	/* what is right comes first, then what would be wrong for another reason */
	for (i = 0; i < NPARAMETERS; i++)
		if ((parameters[i].right & vocabulary) != 0)
			candidates[n++] = parameters[i].name;
	nearest = pcfg_nearest_name(name, candidates, n);
	if (nearest == NULL && (vocabulary & PCFG_ASYNCPG) == 0)
		nearest = pcfg_option_nearest(name, false);
	if (nearest == NULL && (vocabulary & PCFG_ASYNCPG) == 0)
		nearest = pcfg_option_nearest(name, true);
	if (nearest == NULL)
		nearest = pcfg_nearest_name(name, asyncpg_names,
									sizeof(asyncpg_names) / sizeof(asyncpg_names[0]));
	return nearest;
}

bool
pcfg_parameter_is_placeholder(const char *text)
{
	size_t		len = strlen(text);

	if (len < 3)
		return false;
	if (strspn(text, "*") == len || (len > 3 && strspn(text, "xX") == len))
		return true;
	return (text[0] == '[' && text[len - 1] == ']') ||
		(text[0] == '<' && text[len - 1] == '>') ||
		(text[0] == '$' && text[1] == '{' && text[len - 1] == '}');
}

/* Length of the UTF-8 character at p, 0 if there is none. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t		n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 :
		p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	size_t		i;

	for (i = 1; i < n; i++)
	{
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	/* overlong forms, surrogates and what lies beyond Unicode */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

bool
pcfg_parameter_is_sound(const char *text)
{
	const unsigned char *p = (const unsigned char *) text;

	while (*p != '\0')
	{
		size_t		n = utf8_length(p);

		if (n == 0 || *p < ' ' || *p == 0x7f)
			return false;
		p += n;
	}
	return true;
}
