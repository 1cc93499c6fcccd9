/*-------------------------------------------------------------------------
 *
 * shared/setting_table.c
 *	  Every setting of a target, as plain data.
 *
 * Floor 0; any process.  Promises that a value is read, checked and written
 * in one way wherever it comes from.  Refuses to know the server, GUCs, SQL
 * and where a value is kept.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/setting_table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USECS_PER_MS	INT64_C(1000)
#define USECS_PER_S		INT64_C(1000000)
#define USECS_PER_MIN	(60 * USECS_PER_S)
#define USECS_PER_H		(60 * USECS_PER_MIN)
#define USECS_PER_D		(24 * USECS_PER_H)

#define COUNT_MAX		100000	/* as many as pool_config.max_connections may be */
#define TIME_MIN		USECS_PER_MS
#define TIME_MAX		(365 * USECS_PER_D)

#define NAME_MAX_LEN	63
#define NUMBER_MAX_LEN	40		/* longest number that is worth reading */

static const char *const reset_labels[] = {
	"auto", "always", "rollback", "none", NULL
};
static const char *const pooler_labels[] = {
	"auto", "none", "session", "transaction", NULL
};

const PcfgSetting pcfg_settings[PCFG_SETTING_COUNT] = {
	{.id = PCFG_POOL_SIZE, .name = "pool_size", .kind = PCFG_KIND_INT,
		.fallback = 5, .min = 1, .max = COUNT_MAX,
		.special = "SQLAlchemy's 0 means unlimited, others read it as \"off\", so it is refused; for no limit but the server's, set max_overflow to -1.",
		.argument = true,
		.description = "Number of connections that a pool keeps."
	},
	{.id = PCFG_MAX_OVERFLOW, .name = "max_overflow", .kind = PCFG_KIND_INT,
		.fallback = 10, .min = 0, .max = COUNT_MAX, .minus_one = true,
		.special = "0 means none; -1 means as many as pool_config.max_connections allows.",
		.argument = true,
		.description = "Number of further connections that a pool may open under load."
	},
	{.id = PCFG_TARGET_LIMIT, .name = "target_limit", .kind = PCFG_KIND_INT,
		.fallback = -1, .min = 1, .max = COUNT_MAX, .minus_one = true,
		.special = "-1 means no limit.",
		.description = "Limit on a target's connections over all user mappings and local databases."
	},
	{.id = PCFG_POOL_TIMEOUT, .name = "pool_timeout", .kind = PCFG_KIND_TIME,
		.fallback = 30 * USECS_PER_S, .min = TIME_MIN, .max = TIME_MAX, .minus_one = true, .zero = true,
		.special = "0 means never queue; -1 means wait as long as the statement may run.",
		.session = true, .argument = true,
		.description = "Longest time to wait for a usable connection, queueing and connecting together."
	},
	{.id = PCFG_POOL_RECYCLE, .name = "pool_recycle", .kind = PCFG_KIND_TIME,
		.fallback = 300 * USECS_PER_S, .min = TIME_MIN, .max = TIME_MAX, .minus_one = true,
		.special = "-1 means never; 0 is refused because every connection would be too old at once.",
		.argument = true,
		.description = "Age at which a connection is replaced."
	},
	{.id = PCFG_POOL_PRE_PING, .name = "pool_pre_ping", .kind = PCFG_KIND_BOOL,
		.fallback = 1, .min = 0, .max = 1,
		.argument = true,
		.description = "Proves a connection alive before it is used."
	},
	{.id = PCFG_PRE_PING_AFTER, .name = "pre_ping_after", .kind = PCFG_KIND_TIME,
		.fallback = USECS_PER_S / 2, .min = TIME_MIN, .max = TIME_MAX, .zero = true,
		.special = "0 means always ask.",
		.description = "Skips the ping of a connection that proved alive within this time."
	},
	{.id = PCFG_POOL_USE_LIFO, .name = "pool_use_lifo", .kind = PCFG_KIND_BOOL,
		.fallback = 1, .min = 0, .max = 1,
		.description = "Uses the most recently returned connection first, else in turn."
	},
	{.id = PCFG_POOL_RESET, .name = "pool_reset", .kind = PCFG_KIND_ENUM,
		.fallback = PCFG_RESET_AUTO, .min = 0, .max = PCFG_RESET_NONE,
		.labels = reset_labels,
		.description = "When the session state of a remote connection is reset."
	},
	{.id = PCFG_CONNECT_TIMEOUT, .name = "connect_timeout", .kind = PCFG_KIND_TIME,
		.fallback = 5 * USECS_PER_S, .min = TIME_MIN, .max = TIME_MAX,
		.special = "Connecting always has a limit, so 0 and negative values are refused.",
		.argument = true,
		.description = "Longest time to find a host, and to connect to each of its addresses, login included."
	},
	{.id = PCFG_CONNECT_DEADLINE, .name = "connect_deadline", .kind = PCFG_KIND_TIME,
		.fallback = PCFG_NEVER, .min = TIME_MIN, .max = TIME_MAX, .minus_one = true,
		.special = "-1 means no limit but connect_timeout for each address.",
		.description = "Longest time to connect, all hosts of a target together."
	},
	{.id = PCFG_COMMAND_TIMEOUT, .name = "command_timeout", .kind = PCFG_KIND_TIME,
		.fallback = 0, .min = TIME_MIN, .max = TIME_MAX, .zero = true,
		.special = "0 means no limit.",
		.session = true,
		.description = "Longest time that a remote statement may run."
	},
	{.id = PCFG_MIN_IDLE, .name = "min_idle", .kind = PCFG_KIND_INT,
		.fallback = 0, .min = 0, .max = COUNT_MAX,
		.special = "0 means none.",
		.description = "Number of idle connections to hold ready."
	},
	{.id = PCFG_IDLE_TIMEOUT, .name = "idle_timeout", .kind = PCFG_KIND_TIME,
		.fallback = 0, .min = TIME_MIN, .max = TIME_MAX, .zero = true,
		.special = "0 means never.",
		.description = "Closes a connection that has been idle for this time."
	},
	{.id = PCFG_IDLE_LEASE_TIMEOUT, .name = "idle_lease_timeout", .kind = PCFG_KIND_TIME,
		.fallback = 60 * USECS_PER_S, .min = TIME_MIN, .max = TIME_MAX,
		.description = "Takes back a connection that a session holds without using it for this time."
	},
	{.id = PCFG_INIT_SQL, .name = "init_sql", .kind = PCFG_KIND_TEXT,
		.description = "SQL to run on each new remote connection and after each reset."
	},
	{.id = PCFG_POOLER, .name = "pooler", .kind = PCFG_KIND_ENUM,
		.fallback = PCFG_POOLER_AUTO, .min = 0, .max = PCFG_POOLER_TRANSACTION,
		.labels = pooler_labels,
		.description = "What kind of pooler stands in front of the remote server."
	}
};

