/*-------------------------------------------------------------------------
 *
 * shared/settings.c
 *	  GUCs made from the table of settings.
 *
 * Floor 1; worker and backends.  Promises that each GUC has exactly the
 * range, default and special values of the table.  Refuses to know targets:
 * whether an option of a target wins is not decided here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/settings.h"

#include "shared/compat.h"
#include "utils/guc.h"

#define PREFIX				"pool_config"
#define MAX_LABELS			8
#define MAX_CONNECTIONS_MAX	100000
#define MAX_POOLS_MAX		10000
#define WORKERS_MAX			1
#define USECS_PER_SECOND	INT64CONST(1000000)

int			pcfg_max_connections = 100;
int			pcfg_max_pools = 64;
int			pcfg_log_connections = DEBUG1;
uint64		pcfg_settings_version = 1;

static const struct config_enum_entry log_levels[] = {
	{"off", 0, false},
	{"debug5", DEBUG5, false},
	{"debug4", DEBUG4, false},
	{"debug3", DEBUG3, false},
	{"debug2", DEBUG2, false},
	{"debug1", DEBUG1, false},
	{"log", LOG, false},
	{NULL, 0, false}
};

static int	workers = 1;

/* What the GUC machinery writes to; one of each is used by each setting. */
static int	int_values[PCFG_SETTING_COUNT];
static double time_values[PCFG_SETTING_COUNT];	/* seconds */
static bool bool_values[PCFG_SETTING_COUNT];
static char *text_values[PCFG_SETTING_COUNT];

/* The server keeps pointers to these. */
static struct config_enum_entry enum_entries[PCFG_SETTING_COUNT][MAX_LABELS + 1];
static const struct config_generic *records[PCFG_SETTING_COUNT];

/* Seconds of a GUC as a value of the table; false when it is none. */
static bool
seconds_to_value(const PcfgSetting *s, double seconds, int64 *value)
{
	if (seconds == -1)
	{
		*value = PCFG_NEVER;
		return true;
	}
	return pcfg_setting_from_units(s, seconds, USECS_PER_SECOND, value);
}

/* Explains a refusal; guc.c makes the message itself. */
static bool
refuse(const PcfgSetting *s)
{
	PcfgSetting plain = *s;
	char		low[32];
	char		high[32];

	plain.minus_one = plain.zero = false;
	pcfg_setting_format(&plain, s->min, low, sizeof(low));
	pcfg_setting_format(&plain, s->max, high, sizeof(high));
	GUC_check_errdetail("Legal values are %s to %s%s%s.", low, high,
						s->zero && s->min > 0 ? ", and 0" : "",
						s->minus_one ? ", and -1" : "");
	if (s->special != NULL)
		GUC_check_errhint("%s", s->special);
	return false;
}

static bool
check_int(PcfgSettingId id, int newval)
{
	return pcfg_setting_in_range(&pcfg_settings[id], newval) ||
		refuse(&pcfg_settings[id]);
}

static bool
check_time(PcfgSettingId id, double newval)
{
	int64		value;

	return (seconds_to_value(&pcfg_settings[id], newval, &value) &&
			pcfg_setting_in_range(&pcfg_settings[id], value)) ||
		refuse(&pcfg_settings[id]);
}

/* A check hook is not told which GUC it checks, so each has its own. */
#define INT_CHECK(id) \
static bool \
check_##id(int *newval, void **extra, GucSource source) \
{ \
	return check_int(id, *newval); \
}

#define TIME_CHECK(id) \
static bool \
check_##id(double *newval, void **extra, GucSource source) \
{ \
	return check_time(id, *newval); \
}

INT_CHECK(PCFG_POOL_SIZE)
INT_CHECK(PCFG_MAX_OVERFLOW)
INT_CHECK(PCFG_TARGET_LIMIT)
INT_CHECK(PCFG_MIN_IDLE)
TIME_CHECK(PCFG_POOL_TIMEOUT)
TIME_CHECK(PCFG_POOL_RECYCLE)
TIME_CHECK(PCFG_PRE_PING_AFTER)
TIME_CHECK(PCFG_CONNECT_TIMEOUT)
TIME_CHECK(PCFG_CONNECT_DEADLINE)
TIME_CHECK(PCFG_COMMAND_TIMEOUT)
TIME_CHECK(PCFG_IDLE_TIMEOUT)
TIME_CHECK(PCFG_IDLE_LEASE_TIMEOUT)

