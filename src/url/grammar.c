/*-------------------------------------------------------------------------
 *
 * url/grammar.c
 *	  Whose form an address has, and its parts by that form.
 *
 * Floor 5; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/grammar.h"

#include <string.h>
#include <strings.h>

#include "shared/setting_table.h"
#include "url/libpq_form.h"
#include "url/sqlalchemy_form.h"

#define BLANKS	" \t\r\n\f\v"

static const struct
{
	const char *name;
	PcfgVocabulary vocabulary;
	bool		suffix;			/* SQLAlchemy has it behind a "+" */
}			drivers[] =
{
	{"psycopg2", PCFG_PSYCOPG2, true},
	{"psycopg2cffi", PCFG_PSYCOPG2, true},
	{"psycopg", PCFG_PSYCOPG, true},
	{"psycopg_async", PCFG_PSYCOPG, true},
	{"asyncpg", PCFG_ASYNCPG, true},
	{"psycopg3", PCFG_PSYCOPG, false},
	{"libpq", PCFG_LIBPQ, false}
};

#define NDRIVERS	((int) (sizeof(drivers) / sizeof(drivers[0])))
#define KNOWN_DRIVERS	"Known are psycopg2, psycopg, psycopg_async and asyncpg."

/* The row of a driver, by len bytes in any case; -1 if unknown. */
static int
find_driver(const char *name, size_t len)
{
	int			i;

	for (i = 0; i < NDRIVERS; i++)
		if (strlen(drivers[i].name) == len && strncasecmp(drivers[i].name, name, len) == 0)
			return i;
	return -1;
}

static void
refuse_driver(PcfgSplitter *s, const char *name, size_t len, const char *where)
{
	const char *names[NDRIVERS];
	const char *copy = pcfg_arena_text(&s->findings->arena, name, len);
	const char *nearest;
	int			i;

	if (strcasecmp(copy, "pg8000") == 0 || strcasecmp(copy, "jdbc") == 0)
	{
		pcfg_finding_add(s->findings, PCFG_E_SCHEME,
						 "Write postgresql://user:password@host:port/database; its time limit is connect_timeout.",
						 "addresses of %s are not read", strcasecmp(copy, "jdbc") == 0 ? "JDBC" : "pg8000");
		return;
	}
	for (i = 0; i < NDRIVERS; i++)
		names[i] = drivers[i].name;
	nearest = pcfg_nearest_name(copy, names, NDRIVERS);
	pcfg_finding_add(s->findings, PCFG_E_SCHEME,
					 nearest == NULL ? KNOWN_DRIVERS :
					 pcfg_arena_print(&s->findings->arena, "Perhaps you meant %s. " KNOWN_DRIVERS, nearest),
					 "the driver %s is not known", where);
}

/* postgresql+suffix; -1 when that cannot be. */
static int
suffix_driver(PcfgSplitter *s, const char *scheme, size_t len, size_t plus)
{
	const char *suffix = scheme + plus + 1;
	int			i = find_driver(suffix, len - plus - 1);

	if (i < 0 || (!drivers[i].suffix && strcmp(drivers[i].name, "psycopg3") != 0))
	{
		refuse_driver(s, suffix, len - plus - 1, "in the scheme of the address");
		return -1;
	}
	if (!drivers[i].suffix)
		pcfg_finding_add(s->findings, PCFG_N_ALIAS, NULL,
						 "the scheme of the address is read as postgresql+psycopg; SQLAlchemy itself knows no psycopg3");
	if (plus != 10 || strncmp(scheme, "postgresql", plus) != 0 || strncmp(suffix, drivers[i].name, len - plus - 1) != 0)
		pcfg_finding_add(s->findings, PCFG_N_ALIAS, NULL,
						 "the scheme of the address is read as postgresql+%s, in small letters; SQLAlchemy itself refuses it",
						 drivers[i].suffix ? drivers[i].name : "psycopg");
	return i;
}

/* Is what stands before "://" a scheme that may be shown? */
static bool
is_other_database(const char *scheme, size_t len)
{
	static const char *const others[] = {
		"mysql", "mariadb", "sqlite", "sqlite3", "mssql", "sqlserver", "oracle", "mongodb",
		"mongodb+srv", "redis", "rediss", "http", "https", "cockroachdb", "mysql+pymysql",
		"mysql+mysqldb", "sqlite+aiosqlite", "mysql+aiomysql"
	};
	size_t		i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == len && strncasecmp(others[i], scheme, len) == 0)
			return true;
	return false;
}

/* By its scheme, of len bytes. */
static void
split_by_scheme(PcfgSplitter *s, const char *text, size_t len, PcfgVocabulary named)
{
	const char *plus = memchr(text, '+', len);
	size_t		base = plus != NULL ? (size_t) (plus - text) : len;
	const char *rest = text + len + 3;
	int			i;

	if (!((base == 10 && strncasecmp(text, "postgresql", 10) == 0) ||
		  (base == 8 && strncasecmp(text, "postgres", 8) == 0)))
	{
		if (is_other_database(text, len))
			pcfg_finding_add(s->findings, PCFG_E_SCHEME, "It begins with postgresql:// or postgres://.",
							 "\"%.*s\" is not the scheme of a PostgreSQL address", (int) len, text);
		else
			pcfg_finding_add(s->findings, PCFG_E_SCHEME, "It begins with postgresql:// or postgres://.",
							 "the address has no scheme that is known");
		return;
	}
	if (plus == NULL)
	{
		if (strncmp(text, "postgresql", len) != 0)
			pcfg_finding_add(s->findings, PCFG_N_ALIAS, NULL,
							 "the scheme of the address is accepted in upper case, which libpq itself refuses");
		s->parts->grammar = PCFG_URI;
		s->parts->address_names = named == PCFG_ASYNCPG ? PCFG_ASYNCPG_DSN : PCFG_LIBPQ;
		pcfg_libpq_split_uri(s, rest);
		return;
	}
	i = suffix_driver(s, text, len, base);
	if (i < 0)
		return;
	if (named != 0 && named != drivers[i].vocabulary)
	{
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "Leave the driver out: the address names it.",
						 "the address is for %s, and the driver named beside it is another", drivers[i].name);
		return;
	}
	s->parts->grammar = PCFG_SQLALCHEMY;
	s->parts->driver = s->parts->address_names = s->parts->argument_names = drivers[i].vocabulary;
	pcfg_sqlalchemy_split(s, rest);
}