typedef struct TimeUnit
{
	const char *name;
	int64_t		usecs;
} TimeUnit;

/* Largest first, as formatting wants it. */
static const TimeUnit time_units[] = {
	{"d", USECS_PER_D},
	{"h", USECS_PER_H},
	{"min", USECS_PER_MIN},
	{"s", USECS_PER_S},
	{"ms", USECS_PER_MS},
	{"us", 1}
};

#define NUNITS ((int) (sizeof(time_units) / sizeof(time_units[0])))

/* The caller's buffer for sentences, filled one after the other. */
typedef struct Sentences
{
	char	   *room;
	size_t		left;
} Sentences;

/* Not isspace() and tolower(): the answer must not depend on a locale. */
static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/* Is text[0..len) the word, whatever its case? */
static bool
is_word(const char *text, size_t len, const char *word)
{
	size_t		i;

	for (i = 0; i < len; i++)
	{
		if (word[i] == '\0' || lower(text[i]) != word[i])
			return false;
	}
	return word[len] == '\0';
}

/* Strips blanks at both ends. */
static const char *
trim(const char *text, size_t *len)
{
	size_t		n;

	while (is_blank(*text))
		text++;
	n = strlen(text);
	while (n > 0 && is_blank(text[n - 1]))
		n--;
	*len = n;
	return text;
}

static const char *say(Sentences *out, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));

/* Appends one sentence to the caller's buffer; cut if there is no room. */
static const char *
say(Sentences *out, const char *fmt,...)
{
	va_list		args;
	const char *start = out->room;
	size_t		used;

	if (out->left == 0)
		return "value is not legal for this setting";
	va_start(args, fmt);
	if (vsnprintf(out->room, out->left, fmt, args) < 0)
		out->room[0] = '\0';
	va_end(args);
	used = strlen(start) + 1;
	out->room += used;
	out->left -= used;
	return start;
}

/* Says which values are legal, and what the special ones mean. */
static bool
refuse_range(const PcfgSetting *s, Sentences *out,
			 const char **why, const char **hint)
{
	PcfgSetting plain = *s;
	char		low[32];
	char		high[32];

	plain.minus_one = plain.zero = false;
	pcfg_setting_format(&plain, s->min, low, sizeof(low));
	pcfg_setting_format(&plain, s->max, high, sizeof(high));
	*why = say(out, "\"%s\" must be from %s to %s%s%s", s->name, low, high,
			   s->zero && s->min > 0 ? ", or 0" : "",
			   s->minus_one ? ", or -1" : "");
	*hint = s->special;
	return false;
}

