/*-------------------------------------------------------------------------
 *
 * url/provider.c
 *	  Whose database a host name belongs to, and what suits that provider.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/provider.h"

#include <ctype.h>
#include <string.h>

#define HOST_MAX	256
#define SECOND		INT64_C(1000000)

/*
 * Neon: an idle connection dies when the compute is suspended after 300 s,
 * and waking it takes a while.  Aurora may have to wake up, too, but its name
 * does not tell.  Fly's proxies drain; RDS Proxy closes after 1800 s.
 */
static const PcfgProvider providers[PCFG_PROVIDER_COUNT] = {
	[PCFG_NEON] = {PCFG_NEON, "Neon", "require", 15, 240, 240, "10", PCFG_POOLER_AUTO, 97},
	[PCFG_NEON_POOLER] = {PCFG_NEON_POOLER, "Neon (pooler)", "require", 15, 240, 240, "10", PCFG_POOLER_TRANSACTION, 10000},
	[PCFG_RENDER_INTERNAL] = {PCFG_RENDER_INTERNAL, "Render (internal)", "prefer", 10, 600, 1800, "10", PCFG_POOLER_AUTO, 90},
	[PCFG_RENDER] = {PCFG_RENDER, "Render", "require", 10, 600, 1800, "10", PCFG_POOLER_AUTO, 90},
	[PCFG_RAILWAY_INTERNAL] = {PCFG_RAILWAY_INTERNAL, "Railway (private)", "prefer", 10, 300, 1800, "10", PCFG_POOLER_AUTO, 100},
	[PCFG_RAILWAY] = {PCFG_RAILWAY, "Railway", "require", 10, 300, 1800, "10", PCFG_POOLER_AUTO, 100},
	[PCFG_SUPABASE] = {PCFG_SUPABASE, "Supabase", "require", 10, 300, 1800, "10", PCFG_POOLER_AUTO, 60},
	[PCFG_SUPABASE_DEDICATED] = {PCFG_SUPABASE_DEDICATED, "Supabase (dedicated pooler)", "require", 10, 300, 1800, "10", PCFG_POOLER_TRANSACTION, 200},
	[PCFG_SUPAVISOR_SESSION] = {PCFG_SUPAVISOR_SESSION, "Supabase (session pooler)", "require", 10, 300, 1800, "10", PCFG_POOLER_SESSION, 200},
	[PCFG_SUPAVISOR] = {PCFG_SUPAVISOR, "Supabase (transaction pooler)", "require", 10, 300, 1800, "10", PCFG_POOLER_TRANSACTION, 200},
	[PCFG_HEROKU] = {PCFG_HEROKU, "Heroku", "require", 10, 300, 1800, "10", PCFG_POOLER_AUTO, 20},
	[PCFG_RDS] = {PCFG_RDS, "Amazon RDS", "require", 10, 600, 1800, "5", PCFG_POOLER_AUTO, 0},
	[PCFG_AURORA] = {PCFG_AURORA, "Amazon Aurora", "require", 10, 600, 1800, "5", PCFG_POOLER_AUTO, 0},
	[PCFG_RDS_PROXY] = {PCFG_RDS_PROXY, "Amazon RDS Proxy", "require", 10, 1500, 1700, "5", PCFG_POOLER_AUTO, 0},
	[PCFG_AZURE] = {PCFG_AZURE, "Azure", "require", 15, 300, 1800, "10", PCFG_POOLER_AUTO, 0},
	[PCFG_AZURE_POOLER] = {PCFG_AZURE_POOLER, "Azure (pooler)", "require", 15, 300, 1800, "10", PCFG_POOLER_TRANSACTION, 5000},
	[PCFG_FLY] = {PCFG_FLY, "Fly", "require", 10, 300, 600, "10", PCFG_POOLER_AUTO, 200}
};

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Does it end so, with something before? */
static bool
ends(const char *text, const char *with)
{
	size_t		len = strlen(text);
	size_t		n = strlen(with);

	return len > n && strcmp(text + len - n, with) == 0;
}

/* The first host of a list in lower case, without a dot at its end. */
static bool
copy_host(const char *list, char *host)
{
	size_t		len = strcspn(list, ",");
	size_t		i;

	if (len == 0 || len >= HOST_MAX || list[0] == '/')
		return false;
	for (i = 0; i < len; i++)
		host[i] = (char) tolower((unsigned char) list[i]);
	if (host[len - 1] == '.')
		len--;
	host[len] = '\0';
	return true;
}

static bool
first_port_is(const char *ports, const char *port)
{
	return ports != NULL && strncmp(ports, port, strlen(port)) == 0 &&
		(ports[strlen(port)] == '\0' || ports[strlen(port)] == ',');
}

