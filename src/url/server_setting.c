/*-------------------------------------------------------------------------
 *
 * url/server_setting.c
 *	  Settings of the remote server that are given with the connection, as
 *	  words of libpq's "options".
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/server_setting.h"

#include <string.h>
#include <strings.h>

#include "url/parameter.h"

static bool
is_one_of(const char *name, size_t len, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strlen(*names) == len && strncasecmp(*names, name, len) == 0)
			return true;
	return false;
}

/*
 * -c name=value.  The server splits options at white space and takes the
 * character behind a backslash as it is; quotes mean nothing.
 */
static const char *
option_word(PcfgArena *arena, const char *name, const char *value)
{
	char	   *word = pcfg_arena_take(arena, strlen(name) + 2 * strlen(value) + 8);
	char	   *out;

	if (word == NULL)
		return "";
	out = stpcpy(stpcpy(stpcpy(word, "-c "), name), "=");
	for (; *value != '\0'; value++)
	{
		if (*value == ' ' || *value == '\\')
			*out++ = '\\';
		*out++ = *value;
	}
	return word;
}

/* Which names are not for users to set; *hint is set then. */
static bool
is_refused(const char *name, const char **hint)
{
	static const char *const identity[] = {"user", "database", "replication", "session_authorization", NULL};
	static const char *const encoding[] = {"client_encoding", NULL};
	static const char *const role[] = {"role", NULL};
	size_t		len = strlen(name);

	*hint = NULL;
	if (is_one_of(name, len, encoding))
		*hint = "The encoding is always that of the local database; leave it out.";
	else if (is_one_of(name, len, role))
		*hint = "Give the setting init_sql: \"SET ROLE ...\".";
	else if (is_one_of(name, len, identity))
		*hint = "Say it in the address.";
	return *hint != NULL;
}

bool
pcfg_server_setting_read(PcfgServerSetting *result, PcfgFindings *findings,
						 const char *name, const PcfgJson *value)
{
	/* reading the text of values relies on these */
	static const char *const fixed[] = {"DateStyle", "IntervalStyle", "extra_float_digits", NULL};
	static const char *const application[] = {"application_name", NULL};
	static const char *const options[] = {"options", NULL};
	size_t		len = strlen(name);
	const char *hint;

	result->keyword = result->text = NULL;
	if (len == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != len)
	{
		pcfg_finding_add(findings, PCFG_E_VALUE, NULL, "a name in server_settings is not that of a setting");
		return false;
	}
	if (is_refused(name, &hint))
	{
		pcfg_finding_add(findings, PCFG_E_REFUSED, hint, "a setting in server_settings cannot be used for a pool");
		return false;
	}
	if (value->type == PCFG_JSON_ARRAY || value->type == PCFG_JSON_OBJECT ||
		!pcfg_parameter_is_sound(value->text))
	{
		pcfg_finding_add(findings, PCFG_E_VALUE, "Give a text: {\"server_settings\": {\"name\": \"value\"}}.",
						 "a value in server_settings is not possible");
		return false;
	}
	if (value->type != PCFG_JSON_STRING)
		pcfg_finding_add(findings, PCFG_N_ALIAS, NULL,
						 "a value in server_settings is taken as text, which asyncpg itself demands");
	if (is_one_of(name, len, fixed))
	{
		pcfg_finding_add(findings, PCFG_N_IGNORED, NULL,
						 "DateStyle, IntervalStyle and extra_float_digits are fixed for pooled connections and are left out");
		return true;
	}
	if (is_one_of(name, len, options))
		result->text = value->text;
	else if (is_one_of(name, len, application))
	{
		result->keyword = "application_name";
		result->text = value->text[0] != '\0' ? value->text : NULL;
		if (result->text == NULL)
			result->keyword = NULL;
	}
	else
		result->text = option_word(&findings->arena, name, value->text);
	return true;
}

/* Behind a word of options: a backslash keeps a blank in it. */
static const char *
end_of_word(const char *p)
{
	while (*p != '\0' && *p != ' ')
		p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	return p;
}

/* The name that "-c name=value" or "--name=value" sets, or NULL. */
static const char *
setting_of(const char *p)
{
	if (p[0] != '-' || (p[1] != 'c' && p[1] != '-'))
		return NULL;
	return p + 2 + strspn(p + 2, " ");
}

bool
pcfg_server_setting_needs_session(const char *options)
{
	/* what PgBouncer follows by itself */
	static const char *const tracked[] = {
		"client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings",
		"application_name", NULL
	};
	const char *p;
	const char *name;

	for (p = options + strspn(options, " "); *p != '\0'; p += strspn(p, " "))
	{
		name = setting_of(p);
		if (name != NULL && !is_one_of(name, strcspn(name, "= "), tracked))
			return true;
		p = end_of_word(name != NULL ? name : p);
	}
	return false;
}

const char *
pcfg_server_setting_without(PcfgArena *arena, const char *options, const char *name)
{
	const char *const names[] = {name, NULL};
	char	   *kept = pcfg_arena_take(arena, strlen(options) + 1);
	const char *p;

	for (p = options + strspn(options, " "); kept != NULL && *p != '\0'; p += strspn(p, " "))
	{
		const char *set = setting_of(p);
		const char *end = end_of_word(set != NULL ? set : p);

		if (set == NULL || !is_one_of(set, strcspn(set, "= "), names))
		{
			if (kept[0] != '\0')
				strcat(kept, " ");
			strncat(kept, p, (size_t) (end - p));
		}
		p = end;
	}
	return kept != NULL ? kept : "";
}
