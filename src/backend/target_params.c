/*-------------------------------------------------------------------------
 *
 * backend/target_params.c
 *	  The final libpq keywords of a target, and the fingerprint of them.
 *
 * Floor 3; backends.  Promises that libpq, given these keywords, uses no
 * file, environment or credential of the account that runs the server unless
 * somebody trusted with them named it, and that remote values arrive in the forms that the
 * local input functions read.  Refuses to know catalogs, roles and caches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backend/target_params.h"

#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "url/option.h"
#include "url/provider.h"
#include "utils/builtins.h"

/* A file below something that is no directory exists on no machine. */
#define NO_FILE(what)	"/dev/null/" what "-not-set"

/* Last in "options", so that they win: reading text relies on them. */
#define FORCED_OPTIONS \
	"-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3"

/* More than are ever added to those of server and mapping. */
#define FORCED_MAX		24

static int
find(const PcfgParams *params, const char *keyword)
{
	int			i;

	for (i = 0; i < params->n; i++)
		if (strcmp(params->keywords[i], keyword) == 0)
			return i;
	return -1;
}

static const char *
get(const PcfgParams *params, const char *keyword)
{
	int			i = find(params, keyword);

	return i >= 0 ? params->values[i] : NULL;
}

static void
wipe_text(const char *text)
{
	explicit_bzero(unconstify(char *, text), strlen(text));
}

/* An empty value is libpq's default, which is not ours to give. */
static void
set(PcfgParams *params, const char *keyword, const char *value)
{
	int			i = find(params, keyword);
	char	   *copy;

	if (value[0] == '\0')
		return;
	copy = pstrdup(value);
	if (i >= 0)
	{
		wipe_text(params->values[i]);
		params->values[i] = copy;
		return;
	}
	if (params->n >= params->room)
		elog(ERROR, "too many connection keywords");
	params->keywords[params->n] = pstrdup(keyword);
	params->values[params->n] = copy;
	params->n++;
}

static void
set_default(PcfgParams *params, const char *keyword, const char *value)
{
	if (find(params, keyword) < 0 && pcfg_option_in_libpq(keyword))
		set(params, keyword, value);
}

static void
refuse_option(const PcfgParamsSource *source, const char *name, const char *where)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("option \"%s\" cannot be used on the %s of target \"%s\"",
					name, where, source->target)));
}

static void
refuse_unsupported(const PcfgParamsSource *source, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("option \"%s\" of target \"%s\" is not known to the installed libpq",
					name, source->target),
			 errhint("Install a newer libpq, or drop the option.")));
}

static void
refuse_unprivileged(const PcfgParamsSource *source, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("option \"%s\" of target \"%s\" needs a superuser",
					name, source->target),
			 errdetail("It names a file, a facility or a credential of the operating system, which is used only if the server is owned by a superuser or a member of pg_read_server_files.")));
}

static void
take_server_option(PcfgParams *params, const PcfgParamsSource *source, DefElem *option)
{
	const char *name = option->defname;
	const char *value = defGetString(option);
	bool		harmless = value[0] == '\0' || pcfg_option_value_is_harmless(name, value);

	if (!source->foreign_wrapper && pcfg_setting_find(name) != NULL)
		return;
	switch (pcfg_option_classify(name, source->foreign_wrapper))
	{
		case PCFG_OPT_SERVER:
			set(params, name, value);
			return;
		case PCFG_OPT_PRIVILEGED:
			if (!harmless && !source->owner_is_trusted)
				refuse_unprivileged(source, name);
			set(params, name, value);
			return;
		case PCFG_OPT_IGNORED:
			return;
		case PCFG_OPT_REFUSED:
			if (harmless)
				return;
			break;
		case PCFG_OPT_UNSUPPORTED:
			refuse_unsupported(source, name);
			break;
		case PCFG_OPT_MAPPING:
		case PCFG_OPT_UNKNOWN:
			break;
	}
	refuse_option(source, name, "server");
}

/*
 * That sslcert, sslkey, password_file and password_required were put on a
 * mapping by somebody who may is the promise of the wrappers' validators.
 */
static void
take_mapping_option(PcfgParams *params, const PcfgParamsSource *source, DefElem *option)
{
	const char *name = option->defname;

	if (strcmp(name, "password_required") == 0)
	{
		params->password_required = defGetBoolean(option);
		return;
	}
	switch (pcfg_option_classify(name, source->foreign_wrapper))
	{
		case PCFG_OPT_MAPPING:
			set(params, name, defGetString(option));
			return;
		case PCFG_OPT_PRIVILEGED:
			if (!pcfg_option_fits_mapping(name))
				break;
			set(params, name, defGetString(option));
			return;
		case PCFG_OPT_IGNORED:
			return;
		case PCFG_OPT_UNSUPPORTED:
			refuse_unsupported(source, name);
			break;
		case PCFG_OPT_REFUSED:
		case PCFG_OPT_SERVER:
		case PCFG_OPT_UNKNOWN:
			break;
	}
	refuse_option(source, name, "user mapping");
}

