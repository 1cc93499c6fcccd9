/*-------------------------------------------------------------------------
 *
 * shared/settings.h
 *	  GUCs made from the table of settings, and the effective policy.
 *
 * Floor 1; worker and backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SETTINGS_H
#define PCFG_SETTINGS_H

#include "shared/setting_table.h"

/* Server-wide, fixed at start. */
extern int	pcfg_max_connections;
extern int	pcfg_max_pools;

/* Level (elevel) of the log of connects and closes; 0 = off.  A reload is enough. */
extern int	pcfg_log_connections;

/*
 * From _PG_init: defines pool_config.* from the table, and, when the server
 * preloads us, the three server-wide ones (max_connections, max_pools,
 * workers).  Reserves the prefix.
 */
extern void pcfg_settings_define(bool preloading);

/*
 * The value of postgresql.conf (or SET, or the built-in default) for a
 * setting; times in microseconds.  For TEXT use pcfg_settings_text.
 */
extern int64 pcfg_settings_value(PcfgSettingId id);
extern const char *pcfg_settings_text(PcfgSettingId id);

/* All of them, none an option of a target. */
extern void pcfg_settings_defaults(PcfgPolicy *policy);

/* True when the present value was SET in this session, and so wins. */
extern bool pcfg_settings_is_session(PcfgSettingId id);

/* True when it is not the built-in default. */
extern bool pcfg_settings_is_configured(PcfgSettingId id);

/* Rises whenever one of our GUCs is assigned: caches compare it. */
extern uint64 pcfg_settings_version;

#endif							/* PCFG_SETTINGS_H */
