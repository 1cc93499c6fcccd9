/*-------------------------------------------------------------------------
 *
 * url/splitter.c
 *	  What cutting up any form of address needs: escapes, hosts, parameters.
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/splitter.h"

#include <ctype.h>
#include <string.h>

#include "url/option.h"

#define ENCODE	"A password with \"@\", \":\" or \"/\" in it must be percent-encoded: %40, %3A, %2F."
#define ONE_WAY	"Write host=h1:1&host=h2:2, or host=h1,h2&port=1,2."

/* ----------------------------------------------------------------
 * results
 * ----------------------------------------------------------------
 */

static const PcfgJson *
text_node(PcfgSplitter *s, const char *text)
{
	static const PcfgJson nothing = {PCFG_JSON_STRING, "", "", NULL, NULL};
	PcfgJson   *node = pcfg_arena_take(&s->findings->arena, sizeof(PcfgJson));

	if (node == NULL)
		return &nothing;
	*node = nothing;
	node->text = text;
	return node;
}

static void
add(PcfgSplitter *s, const char *name, const char *value, bool identity)
{
	PcfgGiven  *given;

	if (s->parts->ngiven == PCFG_MAX_GIVEN)
	{
		pcfg_finding_add(s->findings, PCFG_E_SYNTAX, NULL,
						 "the address has more than %d parameters", PCFG_MAX_GIVEN);
		return;
	}
	given = &s->parts->given[s->parts->ngiven++];
	memset(given, 0, sizeof(*given));
	given->name = name;
	given->value = text_node(s, value);
	given->position = s->position;
	given->identity = identity;
}

void
pcfg_split_give(PcfgSplitter *s, const char *name, const char *value)
{
	add(s, name, value, false);
}

void
pcfg_split_replace(PcfgSplitter *s, const char *name, const char *value)
{
	int			i;

	for (i = 0; i < s->parts->ngiven; i++)
	{
		if (!s->parts->given[i].identity && strcmp(s->parts->given[i].name, name) == 0)
			s->parts->given[i].value = text_node(s, value);
	}
}

void
pcfg_split_give_identity(PcfgSplitter *s, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		add(s, name, value, true);
}