/*
 * Something must be named, each element of a list too: libpq would go to a
 * local socket for an empty one.
 */
static void
require_host(PcfgParams *params, const PcfgParamsSource *source)
{
	const char *host = get(params, "host");
	const char *p;

	if (host == NULL)
	{
		host = get(params, "hostaddr");
		if (host == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
					 errmsg("target \"%s\" names no host", source->target),
					 errhint("Set one with ALTER SERVER ... OPTIONS (ADD host '...') or with pool_config.alter_target().")));
		set(params, "host", host);
		host = get(params, "host");
	}
	for (p = host; *p != '\0'; p++)
	{
		if (*p == ',' && (p == host || p[1] == ',' || p[1] == '\0'))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("an element of the host list of target \"%s\" is empty",
							source->target)));
	}
}

/*
 * A backslash at the end would quote the blank before our options: the
 * server ignores it there, so it is left out.
 */
static void
force_options(PcfgParams *params)
{
	const char *given = get(params, "options");
	int			len;
	int			backslashes = 0;
	char	   *joined;

	if (given == NULL)
	{
		set(params, "options", FORCED_OPTIONS);
		return;
	}
	len = strlen(given);
	while (backslashes < len && given[len - 1 - backslashes] == '\\')
		backslashes++;
	joined = psprintf("%.*s %s", len - backslashes % 2, given, FORCED_OPTIONS);
	set(params, "options", joined);
	pfree(joined);
}

/* What libpq would otherwise take from the account that runs the server. */
static void
force_isolation(PcfgParams *params)
{
	set_default(params, "passfile", NO_FILE("passfile"));
	if (pcfg_option_in_libpq("gssencmode"))
		set(params, "gssencmode", "disable");
	if (find(params, "krbsrvname") < 0 && find(params, "gsslib") < 0 &&
		find(params, "gssdelegation") < 0)
		set_default(params, "require_auth", "!gss,!sspi");
	set_default(params, "sslcert", NO_FILE("sslcert"));
	set_default(params, "sslkey", NO_FILE("sslkey"));
	set_default(params, "sslrootcert", NO_FILE("sslrootcert"));
	/* with a directory given, a missing file would switch both off */
	if (find(params, "sslcrldir") < 0)
		set_default(params, "sslcrl", NO_FILE("sslcrl"));
}

/* What suits the provider whose host it is, where nothing is said. */
static void
set_provider_defaults(PcfgParams *params)
{
	static const char *const keywords[] = {
		"sslmode", "keepalives_idle", "keepalives_interval", "keepalives_count"
	};
	const PcfgProvider *provider = pcfg_provider_find(get(params, "host"), get(params, "port"));
	int			i;

	for (i = 0; provider != NULL && i < lengthof(keywords); i++)
	{
		const char *value = pcfg_provider_keyword(provider, keywords[i]);

		if (value != NULL)
			set_default(params, keywords[i], value);
	}
}

/*
 * Fills in what the remote's administrator wants to know of a session's
 * origin: %d the local database, %u the local role of the mapping, %t the
 * target, %p the process id of the local server.  Not of the session that
 * uses it: sessions change, the connection stays.
 */
static void
expand_application_name(PcfgParams *params, const PcfgParamsSource *source)
{
	const char *pattern = get(params, "application_name");
	StringInfoData name;
	const char *p;

	if (pattern == NULL || strchr(pattern, '%') == NULL)
		return;
	initStringInfo(&name);
	for (p = pattern; *p != '\0'; p++)
	{
		if (p[0] != '%')
			appendStringInfoChar(&name, *p);
		else if (p[1] == 'd')
			appendStringInfoString(&name, source->database);
		else if (p[1] == 'u')
			appendStringInfoString(&name, source->mapping_name);
		else if (p[1] == 't')
			appendStringInfoString(&name, source->target);
		else if (p[1] == 'p')
			appendStringInfo(&name, "%d", (int) PostmasterPid);
		else if (p[1] == '%')
			appendStringInfoChar(&name, '%');
		else
		{
			appendStringInfoChar(&name, '%');
			continue;
		}
		if (p[0] == '%')
			p++;
	}
	set(params, "application_name", name.data);
	pfree(name.data);
}

