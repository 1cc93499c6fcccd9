/*-------------------------------------------------------------------------
 *
 * url/provider.h
 *	  Whose database a host name belongs to, and what suits that provider.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 * Only advice and defaults come from here: whatever the user or
 * postgresql.conf says wins.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_PROVIDER_H
#define PCFG_PROVIDER_H

#include "shared/setting_table.h"
#include "url/findings.h"

typedef enum PcfgProviderId
{
	PCFG_NEON, PCFG_NEON_POOLER, PCFG_RENDER_INTERNAL, PCFG_RENDER,
	PCFG_RAILWAY_INTERNAL, PCFG_RAILWAY, PCFG_SUPABASE, PCFG_SUPABASE_DEDICATED,
	PCFG_SUPAVISOR_SESSION, PCFG_SUPAVISOR, PCFG_HEROKU, PCFG_RDS, PCFG_AURORA,
	PCFG_RDS_PROXY, PCFG_AZURE, PCFG_AZURE_POOLER, PCFG_FLY,
	PCFG_PROVIDER_COUNT
} PcfgProviderId;

typedef struct PcfgProvider
{
	PcfgProviderId id;
	const char *name;
	const char *sslmode;
	int			connect_timeout;	/* seconds */
	int			idle_timeout;	/* seconds */
	int			pool_recycle;	/* seconds */
	const char *keepalives_interval;	/* seconds; idle is 30, count 3 */
	enum PcfgPooler pooler;		/* auto = not known */
	int			cap;			/* connections of the smallest plan; 0 = not known */
} PcfgProvider;

/*
 * By host and port as libpq has them (lists: the first counts; port may be
 * NULL).  NULL when it is nobody's that is known.
 */
extern const PcfgProvider *pcfg_provider_find(const char *host, const char *port);

/* The provider's default of a setting; false when it has none of its own. */
extern bool pcfg_provider_setting(const PcfgProvider *provider, PcfgSettingId id, int64_t *value);

/*
 * Its default of a libpq keyword, or NULL.  Beyond sslmode these are the
 * keepalives, which suit links that are cut while idle.
 */
extern const char *pcfg_provider_keyword(const PcfgProvider *provider, const char *keyword);

/* What is to be said of settings that somebody gave; adds notices. */
extern void pcfg_provider_advise(const PcfgProvider *provider, const PcfgPolicy *policy,
								 PcfgFindings *findings);

#endif							/* PCFG_PROVIDER_H */