bool
pcfg_split_is_given(const PcfgSplitter *s, const char *name)
{
	int			i;

	for (i = 0; i < s->parts->ngiven; i++)
	{
		if (!s->parts->given[i].identity && strcmp(s->parts->given[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
note_empty(PcfgSplitter *s)
{
	pcfg_finding_add(s->findings, PCFG_N_EMPTY, NULL,
					 "parameter %d of the address has no value and is left out", s->position);
}

void
pcfg_split_give_empty(PcfgSplitter *s, const char *name)
{
	if (pcfg_parameter_judge(name, s->parts->address_names).action == PCFG_REFUSE)
		add(s, name, "", false);
	else
		note_empty(s);
}

/* ----------------------------------------------------------------
 * characters
 * ----------------------------------------------------------------
 */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * Undoes the percent escapes of one part; "part" is its name.  NULL when it
 * is not sound, which was told.
 */
static const char *
decode(PcfgSplitter *s, const char *p, size_t len, bool plus_is_blank, const char *part)
{
	char	   *out = pcfg_arena_take(&s->findings->arena, len + 1);
	size_t		n = 0;
	size_t		i;

	if (out == NULL)
		return NULL;
	for (i = 0; i < len; i++)
	{
		char		c = p[i] == '+' && plus_is_blank ? ' ' : p[i];

		if (c == '%')
		{
			c = len - i < 3 || hex_digit(p[i + 1]) < 0 || hex_digit(p[i + 2]) < 0 ? '\0' :
				(char) (hex_digit(p[i + 1]) * 16 + hex_digit(p[i + 2]));
			if (c == '\0')
			{
				pcfg_finding_add(s->findings, PCFG_E_ESCAPE,
								 "A percent sign that is meant literally must be written %25; %00 is never possible.",
								 "bad percent escape in the %s of the address", part);
				return NULL;
			}
			i += 2;
		}
		out[n++] = c;
	}
	if (!pcfg_parameter_is_sound(out))
	{
		pcfg_finding_add(s->findings, PCFG_E_ESCAPE, NULL,
						 "the %s of the address has a control character or is not valid UTF-8", part);
		return NULL;
	}
	return out;
}

bool
pcfg_split_has(const char *from, const char *to, char c)
{
	return from < to && memchr(from, c, (size_t) (to - from)) != NULL;
}

/* ----------------------------------------------------------------
 * hosts
 * ----------------------------------------------------------------
 */

static void
append_host(PcfgSplitter *s, PcfgHostList *list, const char *host, const char *port)
{
	PcfgArena  *arena = &s->findings->arena;

	if (list->n == PCFG_MAX_HOSTS)
	{
		pcfg_finding_add(s->findings, PCFG_E_MULTIHOST, NULL,
						 "the address has more than %d hosts", PCFG_MAX_HOSTS);
		return;
	}
	list->hosts = list->n == 0 ? host : pcfg_arena_print(arena, "%s,%s", list->hosts, host);
	list->ports = list->n == 0 ? port : pcfg_arena_print(arena, "%s,%s", list->ports, port);
	list->n++;
	list->nports += port[0] != '\0';
}

/* A port is never shown: half a password may stand there. */
static bool
check_port(PcfgSplitter *s, const char *p, size_t len)
{
	long		value = 0;
	size_t		i;

	for (i = 0; i < len && i < 6; i++)
		value = p[i] >= '0' && p[i] <= '9' ? value * 10 + (p[i] - '0') : 100000;
	if (len == 0 || (len < 6 && value >= 1 && value <= 65535))
		return true;
	pcfg_finding_add(s->findings, PCFG_E_PORT, ENCODE,
					 "a port of the address is not a number from 1 to 65535");
	return false;
}

/* One host with its port behind a colon, IPv6 in brackets. */
static bool
split_host(PcfgSplitter *s, PcfgHostList *list, const char *p, size_t len)
{
	PcfgArena  *arena = &s->findings->arena;
	const char *end = p + len;
	const char *host = p;
	const char *host_end;
	const char *colon;

	if (len > 0 && p[0] == '[')
	{
		host = p + 1;
		host_end = memchr(p, ']', len);
		if (host_end == NULL || host_end == host)
		{
			pcfg_finding_add(s->findings, PCFG_E_SYNTAX, "Write an IPv6 address as [::1].",
							 "a host of the address has an unclosed or empty bracket");
			return false;
		}
		colon = host_end + 1;
		if (colon < end && *colon != ':')
		{
			pcfg_finding_add(s->findings, PCFG_E_SYNTAX, NULL,
							 "a host of the address has text behind its bracket");
			return false;
		}
	}
	else
	{
		colon = memchr(p, ':', len);
		if (colon == NULL)
			colon = end;
		else if (pcfg_split_has(colon + 1, end, ':'))
		{
			pcfg_finding_add(s->findings, PCFG_E_HOST, "Write an IPv6 address in brackets: [::1].",
							 "a host of the address has more than one colon");
			return false;
		}
		host_end = colon;
	}
	if (colon < end)
		colon++;
	if (!check_port(s, colon, (size_t) (end - colon)))
		return false;
	append_host(s, list, pcfg_arena_text(arena, host, (size_t) (host_end - host)),
				pcfg_arena_text(arena, colon, (size_t) (end - colon)));
	return true;
}

/* h1:1,h2:2 */
bool
pcfg_split_hosts(PcfgSplitter *s, PcfgHostList *list, const char *p, const char *end)
{
	bool		last_has_port = false;

	for (;;)
	{
		const char *comma = p < end ? memchr(p, ',', (size_t) (end - p)) : NULL;
		const char *stop = comma != NULL ? comma : end;
		int			before = list->nports;

		if (!split_host(s, list, p, (size_t) (stop - p)))
			return false;
		last_has_port = list->nports > before;
		if (comma == NULL)
			break;
		p = comma + 1;
	}
	if (list->n > 1 && list->nports == 1 && last_has_port)
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "Write the port of every host.",
						 "the address has several hosts and one port, which drivers read in different ways");
		return false;
	}
	return true;
}

/* ----------------------------------------------------------------
 * parameters behind the question mark
 * ----------------------------------------------------------------
 */

static void
note_plus(PcfgSplitter *s, const PcfgQuery *q, const char *value)
{
	if (!q->plus_is_blank && strchr(value, '+') != NULL)
		pcfg_finding_add(s->findings, PCFG_N_TRANSLATED,
						 "Write %20 for a blank.",
						 "a \"+\" in parameter %d of the address is a plus sign; some drivers read a blank", s->position);
}

/* host=h or host=h:1 of SQLAlchemy, once or several times. */
static void
take_sqlalchemy_host(PcfgSplitter *s, PcfgQuery *q, const char *value)
{
	bool		list = strchr(value, ',') != NULL;
	const char *p = value;

	/* more hosts than parameters: one of those was a list */
	if ((list && (q->nhosts > 0 || (strchr(value, ':') != NULL && value[0] != '/'))) ||
		q->hosts.n > q->nhosts)
	{
		pcfg_finding_add(s->findings, PCFG_E_MULTIHOST, ONE_WAY,
						 "the address mixes two ways to name several hosts");
		return;
	}
	q->nhosts++;
	if (!list && value[0] != '/')
	{
		(void) split_host(s, &q->hosts, value, strlen(value));
		return;
	}
	for (;;)
	{
		size_t		n = strcspn(p, ",");

		append_host(s, &q->hosts, pcfg_arena_text(&s->findings->arena, p, n), "");
		if (p[n] == '\0')
			return;
		p += n + 1;
	}
}

/* One name=value, from p to end. */
static void
split_parameter(PcfgSplitter *s, PcfgQuery *q, const char *p, const char *end)
{
	const char *eq = memchr(p, '=', (size_t) (end - p));
	const char *name;
	const char *value;

	s->position++;
	if (eq == NULL && !q->one_equals)
	{
		note_empty(s);
		return;
	}
	if (eq == NULL || eq == p || (q->one_equals && pcfg_split_has(eq + 1, end, '=')))
	{
		pcfg_finding_add(s->findings, PCFG_E_SYNTAX,
						 "Write name=value; a \"=\" in a value must be written %3D, a \"&\" %26.",
						 "parameter %d of the address is not one name and one value", s->position);
		return;
	}
	name = decode(s, p, (size_t) (eq - p), q->plus_is_blank, "parameters");
	value = decode(s, eq + 1, (size_t) (end - eq - 1), q->plus_is_blank, "parameters");
	if (name == NULL || value == NULL)
		return;
	if (strcmp(name, "host") == 0 && s->parts->grammar == PCFG_SQLALCHEMY && value[0] != '\0')
	{
		take_sqlalchemy_host(s, q, value);
		return;
	}
	if (pcfg_split_is_given(s, name))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, NULL,
						 "parameter %d of the address is given twice", s->position);
		return;
	}
	if (value[0] == '\0')
	{
		pcfg_split_give_empty(s, name);
		return;
	}
	note_plus(s, q, value);
	if (q->kept != NULL && pcfg_option_in_libpq(name))
	{
		strcat(q->kept, q->kept[0] != '\0' ? "&" : "?");
		strncat(q->kept, p, (size_t) (end - p));
	}
	pcfg_split_give(s, name, value);
}

void
pcfg_split_query(PcfgSplitter *s, PcfgQuery *q, const char *p)
{
	while (*p != '\0')
	{
		const char *end = p + strcspn(p, "&");

		if (end > p || q->one_equals)
			split_parameter(s, q, p, end);
		p = end + (*end == '&');
	}
}

/* ----------------------------------------------------------------
 * places
 * ----------------------------------------------------------------
 */

/* A piece between two marks, decoded; *sound turns false. */
const char *
pcfg_split_decode(PcfgSplitter *s, const char *from, const char *to, const char *part, bool *sound)
{
	const char *text = from != NULL && from < to ?
		decode(s, from, (size_t) (to - from), false, part) : "";

	if (text == NULL)
		*sound = false;
	return text;
}

/*
 * Text before the "@" that looks like the beginning of an address without
 * user and password, so that the "@" belongs to a parameter: h?a=b@, h:1/b@.
 */
static bool
looks_like_host(const char *from, const char *at)
{
	const char *colon = memchr(from, ':', (size_t) (at - from));
	const char *question = memchr(from, '?', (size_t) (at - from));
	const char *p;

	if (question != NULL && (colon == NULL || question < colon))
		return true;
	if (colon == NULL)
		return false;
	for (p = colon + 1; p < at && isdigit((unsigned char) *p); p++)
		;
	return p > colon + 1 && p - colon <= 6 && p < at && (*p == '/' || *p == '?');
}

/* The guards on user, password and path; false when they cannot be told. */
bool
pcfg_split_check_places(PcfgSplitter *s, const char *rest, const char *at, const char *path, const char *query)
{
	if (at != NULL && (pcfg_split_has(at + 1, path, '@') || pcfg_split_has(path, query, '@')))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "An \"@\" in the user or password must be written %40.",
						 "the address has more than one \"@\"");
		return false;
	}
	if (at == NULL && pcfg_split_has(path, query, '@'))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "A \"/\" in the user or password must be written %2F.",
						 "the address has an \"@\" behind a \"/\"");
		return false;
	}
	if (at != NULL && looks_like_host(rest, at))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS,
						 "An \"@\" in a parameter must be written %40; a \"?\" in the user or password %3F, a \"/\" %2F.",
						 "the address can be read with and without a user");
		return false;
	}
	if (pcfg_split_has(path, query, '#') || (s->parts->grammar == PCFG_URI && strchr(query, '#') != NULL))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "Write it as %23, or leave the part behind it out.",
						 "the address has a \"#\", which drivers read in different ways");
		return false;
	}
	if (pcfg_split_has(path, query, '&'))
	{
		pcfg_finding_add(s->findings, PCFG_E_AMBIGUOUS, "The first parameter follows a \"?\", the others a \"&\".",
						 "the database name of the address has a \"&\"");
		return false;
	}
	return true;
}