/*
 * Reads a decimal number at *pos (sign, digits, fraction, exponent; no hex,
 * no "inf", no "nan", which strtod alone would take).  Moves *pos behind it.
 */
static bool
read_number(const char **pos, const char *end, double *number)
{
	const char *p = *pos;
	char		copy[NUMBER_MAX_LEN + 1];
	size_t		len;
	int			digits = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	for (; p < end && is_digit(*p); p++)
		digits++;
	if (p < end && *p == '.')
		for (p++; p < end && is_digit(*p); p++)
			digits++;
	if (digits == 0)
		return false;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		const char *q = p + 1;

		if (q < end && (*q == '-' || *q == '+'))
			q++;
		if (q < end && is_digit(*q))
		{
			while (q < end && is_digit(*q))
				q++;
			p = q;
		}
	}
	len = (size_t) (p - *pos);
	if (len > NUMBER_MAX_LEN)
		return false;
	memcpy(copy, *pos, len);
	copy[len] = '\0';
	*number = strtod(copy, NULL);
	if (!isfinite(*number))
		return false;
	*pos = p;
	return true;
}

static bool
parse_int(const PcfgSetting *s, const char *text, size_t len, int64_t *value,
		  Sentences *out, const char **why, const char **hint)
{
	const char *p = text;
	const char *end = text + len;
	int64_t		n = 0;
	bool		negative = false;

	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (p == end)
		goto not_whole;
	for (; p < end; p++)
	{
		if (!is_digit(*p))
			goto not_whole;
		if (n <= s->max)		/* beyond it the exact number is of no use */
			n = n * 10 + (*p - '0');
	}
	*value = negative ? -n : n;
	if (!pcfg_setting_in_range(s, *value))
		return refuse_range(s, out, why, hint);
	return true;

not_whole:
	*why = say(out, "\"%s\" must be a whole number", s->name);
	*hint = s->special;
	return false;
}

static bool
parse_time(const PcfgSetting *s, const char *text, size_t len, int64_t *value,
		   Sentences *out, const char **why, const char **hint)
{
	static const char *const form =
		"Write seconds, as in 0.5, or a unit, as in '5min'; units are us, ms, s, min, h, d.";
	const char *p = text;
	const char *end = text + len;
	double		number;
	int64_t		unit = USECS_PER_S;

	if (!read_number(&p, end, &number))
	{
		*why = say(out, "\"%s\" must be a time", s->name);
		*hint = form;
		return false;
	}
	while (p < end && is_blank(*p))
		p++;
	if (p < end)
	{
		int			i;

		for (i = 0; i < NUNITS; i++)
			if (is_word(p, (size_t) (end - p), time_units[i].name))
				break;
		if (i == NUNITS)
		{
			*why = say(out, "\"%s\" has an unknown unit of time", s->name);
			*hint = form;
			return false;
		}
		unit = time_units[i].usecs;
	}
	if (number == -1 && unit == USECS_PER_S)
		*value = PCFG_NEVER;
	else if (!pcfg_setting_from_units(s, number, unit, value))
		return refuse_range(s, out, why, hint);
	if (!pcfg_setting_in_range(s, *value))
		return refuse_range(s, out, why, hint);
	return true;
}

static bool
parse_bool_word(const PcfgSetting *s, const char *text, size_t len, int64_t *value,
				Sentences *out, const char **why, const char **hint)
{
	static const char *const words[] = {
		"off", "on", "false", "true", "no", "yes", "0", "1"
	};
	int			i;

	for (i = 0; i < (int) (sizeof(words) / sizeof(words[0])); i++)
	{
		if (is_word(text, len, words[i]))
		{
			*value = i % 2;
			return true;
		}
	}
	*why = say(out, "\"%s\" must be on or off", s->name);
	*hint = NULL;
	return false;
}

static bool
parse_label(const PcfgSetting *s, const char *text, size_t len, int64_t *value,
			Sentences *out, const char **why, const char **hint)
{
	char		list[128] = "";
	int			i;

	for (i = 0; s->labels[i] != NULL; i++)
	{
		size_t		used = strlen(list);

		if (is_word(text, len, s->labels[i]))
		{
			*value = i;
			return true;
		}
		snprintf(list + used, sizeof(list) - used, "%s%s",
				 i > 0 ? ", " : "", s->labels[i]);
	}
	*why = say(out, "\"%s\" has no such value", s->name);
	*hint = say(out, "Legal values are %s.", list);
	return false;
}

/*
 * Distance of two words by insertions, deletions, replacements and swaps of
 * neighbours (optimal string alignment), whatever their case.  Both are at
 * most NAME_MAX_LEN bytes long.
 */