void
pcfg_params_build(PcfgParams *params, const PcfgParamsSource *source)
{
	ListCell   *lc;

	params->n = 0;
	params->password_given = false;
	params->password_required = true;
	params->room = list_length(source->server_options) +
		list_length(source->mapping_options) + FORCED_MAX;
	params->keywords = palloc0(params->room * sizeof(char *));
	params->values = palloc0(params->room * sizeof(char *));

	foreach(lc, source->server_options)
		take_server_option(params, source, lfirst(lc));
	foreach(lc, source->mapping_options)
		take_mapping_option(params, source, lfirst(lc));
	/* the worker puts what the file says in its place */
	params->password_given = get(params, "password") != NULL ||
		get(params, "password_file") != NULL;

	require_host(params, source);
	set_provider_defaults(params);
	/* libpq would take the name of the operating system's user */
	set_default(params, "user", source->role_name);
	set_default(params, "dbname", get(params, "user"));
	force_isolation(params);
	set(params, "client_encoding", GetDatabaseEncodingName());
	/*
	 * A pooler would refuse them or give them to others; the worker asks for
	 * the style of dates in another way, and looks at what it got.
	 */
	if (!source->pooled)
		force_options(params);
	if (get(params, "fallback_application_name") == NULL)
		set_default(params, "application_name", "pool_config");
	expand_application_name(params, source);
	set_default(params, "keepalives_idle", "60");
	set_default(params, "keepalives_interval", "10");
	set_default(params, "keepalives_count", "3");
	set_default(params, "tcp_user_timeout", "30000");
}

void
pcfg_params_wipe(PcfgParams *params)
{
	int			i;

	for (i = 0; i < params->n; i++)
		wipe_text(params->values[i]);
	params->n = 0;
}

/* Each piece with its length: no two lists give the same bytes. */
static bool
digest_piece(pg_hmac_ctx *ctx, const void *data, uint32 len)
{
	return pg_hmac_update(ctx, (const uint8 *) &len, sizeof(len)) == 0 &&
		pg_hmac_update(ctx, data, len) == 0;
}

static bool
digest_text(pg_hmac_ctx *ctx, const char *text)
{
	return digest_piece(ctx, text, strlen(text));
}

/* A context under this server start's key; errors instead of NULL. */
static pg_hmac_ctx *
begin_digest(void)
{
	pg_hmac_ctx *ctx;

	StaticAssertStmt(PCFG_FINGERPRINT_LEN == PG_SHA256_DIGEST_LENGTH,
					 "a fingerprint is a SHA-256 digest");
	pcfg_require_preload();
	ctx = pg_hmac_create(PG_SHA256);
	if (ctx == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return ctx;
}

static void
end_digest(pg_hmac_ctx *ctx, bool done, unsigned char *digest)
{
	done = done && pg_hmac_final(ctx, digest, PG_SHA256_DIGEST_LENGTH) == 0;
	pg_hmac_free(ctx);
	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 digest of connection options")));
}

static bool
digest_all(pg_hmac_ctx *ctx, const PcfgParams *params, const char *init_sql,
		   Oid server, Oid mapping)
{
	int			i;

	if (pg_hmac_init(ctx, pcfg_shared->hmac_key, sizeof(pcfg_shared->hmac_key)) != 0 ||
		!digest_piece(ctx, &server, sizeof(server)) ||
		!digest_piece(ctx, &mapping, sizeof(mapping)) ||
		!digest_text(ctx, init_sql))
		return false;
	for (i = 0; i < params->n; i++)
		if (!digest_text(ctx, params->keywords[i]) || !digest_text(ctx, params->values[i]))
			return false;
	return true;
}

void
pcfg_params_fingerprint(const PcfgParams *params, const char *init_sql,
						Oid server, Oid mapping, unsigned char *digest)
{
	pg_hmac_ctx *ctx = begin_digest();

	end_digest(ctx, digest_all(ctx, params, init_sql != NULL ? init_sql : "",
							   server, mapping), digest);
}

void
pcfg_params_address_id(const PcfgParams *params, const char *target, unsigned char *id)
{
	static const char *const keywords[] = {"host", "hostaddr", "port", "dbname"};
	unsigned char digest[PCFG_FINGERPRINT_LEN];
	pg_hmac_ctx *ctx = begin_digest();
	bool		done;
	int			i;

	done = pg_hmac_init(ctx, pcfg_shared->hmac_key, sizeof(pcfg_shared->hmac_key)) == 0 &&
		digest_text(ctx, target);
	for (i = 0; i < lengthof(keywords) && done; i++)
	{
		const char *value = get(params, keywords[i]);

		done = digest_text(ctx, value != NULL ? value : "");
	}
	end_digest(ctx, done, digest);
	memcpy(id, digest, PCFG_ADDRESS_ID_LEN);
}
