/*-------------------------------------------------------------------------
 *
 * url/libpq_form.c
 *	  libpq's own two forms of address, read by libpq's own parser.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/libpq_form.h"

#include <libpq-fe.h>
#include <string.h>

#include "url/option.h"

#define BLANKS	" \t\r\n\f\v"

/*
 * What libpq's own parser makes of the text takes the place of what we read:
 * the parts by their place ("identity"), or the values of parameters.  Its
 * error text is never shown.
 */
static void
take_from_libpq(PcfgSplitter *s, const char *text, bool identity)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(text, &error);
	PQconninfoOption *o;

	if (options == NULL && error == NULL)
		s->findings->arena.failed = true;
	else if (options == NULL)
		pcfg_finding_add(s->findings, PCFG_E_SYNTAX, PCFG_ADDRESS_FORM, "the address cannot be read");
	if (error != NULL)
	{
		explicit_bzero(error, strlen(error));
		PQfreemem(error);
	}
	for (o = options; o != NULL && o->keyword != NULL; o++)
	{
		const char *value;

		if (o->val == NULL)
			continue;
		value = pcfg_arena_text(&s->findings->arena, o->val, strlen(o->val));
		explicit_bzero(o->val, strlen(o->val));
		if (!identity)
			pcfg_split_replace(s, o->keyword, value);
		/* several hosts without a port give a list of nothing */
		else if (strcmp(o->keyword, "port") != 0 || value[strspn(value, ",")] != '\0')
			pcfg_split_give_identity(s, o->keyword, value);
	}
	PQconninfoFree(options);
}

/* postgresql://, behind the "//". */
void
pcfg_libpq_split_uri(PcfgSplitter *s, const char *rest)
{
	const char *at = memchr(rest, '@', strcspn(rest, "/"));
	const char *host = at != NULL ? at + 1 : rest;
	const char *path = host + strcspn(host, "/?");
	const char *query = path + strcspn(path, "?");
	const char *colon = at != NULL ? memchr(rest, ':', (size_t) (at - rest)) : NULL;
	bool		asyncpg = s->parts->address_names == PCFG_ASYNCPG_DSN;
	bool		sound;
	PcfgHostList hosts = {"", "", 0, 0};
	PcfgQuery	q = {.plus_is_blank = asyncpg, .one_equals = true};

	if (!pcfg_split_check_places(s, rest, at, path, query))
		return;
	sound = true;
	if (asyncpg && at != NULL && (pcfg_split_has(rest, at, '#') || pcfg_split_has(rest, at, '?')))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "In the user or password write \"#\" as %23 and \"?\" as %3F.",
						 "asyncpg would cut the address at a \"#\" or \"?\" before its \"@\"");
		return;
	}
	(void) pcfg_split_decode(s, rest, colon != NULL ? colon : at, "user", &sound);
	(void) pcfg_split_decode(s, colon, at, "password", &sound);
	(void) pcfg_split_decode(s, host, path, "host", &sound);
	(void) pcfg_split_decode(s, path, query, "database name", &sound);
	if (sound)
		sound = pcfg_split_hosts(s, &hosts, host, path);

	if (!asyncpg)
	{
		q.kept = pcfg_arena_take(&s->findings->arena, strlen(query) + 2);
		if (q.kept == NULL)
			return;
	}
	if (*query == '?')
		pcfg_split_query(s, &q, query + 1);
	if (sound)
		take_from_libpq(s, pcfg_arena_print(&s->findings->arena, "postgresql://%.*s",
											(int) (query - rest), rest), true);
	if (q.kept != NULL && q.kept[0] != '\0')
		take_from_libpq(s, pcfg_arena_print(&s->findings->arena, "postgresql:///%s", q.kept), false);
}

/* The value between two marks, for the time until libpq's takes its place. */
static const char *
unquote(PcfgSplitter *s, const char *p, const char *end)
{
	char	   *text = pcfg_arena_take(&s->findings->arena, (size_t) (end - p) + 1);
	char	   *out = text;

	if (text == NULL)
		return "";
	if (*p == '\'')
	{
		p++;
		end--;
	}
	for (; p < end; p++)
	{
		if (*p == '\\' && p + 1 < end)
			p++;
		*out++ = *p;
	}
	return text;
}

/* The names of a keyword string, cut as libpq does; then libpq reads it. */
void
pcfg_libpq_split_keywords(PcfgSplitter *s, const char *text)
{
	/* a blank behind each, where there may have been none */
	char	   *kept = pcfg_arena_take(&s->findings->arena, 2 * strlen(text) + 2);
	const char *p = text;

	if (kept == NULL)
		return;
	for (;;)
	{
		const char *start;
		const char *name;
		const char *value;
		size_t		len;

		p += strspn(p, BLANKS);
		if (*p == '\0')
			break;
		s->position++;
		start = p;
		len = strcspn(p, BLANKS "=");
		name = pcfg_arena_text(&s->findings->arena, p, len);
		p += len;
		p += strspn(p, BLANKS);
		if (*p != '=' || len == 0)
		{
			pcfg_finding_add(s->findings, PCFG_E_SYNTAX,
							 "Write name=value; a value with blanks stands in single quotes.",
							 "part %d of the address is not a name and a value", s->position);
			return;
		}
		p++;
		p += strspn(p, BLANKS);
		value = p;
		if (*p == '\'')
		{
			for (p++; *p != '\0' && *p != '\''; p++)
				p += *p == '\\' && p[1] != '\0';
			if (*p != '\'')
			{
				pcfg_finding_add(s->findings, PCFG_E_SYNTAX, NULL, "the address has an unclosed quote");
				return;
			}
			p++;
		}
		else
		{
			for (; *p != '\0' && strchr(BLANKS, *p) == NULL; p++)
				p += *p == '\\' && p[1] != '\0';
		}
		if (pcfg_split_is_given(s, name))
			pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, NULL,
							 "parameter %d of the address is given twice", s->position);
		else if (p == value || (p == value + 2 && *value == '\''))
			pcfg_split_give_empty(s, name);
		else
		{
			pcfg_split_give(s, name, unquote(s, value, p));
			if (pcfg_option_in_libpq(name))
			{
				strncat(kept, start, (size_t) (p - start));
				strcat(kept, " ");
			}
		}
	}
	if (kept[0] != '\0')
		take_from_libpq(s, kept, false);
}
