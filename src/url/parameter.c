/*-------------------------------------------------------------------------
 *
 * url/parameter.c
 *	  Names of connection parameters, here and with other drivers, and texts
 *	  that nobody means.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/parameter.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <string.h>

#include "shared/setting_table.h"

/* Names that other drivers have for things, and what they are called here. */
static const struct
{
	const char *name;
	const char *hint;
}			foreign_names[] =
{
	{"timeout", "That is asyncpg's name; libpq's is connect_timeout."},
	{"command_timeout", "Give command_timeout to create_target() in settings, not in the address."},
	{"connectTimeout", "That is JDBC's name; libpq's is connect_timeout."},
	{"loginTimeout", "That is JDBC's name; libpq's is connect_timeout."},
	{"socketTimeout", "That is JDBC's name; give command_timeout in settings."},
	{"ssl_context", "Say it with sslmode and sslrootcert."},
	{"database", "libpq calls it dbname, and it belongs behind the host: ...@host/name."},
	{"server_settings", "Give options=-c name=value, percent-encoded."},
	{"currentSchema", "Give options=-c search_path=..., percent-encoded."},
	{"search_path", "Give options=-c search_path=..., percent-encoded."},
	{"schema", "Give options=-c search_path=..., percent-encoded."},
	{"pgbouncer", "Say what stands in front of the database with the setting pooler."},
	{"prepared_statement_cache_size", "It tunes a driver and has no meaning here; leave it out."},
	{"statement_cache_size", "It tunes a driver and has no meaning here; leave it out."},
	{"async_fallback", "It tunes a driver and has no meaning here; leave it out."}
};

/* libpq's own list of keywords, read without its defaults. */
static bool
libpq_knows(const char *name)
{
	PQconninfoOption *options = PQconninfoParse("", NULL);
	PQconninfoOption *o;
	bool		found = false;

	for (o = options; o != NULL && o->keyword != NULL; o++)
		found |= strcmp(o->keyword, name) == 0;
	PQconninfoFree(options);
	return found;
}

const char *
pcfg_parameter_check_name(const char *name, const char **hint)
{
	size_t		i;

	*hint = NULL;
	if (libpq_knows(name))
		return NULL;
	for (i = 0; i < sizeof(foreign_names) / sizeof(foreign_names[0]); i++)
	{
		if (strcmp(foreign_names[i].name, name) == 0)
		{
			*hint = foreign_names[i].hint;
			return "belongs to another driver";
		}
	}
	if (pcfg_setting_find(name) != NULL)
	{
		*hint = "It is a setting of the pool: give it to create_target() as an argument or in settings.";
		return "is not a part of an address";
	}
	return "is not known";
}

bool
pcfg_parameter_is_placeholder(const char *text)
{
	size_t		len = strlen(text);

	if (len == 0)
		return false;
	if (strspn(text, "*") == len || strspn(text, "xX") == len)
		return true;
	return (text[0] == '[' && text[len - 1] == ']') ||
		(text[0] == '<' && text[len - 1] == '>');
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