static PcfgProviderId
amazon(const char *host)
{
	if (strstr(host, ".proxy-") != NULL)
		return PCFG_RDS_PROXY;
	return strstr(host, ".cluster-") != NULL ? PCFG_AURORA : PCFG_RDS;
}

static PcfgProviderId
recognize(const char *host, const char *port)
{
	const char *dot = strchr(host, '.');

	if ((begins(host, "ep-") && ends(host, ".neon.tech")) ||
		ends(host, ".postgres.vercel-storage.com"))
		return dot - host > 7 && strncmp(dot - 7, "-pooler", 7) == 0 ?
			PCFG_NEON_POOLER : PCFG_NEON;
	if (begins(host, "dpg-") && dot == NULL && ends(host, "-a"))
		return PCFG_RENDER_INTERNAL;
	if (begins(host, "dpg-") && ends(host, "-postgres.render.com"))
		return PCFG_RENDER;
	if (ends(host, ".railway.internal"))
		return PCFG_RAILWAY_INTERNAL;
	if (ends(host, ".proxy.rlwy.net"))
		return PCFG_RAILWAY;
	if (begins(host, "db.") && ends(host, ".supabase.co"))
		return first_port_is(port, "6543") ? PCFG_SUPABASE_DEDICATED : PCFG_SUPABASE;
	if (ends(host, ".pooler.supabase.com"))
		return first_port_is(port, "6543") ? PCFG_SUPAVISOR : PCFG_SUPAVISOR_SESSION;
	if (begins(host, "ec2-") && (ends(host, ".compute-1.amazonaws.com") ||
								 ends(host, ".compute.amazonaws.com")) &&
		(port == NULL || first_port_is(port, "5432")))
		return PCFG_HEROKU;
	if (ends(host, ".rds.amazonaws.com"))
		return amazon(host);
	if (ends(host, ".postgres.database.azure.com"))
		return first_port_is(port, "6432") || first_port_is(port, "8432") ?
			PCFG_AZURE_POOLER : PCFG_AZURE;
	if (ends(host, ".flympg.net"))
		return PCFG_FLY;
	return PCFG_PROVIDER_COUNT;
}

const PcfgProvider *
pcfg_provider_find(const char *host, const char *port)
{
	char		copy[HOST_MAX];
	PcfgProviderId id;

	if (host == NULL || !copy_host(host, copy))
		return NULL;
	id = recognize(copy, port);
	return id != PCFG_PROVIDER_COUNT ? &providers[id] : NULL;
}

bool
pcfg_provider_setting(const PcfgProvider *provider, PcfgSettingId id, int64_t *value)
{
	if (provider == NULL)
		return false;
	switch (id)
	{
		case PCFG_CONNECT_TIMEOUT:
			*value = provider->connect_timeout * SECOND;
			return true;
		case PCFG_IDLE_TIMEOUT:
			*value = provider->idle_timeout * SECOND;
			return true;
		case PCFG_POOL_RECYCLE:
			*value = provider->pool_recycle * SECOND;
			return true;
		case PCFG_POOLER:
			*value = provider->pooler;
			return provider->pooler != PCFG_POOLER_AUTO;
		default:
			return false;
	}
}

const char *
pcfg_provider_keyword(const PcfgProvider *provider, const char *keyword)
{
	if (provider == NULL)
		return NULL;
	if (strcmp(keyword, "sslmode") == 0)
		return provider->sslmode;
	if (strcmp(keyword, "keepalives_idle") == 0)
		return "30";
	if (strcmp(keyword, "keepalives_interval") == 0)
		return provider->keepalives_interval;
	if (strcmp(keyword, "keepalives_count") == 0)
		return "3";
	return NULL;
}

void
pcfg_provider_advise(const PcfgProvider *provider, const PcfgPolicy *policy, PcfgFindings *findings)
{
	int64_t		overflow = policy->value[PCFG_MAX_OVERFLOW];
	int64_t		recycle = policy->value[PCFG_POOL_RECYCLE];
	bool		neon = provider->id == PCFG_NEON || provider->id == PCFG_NEON_POOLER;

	if (provider->cap > 0 && (overflow < 0 || policy->value[PCFG_POOL_SIZE] + overflow > provider->cap))
		pcfg_finding_add(findings, PCFG_N_PROVIDER, "Look up what your plan allows.",
						 "pool_size and max_overflow together are more than the %d connections of the smallest plan of %s",
						 provider->cap, provider->name);
	if (neon && (recycle < 0 || recycle > provider->pool_recycle * SECOND))
		pcfg_finding_add(findings, PCFG_N_PROVIDER, "240 s or less is advised, for pool_recycle and idle_timeout.",
						 "a connection may get older than the 300 s without a query after which Neon ends it");
}
