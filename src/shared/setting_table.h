/*-------------------------------------------------------------------------
 *
 * shared/setting_table.h
 *	  Every setting of a target, as plain data: the one place from which
 *	  GUCs, server options, SQL arguments, view columns and documentation
 *	  are made or checked.
 *
 * Floor 0; any process; no server header, so that url/ and unit tests can
 * use it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SETTING_TABLE_H
#define PCFG_SETTING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum PcfgSettingId
{
	PCFG_POOL_SIZE,
	PCFG_MAX_OVERFLOW,
	PCFG_TARGET_LIMIT,
	PCFG_POOL_TIMEOUT,
	PCFG_POOL_RECYCLE,
	PCFG_POOL_PRE_PING,
	PCFG_PRE_PING_AFTER,
	PCFG_POOL_USE_LIFO,
	PCFG_POOL_RESET,
	PCFG_CONNECT_TIMEOUT,
	PCFG_CONNECT_DEADLINE,
	PCFG_COMMAND_TIMEOUT,
	PCFG_MIN_IDLE,
	PCFG_IDLE_TIMEOUT,
	PCFG_IDLE_LEASE_TIMEOUT,
	PCFG_INIT_SQL,
	PCFG_POOLER,
	PCFG_SETTING_COUNT
} PcfgSettingId;

typedef enum PcfgSettingKind
{
	PCFG_KIND_INT,
	PCFG_KIND_TIME,				/* written in seconds or with a unit, kept in
								 * microseconds */
	PCFG_KIND_BOOL,				/* 0, 1 */
	PCFG_KIND_ENUM,				/* index into labels */
	PCFG_KIND_TEXT
} PcfgSettingKind;

/* A time that is switched off or without limit. */
#define PCFG_NEVER		((int64_t) -1)

enum PcfgResetMode
{
	PCFG_RESET_AUTO, PCFG_RESET_ALWAYS, PCFG_RESET_ROLLBACK, PCFG_RESET_NONE
};

enum PcfgPooler
{
	PCFG_POOLER_AUTO, PCFG_POOLER_NONE, PCFG_POOLER_SESSION, PCFG_POOLER_TRANSACTION
};

typedef struct PcfgSetting
{
	PcfgSettingId id;
	const char *name;
	PcfgSettingKind kind;
	int64_t		fallback;		/* built-in default, in the unit of the kind */
	int64_t		min;			/* smallest ordinary value */
	int64_t		max;			/* largest */
	bool		minus_one;		/* -1 is legal besides min..max */
	bool		zero;			/* 0 is legal besides min..max */
	const char *special;		/* what the special values mean, or why 0 is
								 * refused; a sentence for hints; may be NULL */
	const char *const *labels;	/* of an enum, NULL at the end */
	bool		session;		/* any session may SET it, and then it wins */
	bool		argument;		/* has a named argument of its own in
								 * create_target */
	const char *description;	/* for pg_settings: one sentence */
} PcfgSetting;

extern const PcfgSetting pcfg_settings[PCFG_SETTING_COUNT];

/* The setting of that name (case-sensitive), or NULL. */
extern const PcfgSetting *pcfg_setting_find(const char *name);

/*
 * The name nearest to "name" among n candidates, or NULL when none is near
 * enough to be a slip of the keyboard (distance over a third of the length,
 * at least 1, at most 4).  Takes time linear in the candidates; names over
 * 63 bytes are near nothing.
 */
extern const char *pcfg_nearest_name(const char *name,
									 const char *const *candidates, int n);

/*
 * Reads a value of this setting as a user wrote it: '5min', '0.5', 'on',
 * 'auto'.  A bare number of a TIME is seconds; units us, ms, s, min, h, d.
 * Returns true and *value, or false and a static or "errbuf"-held sentence
 * in *why (no period, lower case) and hint in *hint (may be NULL).  TEXT
 * settings are never given to it.
 */
extern bool pcfg_setting_parse(const PcfgSetting *s, const char *text,
							   int64_t *value, char *errbuf, size_t errsize,
							   const char **why, const char **hint);

/*
 * Number times unit (in microseconds) as a value of a TIME; -1 is the
 * caller's affair.  False when it is negative, not a number, beyond max, or
 * so small that it would round to 0, which has a meaning of its own.
 */
extern bool pcfg_setting_from_units(const PcfgSetting *s, double number,
									int64_t unit, int64_t *value);

/* True when value is legal for the setting. */
extern bool pcfg_setting_in_range(const PcfgSetting *s, int64_t value);

/* Writes a value as a user would: '5min', '-1', 'on', 'auto'. */
extern void pcfg_setting_format(const PcfgSetting *s, int64_t value,
								char *buf, size_t size);

/* The effective values that a pool works by; TEXT settings are not in it. */
typedef struct PcfgPolicy
{
	int64_t		value[PCFG_SETTING_COUNT];
	uint32_t	own;			/* bit by setting: an option of the target says
								 * so, a changed postgresql.conf does not matter */
} PcfgPolicy;

#endif							/* PCFG_SETTING_TABLE_H */