static const GucIntCheckHook int_checks[PCFG_SETTING_COUNT] = {
	[PCFG_POOL_SIZE] = check_PCFG_POOL_SIZE,
	[PCFG_MAX_OVERFLOW] = check_PCFG_MAX_OVERFLOW,
	[PCFG_TARGET_LIMIT] = check_PCFG_TARGET_LIMIT,
	[PCFG_MIN_IDLE] = check_PCFG_MIN_IDLE
};

static const GucRealCheckHook time_checks[PCFG_SETTING_COUNT] = {
	[PCFG_POOL_TIMEOUT] = check_PCFG_POOL_TIMEOUT,
	[PCFG_POOL_RECYCLE] = check_PCFG_POOL_RECYCLE,
	[PCFG_PRE_PING_AFTER] = check_PCFG_PRE_PING_AFTER,
	[PCFG_CONNECT_TIMEOUT] = check_PCFG_CONNECT_TIMEOUT,
	[PCFG_CONNECT_DEADLINE] = check_PCFG_CONNECT_DEADLINE,
	[PCFG_COMMAND_TIMEOUT] = check_PCFG_COMMAND_TIMEOUT,
	[PCFG_IDLE_TIMEOUT] = check_PCFG_IDLE_TIMEOUT,
	[PCFG_IDLE_LEASE_TIMEOUT] = check_PCFG_IDLE_LEASE_TIMEOUT
};

/*
 * Assign hooks run before the new value stands; whoever compares the number
 * reads the values later, from outside the GUC machinery.
 */
static void
assigned_int(int newval, void *extra)
{
	pcfg_settings_version++;
}

static void
assigned_time(double newval, void *extra)
{
	pcfg_settings_version++;
}

static void
assigned_bool(bool newval, void *extra)
{
	pcfg_settings_version++;
}

static void
assigned_text(const char *newval, void *extra)
{
	pcfg_settings_version++;
}

/*
 * The smallest value that guc.c lets through.  A value that the table
 * explains ("0 is refused because ...") comes as far as the check hook, which
 * gives the explanation.
 */
static int
guc_minimum(const PcfgSetting *s)
{
	if (s->minus_one)
		return -1;
	return s->zero || s->special != NULL ? 0 : (int) Min(s->min, 1);
}

static void
define_int(const PcfgSetting *s, const char *name, GucContext context)
{
	int_values[s->id] = (int) s->fallback;
	DefineCustomIntVariable(name, s->description, s->special,
							&int_values[s->id], (int) s->fallback,
							guc_minimum(s), (int) s->max, context, 0,
							int_checks[s->id], assigned_int, NULL);
}

static void
define_time(const PcfgSetting *s, const char *name, GucContext context)
{
	double		fallback = s->fallback == PCFG_NEVER ? -1 :
		(double) s->fallback / USECS_PER_SECOND;

	time_values[s->id] = fallback;
	DefineCustomRealVariable(name, s->description, s->special,
							 &time_values[s->id], fallback,
							 s->minus_one ? -1 : 0,
							 (double) s->max / USECS_PER_SECOND,
							 context, GUC_UNIT_S,
							 time_checks[s->id], assigned_time, NULL);
}

static void
define_enum(const PcfgSetting *s, const char *name, GucContext context)
{
	struct config_enum_entry *entries = enum_entries[s->id];
	int			i;

	for (i = 0; s->labels[i] != NULL && i < MAX_LABELS; i++)
	{
		entries[i].name = s->labels[i];
		entries[i].val = i;
		entries[i].hidden = false;
	}
	int_values[s->id] = (int) s->fallback;
	DefineCustomEnumVariable(name, s->description, s->special,
							 &int_values[s->id], (int) s->fallback, entries,
							 context, 0, NULL, assigned_int, NULL);
}