/* What comes along when an address is copied from a console or a file. */
static bool
check_accidents(PcfgSplitter *s, const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *eq = strchr(text, '=');
	size_t		len = strlen(text);
	int			before = s->findings->nerrors;

	if (strchr("'\"`", text[0]) != NULL || (scheme != NULL && strchr("'\"`", text[len - 1]) != NULL &&
											(eq == NULL || scheme < eq)))
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "Leave the quotes around the address out.",
						 "the address begins or ends with a quote");
	else if (strncmp(text, "psql ", 5) == 0)
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "Leave the command out and keep the address.",
						 "the address begins with a psql command");
	else if (strncmp(text, "export ", 7) == 0 ||
			 (scheme != NULL && eq != NULL && eq < scheme && eq - text <= 64 &&
			  strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == (size_t) (eq - text)) ||
			 strncmp(text, "PGPASSWORD=", 11) == 0)
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "Leave the name and the \"=\" before the address out.",
						 "the address begins with the name of a variable");
	else if (text[0] == '$')
		pcfg_finding_add(s->findings, PCFG_E_PLACEHOLDER, "Give what is in the variable.",
						 "the address is the name of a variable");
	return s->findings->nerrors == before;
}

static void
split_trimmed(PcfgSplitter *s, const char *text, PcfgVocabulary named)
{
	const char *scheme = strstr(text, "://");
	const char *eq = strchr(text, '=');

	if (text[0] == '\0')
		pcfg_finding_add(s->findings, PCFG_E_EMPTY, "Its form is postgresql://user:password@host:port/database.",
						 "the address is empty");
	else if (!pcfg_parameter_is_sound(text))
		pcfg_finding_add(s->findings, PCFG_E_ESCAPE, NULL,
						 "the address has a control character or is not valid UTF-8");
	else if (!check_accidents(s, text))
		return;
	else if (strncasecmp(text, "jdbc:", 5) == 0)
		refuse_driver(s, "jdbc", 4, "");
	else if (scheme != NULL && (eq == NULL || scheme < eq))
		split_by_scheme(s, text, (size_t) (scheme - text), named);
	else if (strncasecmp(text, "postgres", 8) == 0 && strcspn(text, ":") < strcspn(text, "= "))
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "It begins with postgresql:// or postgres://.",
						 "the scheme of the address is not followed by \"://\"");
	else if (eq == NULL)
		pcfg_finding_add(s->findings, PCFG_E_SYNTAX, PCFG_ADDRESS_FORM,
						 "the address is neither a URL nor a list of name=value");
	else if (named == PCFG_ASYNCPG)
		pcfg_finding_add(s->findings, PCFG_E_SCHEME, "Write postgresql://user:password@host:port/database.",
						 "asyncpg does not read addresses of the form name=value");
	else
	{
		s->parts->grammar = PCFG_KEYWORD_STRING;
		s->parts->address_names = PCFG_LIBPQ;
		pcfg_libpq_split_keywords(s, text);
	}
}

void
pcfg_grammar_split(PcfgParts *parts, PcfgFindings *findings, const char *text, const char *driver)
{
	PcfgSplitter	s = {parts, findings, 0};
	PcfgVocabulary named = 0;
	size_t		len;

	memset(parts, 0, sizeof(*parts));
	parts->driver = parts->address_names = parts->argument_names = PCFG_LIBPQ;
	if (driver != NULL)
	{
		int			i = find_driver(driver, strlen(driver));

		if (i < 0)
		{
			refuse_driver(&s, driver, strlen(driver), "named beside the address");
			return;
		}
		named = parts->driver = parts->argument_names = drivers[i].vocabulary;
	}
	if (text == NULL)
		return;
	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		len--;
	if (len > PCFG_ADDRESS_MAX)
		pcfg_finding_add(findings, PCFG_E_SYNTAX, NULL,
						 "the address is longer than %d bytes", PCFG_ADDRESS_MAX);
	else
		split_trimmed(&s, pcfg_arena_text(&findings->arena, text, len), named);
}

void
pcfg_grammar_add_arguments(PcfgParts *parts, PcfgFindings *findings, const PcfgJson *object)
{
	const PcfgJson *item;
	int			position = 0;

	for (item = object->first; item != NULL; item = item->next)
	{
		PcfgGiven  *given;

		position++;
		if (item->type == PCFG_JSON_NULL && strcmp(item->name, "prepare_threshold") != 0)
			continue;			/* as if it were not there */
		if (parts->ngiven == PCFG_MAX_GIVEN)
		{
			pcfg_finding_add(findings, PCFG_E_SYNTAX, NULL,
							 "connect_args has too many entries");
			return;
		}
		given = &parts->given[parts->ngiven++];
		memset(given, 0, sizeof(*given));
		given->name = item->name;
		given->value = item;
		given->position = position;
		given->argument = true;
	}
}
