/*-------------------------------------------------------------------------
 *
 * url/address.c
 *	  An address as people paste it, to libpq's keywords.
 *
 * Floor 2; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/address.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/setting_table.h"
#include "url/parameter.h"

#define INVALID_PARAMETER	"22023"
#define SYNTAX_ERROR		"42601"
#define UNKNOWN_OPTION		"HV00D"
#define OUT_OF_MEMORY		"53200"

/* ----------------------------------------------------------------
 * results
 * ----------------------------------------------------------------
 */

static void __attribute__((format(printf, 4, 5)))
add_problem(PcfgAddress *a, const char *sqlstate, const char *hint, const char *format,...)
{
	PcfgProblem *p;
	char		text[256];
	va_list		args;

	if (a->nproblems == PCFG_MAX_PROBLEMS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	p = &a->problems[a->nproblems++];
	memcpy(p->sqlstate, sqlstate, 6);
	p->message = strdup(text);
	p->hint = hint != NULL ? strdup(hint) : NULL;
	if (p->message == NULL)
		a->out_of_memory = true;
}

static void
add_notice(PcfgAddress *a, const char *message)
{
	PcfgProblem *p;

	if (a->nnotices == PCFG_MAX_PROBLEMS)
		return;
	p = &a->notices[a->nnotices++];
	memcpy(p->sqlstate, "00000", 6);
	p->message = strdup(message);
	p->hint = NULL;
	if (p->message == NULL)
		a->out_of_memory = true;
}

static void
wipe_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void
pcfg_address_free(PcfgAddress *a)
{
	int			i;

	for (i = 0; i < a->nkeywords; i++)
	{
		free(a->keywords[i].name);
		wipe_free(a->keywords[i].value);
	}
	free(a->keywords);
	for (i = 0; i < a->nproblems; i++)
	{
		free(a->problems[i].message);
		free(a->problems[i].hint);
	}
	for (i = 0; i < a->nnotices; i++)
		free(a->notices[i].message);
	memset(a, 0, sizeof(*a));
}

/* ----------------------------------------------------------------
 * characters and names
 * ----------------------------------------------------------------
 */

/* An unknown name may be half a password: its place is told, not itself. */
static void
check_name(PcfgAddress *a, const char *name, int position)
{
	static const char *const common[] = {
		"host", "hostaddr", "port", "dbname", "user", "password", "sslmode",
		"connect_timeout", "options", "application_name", "target_session_attrs",
		"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout", "channel_binding", "sslrootcert", "sslcert", "sslkey"
	};
	const char *hint;
	const char *what = pcfg_parameter_check_name(name, &hint);

	if (what == NULL)
		return;
	if (hint != NULL)
		add_problem(a, UNKNOWN_OPTION, hint, "parameter \"%s\" of the address %s", name, what);
	else
	{
		const char *nearest = pcfg_nearest_name(name, common, sizeof(common) / sizeof(common[0]));
		char		text[128];

		snprintf(text, sizeof(text), nearest != NULL ?
				 "Perhaps you meant \"%s\"." :
				 "A \"&\" or \"=\" in a value must be written %%26 or %%3D.", nearest);
		add_problem(a, UNKNOWN_OPTION, text, "parameter %d of the address is not known", position);
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Checks the percent escapes of one part; "part" is its name. */
static bool
check_escapes(PcfgAddress *a, const char *p, size_t len, const char *part)
{
	char	   *decoded = malloc(len + 1);
	size_t		n = 0;
	size_t		i;
	bool		sound = true;

	if (decoded == NULL)
	{
		a->out_of_memory = true;
		return false;
	}
	for (i = 0; i < len && sound; i++)
	{
		if (p[i] != '%')
		{
			decoded[n++] = p[i];
			continue;
		}
		if (len - i < 3 || hex_digit(p[i + 1]) < 0 || hex_digit(p[i + 2]) < 0)
			sound = false;
		else
		{
			decoded[n++] = (char) (hex_digit(p[i + 1]) * 16 + hex_digit(p[i + 2]));
			sound = decoded[n - 1] != '\0';
			i += 2;
		}
	}
	decoded[n] = '\0';
	if (!sound)
		add_problem(a, INVALID_PARAMETER,
					"A percent sign that is meant literally must be written %25; %00 is never possible.",
					"bad percent escape in the %s of the address", part);
	else if (!pcfg_parameter_is_sound(decoded))
	{
		add_problem(a, INVALID_PARAMETER, NULL,
					"the %s of the address has a control character or is not valid UTF-8", part);
		sound = false;
	}
	explicit_bzero(decoded, n);
	free(decoded);
	return sound;
}

/* ----------------------------------------------------------------
 * parts of a URI
 * ----------------------------------------------------------------
 */

static bool
port_is_valid(const char *p, size_t len)
{
	long		value = 0;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		if (p[i] < '0' || p[i] > '9' || i > 5)
			return false;
		value = value * 10 + (p[i] - '0');
	}
	return len == 0 || (value >= 1 && value <= 65535);
}

static void
bad_port(PcfgAddress *a)
{
	add_problem(a, INVALID_PARAMETER,
				"A password with \"@\", \":\" or \"/\" in it must be percent-encoded: %40, %3A, %2F.",
				"a port of the address is not a number from 1 to 65535");
}

/* One host of the list, with its port. */
static bool
check_host(PcfgAddress *a, const char *p, size_t len, bool *has_port)
{
	const char *colon;

	if (len > 0 && p[0] == '[')
	{
		const char *close = memchr(p, ']', len);

		if (close == NULL || close == p + 1)
		{
			add_problem(a, SYNTAX_ERROR, "Write an IPv6 address as [::1].",
						"a host of the address has an unclosed or empty bracket");
			return false;
		}
		colon = close + 1 < p + len ? close + 1 : NULL;
		if (colon != NULL && *colon != ':')
		{
			add_problem(a, SYNTAX_ERROR, NULL, "a host of the address has text behind its bracket");
			return false;
		}
	}
	else
	{
		colon = memchr(p, ':', len);
		if (colon != NULL && memchr(colon + 1, ':', (size_t) (p + len - colon - 1)) != NULL)
		{
			add_problem(a, INVALID_PARAMETER, "Write an IPv6 address in brackets: [::1].",
						"a host of the address has more than one colon");
			return false;
		}
	}
	*has_port = colon != NULL && colon + 1 < p + len;
	if (colon != NULL && !port_is_valid(colon + 1, (size_t) (p + len - colon - 1)))
	{
		bad_port(a);
		return false;
	}
	return true;
}

static bool
check_hosts(PcfgAddress *a, const char *p, const char *end)
{
	int			n = 0;
	int			with_port = 0;
	bool		last_has_port = false;

	for (;;)
	{
		const char *comma = memchr(p, ',', (size_t) (end - p));
		const char *stop = comma != NULL ? comma : end;

		if (!check_host(a, p, (size_t) (stop - p), &last_has_port))
			return false;
		n++;
		with_port += last_has_port;
		if (comma == NULL)
			break;
		p = comma + 1;
	}
	if (n > 1 && with_port == 1 && last_has_port)
	{
		add_problem(a, INVALID_PARAMETER, "Write the port of every host.",
					"the address has several hosts and one port, which drivers read in different ways");
		return false;
	}
	return true;
}

/* The parameters behind the question mark; fills "out" with those kept. */
static bool
check_query(PcfgAddress *a, const char *query, char *out)
{
	size_t		len = strlen(query);
	char	   *copy = strdup(query);
	char	   *p = copy;
	char	   *seen[64];
	int			nseen = 0;
	int			position = 0;
	bool		sound = copy != NULL;

	out[0] = '\0';
	a->out_of_memory |= copy == NULL;
	while (sound && p != NULL && *p != '\0')
	{
		char	   *next = strchr(p, '&');
		char	   *eq;
		int			i;

		if (next != NULL)
			*next++ = '\0';
		position++;
		eq = strchr(p, '=');
		if (eq == NULL || strchr(eq + 1, '=') != NULL || eq == p || nseen == 64)
		{
			add_problem(a, SYNTAX_ERROR,
						"Write name=value; a \"=\" in a value must be written %3D.",
						"parameter %d of the address is not one name and one value", position);
			sound = false;
			break;
		}
		*eq = '\0';
		for (i = 0; i < nseen; i++)
		{
			if (strcmp(seen[i], p) == 0)
			{
				add_problem(a, INVALID_PARAMETER, NULL,
							"parameter %d of the address is given twice", position);
				sound = false;
			}
		}
		seen[nseen++] = p;
		if (strcmp(p, "ssl") != 0 && strcmp(p, "requiressl") != 0)
		{
			int			before = a->nproblems;

			check_name(a, p, position);
			sound &= a->nproblems == before;
		}
		sound &= check_escapes(a, eq + 1, strlen(eq + 1), "parameters");
		if (eq[1] == '\0')
			add_notice(a, "a parameter of the address has no value and is left out");
		else
		{
			if (out[0] != '\0')
				strcat(out, "&");
			strcat(out, p);
			strcat(out, "=");
			strcat(out, eq + 1);
		}
		p = next;
	}
	/* it was cut into pieces */
	if (copy != NULL)
		explicit_bzero(copy, len);
	free(copy);
	return sound;
}

/* ----------------------------------------------------------------
 * libpq
 * ----------------------------------------------------------------
 */

/* Takes over what libpq read; its error text is never shown. */
static bool
take_from_libpq(PcfgAddress *a, const char *text)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(text, &error);
	PQconninfoOption *o;
	int			n = 0;

	if (error != NULL)
		PQfreemem(error);
	if (options == NULL)
	{
		add_problem(a, SYNTAX_ERROR, "Its form is postgresql://user:password@host:port/database?name=value, or host=... user=... password=....",
					"the address cannot be read");
		return false;
	}
	for (o = options; o->keyword != NULL; o++)
		n += o->val != NULL;
	a->keywords = calloc((size_t) n + 1, sizeof(PcfgKeyword));
	for (o = options; a->keywords != NULL && o->keyword != NULL; o++)
	{
		if (o->val == NULL || o->val[0] == '\0')
			continue;
		a->keywords[a->nkeywords].name = strdup(o->keyword);
		a->keywords[a->nkeywords].value = strdup(o->val);
		if (a->keywords[a->nkeywords].name == NULL || a->keywords[a->nkeywords].value == NULL)
			a->out_of_memory = true;
		a->nkeywords++;
	}
	for (o = options; o->keyword != NULL; o++)
	{
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	}
	PQconninfoFree(options);
	if (a->keywords == NULL)
		a->out_of_memory = true;
	return !a->out_of_memory;
}

static const char *
value_of(const PcfgAddress *a, const char *name)
{
	int			i;

	for (i = 0; i < a->nkeywords; i++)
	{
		if (a->keywords[i].name != NULL && strcmp(a->keywords[i].name, name) == 0)
			return a->keywords[i].value;
	}
	return NULL;
}

static int
count_items(const char *list)
{
	int			n = list != NULL && list[0] != '\0';

	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* What is wrong with the values, whichever form they came in. */
static void
check_values(PcfgAddress *a)
{
	const char *host = value_of(a, "host");
	const char *hostaddr = value_of(a, "hostaddr");
	const char *port = value_of(a, "port");
	const char *dbname = value_of(a, "dbname");
	const char *password = value_of(a, "password");
	int			nhosts = count_items(host) > count_items(hostaddr) ?
		count_items(host) : count_items(hostaddr);

	if (nhosts == 0)
		add_problem(a, INVALID_PARAMETER, "Name a host, or a directory of a unix socket.",
					"the address names no host");
	if (host != NULL && strpbrk(host, "@ ?#") != NULL)
		add_problem(a, INVALID_PARAMETER,
					"A password with \"@\" in it must be percent-encoded: %40.",
					"a host of the address is not a host name");
	while (port != NULL && *port != '\0')
	{
		size_t		len = strcspn(port, ",");

		if (!port_is_valid(port, len))
		{
			bad_port(a);
			break;
		}
		port += len + (port[len] == ',');
	}
	port = value_of(a, "port");
	if (count_items(port) > 1 && count_items(port) != nhosts)
		add_problem(a, INVALID_PARAMETER, "Give as many ports as hosts, or one for all.",
					"the address has %d hosts and %d ports", nhosts, count_items(port));
	if (dbname != NULL && (strstr(dbname, "://") != NULL || strchr(dbname, '=') != NULL))
		add_problem(a, INVALID_PARAMETER, NULL,
					"the database name of the address is an address itself");
	if (password != NULL && pcfg_parameter_is_placeholder(password))
		add_problem(a, INVALID_PARAMETER, "Put the real password in its place.",
					"the password of the address is a placeholder");
}

/* ----------------------------------------------------------------
 * the forms
 * ----------------------------------------------------------------
 */

/* postgresql://, whose first "scheme_len" bytes are the scheme. */
static void
parse_uri(PcfgAddress *a, const char *text, size_t scheme_len)
{
	const char *rest = text + scheme_len + 3;
	const char *slash = rest + strcspn(rest, "/");
	const char *question = strchr(slash, '?');
	const char *path_end = question != NULL ? question : slash + strlen(slash);
	const char *at = memchr(rest, '@', (size_t) (slash - rest));
	char	   *kept;
	char	   *query;

	if (question == NULL && slash[0] == '\0')
	{
		/* no path: parameters may follow the host, if behind the user */
		const char *from = at != NULL ? at : rest;

		question = strchr(from, '?');
		if (question != NULL)
			slash = path_end = question;
	}
	if (at != NULL && memchr(at + 1, '@', (size_t) (slash - at - 1)) != NULL)
	{
		add_problem(a, INVALID_PARAMETER, "An \"@\" in the user or password must be written %40.",
					"the address has more than one \"@\"");
		return;
	}
	if (at == NULL && memchr(slash, '@', (size_t) (path_end - slash)) != NULL)
	{
		add_problem(a, INVALID_PARAMETER, "A \"/\" in the user or password must be written %2F.",
					"the address has an \"@\" behind a \"/\"");
		return;
	}
	if (strchr(slash, '#') != NULL)
	{
		add_problem(a, INVALID_PARAMETER, "Write it as %23, or leave the part behind it out.",
					"the address has a \"#\", which drivers read in different ways");
		return;
	}
	if (memchr(slash, '&', (size_t) (path_end - slash)) != NULL)
	{
		add_problem(a, INVALID_PARAMETER, "The first parameter follows a \"?\", the others a \"&\".",
					"the database name of the address has a \"&\"");
		return;
	}
	if ((at != NULL && !check_escapes(a, rest, (size_t) (at - rest), "user or password")) ||
		!check_escapes(a, at != NULL ? at + 1 : rest,
					   (size_t) (slash - (at != NULL ? at + 1 : rest)), "host") ||
		!check_hosts(a, at != NULL ? at + 1 : rest, slash) ||
		!check_escapes(a, slash, (size_t) (path_end - slash), "database name"))
		return;

	kept = malloc(2 * strlen(text) + 32);
	query = malloc(strlen(text) + 2);
	if (kept != NULL)
		kept[0] = '\0';
	if (query != NULL)
		query[0] = '\0';
	if (kept == NULL || query == NULL)
		a->out_of_memory = true;
	else if (check_query(a, question != NULL ? question + 1 : "", query))
	{
		size_t		len = (size_t) ((question != NULL ? question : text + strlen(text)) - rest);

		if (at != NULL || rest < slash)
		{
			if (slash > (at != NULL ? at + 1 : rest) &&
				(strstr(query, "host=") == query || strstr(query, "&host=") != NULL))
				add_problem(a, INVALID_PARAMETER, NULL, "the address names its host twice");
		}
		sprintf(kept, "postgresql://%.*s%s%s", (int) len, rest, query[0] != '\0' ? "?" : "", query);
		if (a->nproblems == 0 && take_from_libpq(a, kept))
			check_values(a);
	}
	wipe_free(kept);
	wipe_free(query);
}

/* The names of a keyword string, as libpq would cut it. */
static bool
check_keyword_string(PcfgAddress *a, const char *text)
{
	char		seen[32][32];
	int			nseen = 0;
	int			position = 0;
	const char *p = text;

	for (;;)
	{
		char		name[32];
		size_t		len;
		int			i;

		p += strspn(p, " ");
		if (*p == '\0')
			return true;
		position++;
		len = strcspn(p, " =");
		snprintf(name, sizeof(name), "%.*s", (int) (len < 31 ? len : 31), p);
		p += len;
		p += strspn(p, " ");
		if (*p != '=' || len == 0)
		{
			add_problem(a, SYNTAX_ERROR,
						"Write name=value; a value with blanks stands in single quotes.",
						"part %d of the address is not a name and a value", position);
			return false;
		}
		check_name(a, name, position);
		for (i = 0; i < nseen; i++)
		{
			if (strcmp(seen[i], name) == 0)
				add_problem(a, INVALID_PARAMETER, NULL,
							"parameter %d of the address is given twice", position);
		}
		if (nseen < 32)
			memcpy(seen[nseen++], name, sizeof(name));
		p++;
		p += strspn(p, " ");
		if (*p == '\'')
		{
			for (p++; *p != '\0' && *p != '\''; p++)
			{
				if (*p == '\\' && p[1] != '\0')
					p++;
			}
			if (*p != '\'')
			{
				add_problem(a, SYNTAX_ERROR, NULL, "the address has an unclosed quote");
				return false;
			}
			p++;
		}
		else
		{
			for (; *p != '\0' && *p != ' '; p++)
			{
				if (*p == '\\' && p[1] != '\0')
					p++;
			}
		}
	}
}

/* Is what stands before "://" a scheme that may be shown? */
static bool
scheme_is_showable(const char *text, size_t len)
{
	size_t		i;

	for (i = 0; i < len; i++)
	{
		if (!isalnum((unsigned char) text[i]) && strchr("+.-", text[i]) == NULL)
			return false;
	}
	return len > 0 && len <= 30;
}

static void
parse_by_scheme(PcfgAddress *a, const char *text, size_t len)
{
	bool		postgres = strncasecmp(text, "postgres", 8) == 0;

	if ((len == 10 && strncasecmp(text, "postgresql", 10) == 0) || (len == 8 && postgres))
	{
		if (strncmp(text, "postgresql", len) != 0)
			add_notice(a, "the scheme of the address is accepted in upper case, which libpq itself refuses");
		parse_uri(a, text, len);
	}
	else if (!scheme_is_showable(text, len))
		add_problem(a, INVALID_PARAMETER, "It begins with postgresql:// or postgres://.",
					"the address has no scheme that is known");
	else if (postgres && memchr(text, '+', len) != NULL)
		add_problem(a, INVALID_PARAMETER,
					"Write postgresql:// without the driver; a parameter may have another name there: connect_timeout, not timeout; sslmode, not ssl.",
					"addresses of SQLAlchemy with a driver (\"%.*s\") are not read yet", (int) len, text);
	else
		add_problem(a, INVALID_PARAMETER, "It begins with postgresql:// or postgres://.",
					"\"%.*s\" is not the scheme of a PostgreSQL address", (int) len, text);
}

/* What comes along when an address is copied from a console or a file. */
static bool
check_accidents(PcfgAddress *a, const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *eq = strchr(text, '=');

	if (text[0] == '\'' || text[0] == '"' || text[0] == '`')
		add_problem(a, INVALID_PARAMETER, "Leave the quotes around the address out.",
					"the address begins with a quote");
	else if (strncmp(text, "psql ", 5) == 0)
		add_problem(a, INVALID_PARAMETER, "Leave the command out and keep the address.",
					"the address begins with a psql command");
	else if (scheme != NULL && eq != NULL && eq < scheme && eq - text <= 64 &&
			 strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == (size_t) (eq - text))
		add_problem(a, INVALID_PARAMETER, "Leave the name and the \"=\" before the address out.",
					"the address begins with the name of a variable");
	else if (strncmp(text, "PGPASSWORD=", 11) == 0)
		add_problem(a, INVALID_PARAMETER, NULL, "the address begins with the name of a variable");
	return a->nproblems == 0;
}

static void
parse_trimmed(PcfgAddress *a, const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *eq = strchr(text, '=');

	if (text[0] == '\0')
		add_problem(a, INVALID_PARAMETER, "Its form is postgresql://user:password@host:port/database.",
					"the address is empty");
	else if (!pcfg_parameter_is_sound(text))
		add_problem(a, INVALID_PARAMETER, NULL,
					"the address has a control character or is not valid UTF-8");
	else if (!check_accidents(a, text))
		return;
	else if (strncasecmp(text, "jdbc:", 5) == 0)
		add_problem(a, INVALID_PARAMETER,
					"Write postgresql://user:password@host:port/database instead.",
					"addresses of JDBC are not read");
	else if (scheme != NULL && (eq == NULL || scheme < eq))
		parse_by_scheme(a, text, (size_t) (scheme - text));
	else if (eq == NULL)
		add_problem(a, SYNTAX_ERROR, "Its form is postgresql://user:password@host:port/database, or host=... user=... password=....",
					"the address is neither a URL nor a list of name=value");
	else if (check_keyword_string(a, text) && a->nproblems == 0 && take_from_libpq(a, text))
		check_values(a);
}

void
pcfg_address_parse(PcfgAddress *a, const char *text)
{
	size_t		len;
	char	   *copy;

	memset(a, 0, sizeof(*a));
	text += strspn(text, " \t\r\n\f\v");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n\f\v", text[len - 1]) != NULL)
		len--;
	if (len > PCFG_ADDRESS_MAX)
	{
		add_problem(a, INVALID_PARAMETER, NULL, "the address is longer than %d bytes", PCFG_ADDRESS_MAX);
		return;
	}
	copy = malloc(len + 1);
	if (copy == NULL)
	{
		a->out_of_memory = true;
		return;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	parse_trimmed(a, copy);
	wipe_free(copy);
}