static int
distance(const char *a, int la, const char *b, int lb)
{
	int			rows[3][NAME_MAX_LEN + 1];
	int		   *before = rows[0];
	int		   *last = rows[1];
	int		   *row = rows[2];
	int			i,
				j;

	for (j = 0; j <= lb; j++)
		last[j] = before[j] = j;
	for (i = 1; i <= la; i++)
	{
		int		   *spare = before;

		row[0] = i;
		for (j = 1; j <= lb; j++)
		{
			bool		same = lower(a[i - 1]) == lower(b[j - 1]);
			int			best = last[j - 1] + (same ? 0 : 1);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && before[j - 2] + 1 < best &&
				lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]))
				best = before[j - 2] + 1;
			row[j] = best;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[lb];
}

const PcfgSetting *
pcfg_setting_find(const char *name)
{
	int			i;

	for (i = 0; i < PCFG_SETTING_COUNT; i++)
		if (strcmp(pcfg_settings[i].name, name) == 0)
			return &pcfg_settings[i];
	return NULL;
}

const char *
pcfg_nearest_name(const char *name, const char *const *candidates, int n)
{
	size_t		len = strnlen(name, NAME_MAX_LEN + 1);
	const char *nearest = NULL;
	int			allowed;
	int			i;

	if (len == 0 || len > NAME_MAX_LEN)
		return NULL;
	allowed = (int) len / 3;
	allowed = allowed < 1 ? 1 : allowed > 4 ? 4 : allowed;
	for (i = 0; i < n; i++)
	{
		size_t		other = strnlen(candidates[i], NAME_MAX_LEN + 1);
		int			d;

		if (other == 0 || other > NAME_MAX_LEN ||
			abs((int) other - (int) len) > allowed)
			continue;
		d = distance(name, (int) len, candidates[i], (int) other);
		if (d <= allowed)
		{
			nearest = candidates[i];
			allowed = d - 1;
			if (allowed < 0)
				break;
		}
	}
	return nearest;
}

bool
pcfg_setting_from_units(const PcfgSetting *s, double number, int64_t unit, int64_t *value)
{
	double		usecs = number * (double) unit;

	if (!(usecs >= 0 && usecs <= (double) s->max))
		return false;
	*value = llround(usecs);
	/* what is too small to be told from "0", which means something else */
	return *value != 0 || number == 0;
}

bool
pcfg_setting_parse(const PcfgSetting *s, const char *text,
				   int64_t *value, char *errbuf, size_t errsize,
				   const char **why, const char **hint)
{
	Sentences	out = {errbuf, errsize};
	size_t		len;

	*why = *hint = NULL;
	text = trim(text, &len);
	if (len == 0)
	{
		*why = say(&out, "\"%s\" must not be empty", s->name);
		*hint = s->special;
		return false;
	}
	switch (s->kind)
	{
		case PCFG_KIND_INT:
			return parse_int(s, text, len, value, &out, why, hint);
		case PCFG_KIND_TIME:
			return parse_time(s, text, len, value, &out, why, hint);
		case PCFG_KIND_BOOL:
			return parse_bool_word(s, text, len, value, &out, why, hint);
		case PCFG_KIND_ENUM:
			return parse_label(s, text, len, value, &out, why, hint);
		case PCFG_KIND_TEXT:
			break;
	}
	*why = say(&out, "\"%s\" is not a number, time, switch or choice", s->name);
	return false;
}

bool
pcfg_setting_in_range(const PcfgSetting *s, int64_t value)
{
	if (s->kind == PCFG_KIND_TEXT)
		return false;
	return (value == -1 && s->minus_one) ||
		(value == 0 && s->zero) ||
		(value >= s->min && value <= s->max);
}

void
pcfg_setting_format(const PcfgSetting *s, int64_t value, char *buf, size_t size)
{
	int			i;

	switch (s->kind)
	{
		case PCFG_KIND_BOOL:
			snprintf(buf, size, "%s", value != 0 ? "on" : "off");
			return;
		case PCFG_KIND_ENUM:
			if (value >= s->min && value <= s->max)
			{
				snprintf(buf, size, "%s", s->labels[value]);
				return;
			}
			break;
		case PCFG_KIND_TIME:
			for (i = 0; value > 0 && i < NUNITS; i++)
			{
				if (value % time_units[i].usecs == 0)
				{
					snprintf(buf, size, "%" PRId64 "%s",
							 value / time_units[i].usecs, time_units[i].name);
					return;
				}
			}
			break;
		case PCFG_KIND_INT:
		case PCFG_KIND_TEXT:
			break;
	}
	snprintf(buf, size, "%" PRId64, value);
}