static void
define_setting(const PcfgSetting *s)
{
	GucContext	context = s->session ? PGC_USERSET : PGC_SIGHUP;
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), PREFIX ".%s", s->name);
	switch (s->kind)
	{
		case PCFG_KIND_INT:
			define_int(s, name, context);
			break;
		case PCFG_KIND_TIME:
			define_time(s, name, context);
			break;
		case PCFG_KIND_BOOL:
			bool_values[s->id] = s->fallback != 0;
			DefineCustomBoolVariable(name, s->description, s->special,
									 &bool_values[s->id], s->fallback != 0,
									 context, 0, NULL, assigned_bool, NULL);
			break;
		case PCFG_KIND_ENUM:
			define_enum(s, name, context);
			break;
		case PCFG_KIND_TEXT:
			DefineCustomStringVariable(name, s->description, s->special,
									   &text_values[s->id], "",
									   context, 0, NULL, assigned_text, NULL);
			break;
	}
	records[s->id] = pcfg_guc_find(name);
}

/* Where the present value comes from. */
static GucSource
setting_source(PcfgSettingId id)
{
	return records[id] != NULL ? records[id]->source : PGC_S_DEFAULT;
}

/*
 * The server-wide ones are fixed at start.  Without preloading they cannot
 * be, but must be defined all the same: reserving the prefix would otherwise
 * throw them out of postgresql.conf with a warning in each session.
 */
void
pcfg_settings_define(bool preloading)
{
	GucContext	context = preloading ? PGC_POSTMASTER : PGC_SIGHUP;
	int			i;

	DefineCustomIntVariable(PREFIX ".max_connections",
							"Number of remote connections that the server may hold, all targets together.",
							NULL, &pcfg_max_connections, 100, 1, MAX_CONNECTIONS_MAX,
							context, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(PREFIX ".max_pools",
							"Number of pools that may exist at the same time.",
							"A pool belongs to one database, target and user mapping; idle ones are reused.",
							&pcfg_max_pools, 64, 1, MAX_POOLS_MAX,
							context, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(PREFIX ".workers",
							"Number of background workers that make connections.",
							NULL, &workers, 1, 1, WORKERS_MAX,
							context, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable(PREFIX ".log_connections",
							 "Level at which connects and closes of remote connections are logged.",
							 NULL, &pcfg_log_connections, DEBUG1, log_levels,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
		define_setting(&pcfg_settings[i]);
	MarkGUCPrefixReserved(PREFIX);
}

int64
pcfg_settings_value(PcfgSettingId id)
{
	const PcfgSetting *s = &pcfg_settings[id];
	int64		value = s->fallback;

	switch (s->kind)
	{
		case PCFG_KIND_INT:
		case PCFG_KIND_ENUM:
			return int_values[id];
		case PCFG_KIND_BOOL:
			return bool_values[id] ? 1 : 0;
		case PCFG_KIND_TIME:
			/* the check hook has let nothing through that does not fit */
			(void) seconds_to_value(s, time_values[id], &value);
			return value;
		case PCFG_KIND_TEXT:
			break;
	}
	return 0;
}

void
pcfg_settings_defaults(PcfgPolicy *policy)
{
	int			i;

	memset(policy, 0, sizeof(*policy));
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
		policy->value[i] = pcfg_settings_value(i);
}

const char *
pcfg_settings_text(PcfgSettingId id)
{
	return text_values[id] != NULL ? text_values[id] : "";
}

/* ALTER ROLE ... SET and ALTER DATABASE ... SET speak for the session as SET does. */
bool
pcfg_settings_is_session(PcfgSettingId id)
{
	return pcfg_settings[id].session && setting_source(id) >= PGC_S_GLOBAL;
}

bool
pcfg_settings_is_configured(PcfgSettingId id)
{
	return setting_source(id) > PGC_S_DYNAMIC_DEFAULT;
}
