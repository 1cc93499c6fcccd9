/*
 * test_address.c
 *	  Addresses: what is read, what is refused, and that nothing is repeated.
 */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "url/address.h"

/* Keywords as name=value;..., or the SQLSTATE of the first problem. */
static void
read_into(const char *text, char *out, size_t size)
{
	PcfgAddress a;
	int			i;

	pcfg_address_parse(&a, text);
	out[0] = '\0';
	if (a.nproblems > 0)
		snprintf(out, size, "%s", a.problems[0].sqlstate);
	for (i = 0; a.nproblems == 0 && i < a.nkeywords; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s=%s;", a.keywords[i].name, a.keywords[i].value);
	pcfg_address_free(&a);
}

/* Any text of ours that holds a part of the canary? */
static bool
leaks(const char *text)
{
	PcfgAddress a;
	bool		found = false;
	int			i;

	pcfg_address_parse(&a, text);
	for (i = 0; i < a.nproblems; i++)
		found |= strstr(a.problems[i].message, "nary") != NULL ||
			(a.problems[i].hint != NULL && strstr(a.problems[i].hint, "nary") != NULL);
	for (i = 0; i < a.nnotices; i++)
		found |= strstr(a.notices[i].message, "nary") != NULL;
	pcfg_address_free(&a);
	return found;
}

static const struct
{
	const char *text;
	const char *expected;
}			cases[] =
{
	{"postgresql://u:p@h/db", "user=u;password=p;dbname=db;host=h;"},
	{"postgres://u:p@h/db", "user=u;password=p;dbname=db;host=h;"},
	{"POSTGRESQL://u:p@h/db", "user=u;password=p;dbname=db;host=h;"},
	{" postgresql://u:p@h/db\n", "user=u;password=p;dbname=db;host=h;"},
	{"postgresql://u:p%40ss@h/db", "user=u;password=p@ss;dbname=db;host=h;"},
	{"postgresql://u:p#w@h/db", "user=u;password=p#w;dbname=db;host=h;"},
	{"postgresql://%2Frun%2Fpostgresql/db", "dbname=db;host=/run/postgresql;"},
	{"postgresql://u:p@[2001:db8::1]:5433/db", "user=u;password=p;dbname=db;host=2001:db8::1;port=5433;"},
	{"postgresql://u:p@h/db?ssl=true", "user=u;password=p;dbname=db;host=h;sslmode=require;"},
	{"postgresql://u:p@h/db?sslmode=", "user=u;password=p;dbname=db;host=h;"},
	{"postgresql://u:p@h?connect_timeout=5", "user=u;password=p;connect_timeout=5;host=h;"},
	{"host=h user=u password='p w' dbname=db", "user=u;password=p w;dbname=db;host=h;"},
	{"host=h password='it\\'s'", "password=it's;host=h;"},
	{"", "22023"},
	{"postgresql://u:p@ss@h/db", "22023"},
	{"postgresql://u:p/x@h/db", "22023"},
	{"postgresql://u:p%zz@h/db", "22023"},
	{"postgresql://u:p%00x@h/db", "22023"},
	{"postgresql://u:p@::1/db", "22023"},
	{"postgresql://u:p@h:abc/db", "22023"},
	{"postgresql://u:p@h:70000/db", "22023"},
	{"postgresql://u:p@[::1/db", "42601"},
	{"postgresql://u:p@h1,h2:5433/db", "22023"},
	{"postgresql://u:p@h1,h2/db?port=1,2,3", "22023"},
	{"postgresql://u:p@h1/db?host=h2", "22023"},
	{"postgresql://u:p@h/db?sslmode=require&sslmode=disable", "22023"},
	{"postgresql://u:p@h/db?timeout=5", "HV00D"},
	{"postgresql://u:p@h/db?pgbouncer=true", "HV00D"},
	{"postgresql://u:p@h/db?pool_size=5", "HV00D"},
	{"postgresql://u:p@h/db?options=endpoint=ep-x", "42601"},
	{"postgresql://u:p@h/db?a", "42601"},
	{"postgresql://u:p@h/db#frag", "22023"},
	{"postgresql://u:p@h/db&options=x", "22023"},
	{"postgresql://u:[YOUR-PASSWORD]@h/db", "22023"},
	{"postgresql://u:********@h/db", "22023"},
	{"postgresql://", "22023"},
	{"mysql://u:p@h/db", "22023"},
	{"jdbc:postgresql://h/db", "22023"},
	{"postgresql+asyncpg://u:p@h/db", "22023"},
	{"psql postgresql://u:p@h/db", "22023"},
	{"DATABASE_URL=postgresql://u:p@h/db", "22023"},
	{"'postgresql://u:p@h/db'", "22023"},
	{"postgresql://u:p@h/d\001b", "22023"},
	{"postgresql://u:\377@h/db", "22023"},
	{"host=h password='abc", "42601"},
	{"host=h sslmod=require", "HV00D"},
	{"host=h host=i", "22023"},
	{"host=h dbname=postgresql://u:p@h/db", "22023"},
	{"db.example.com", "42601"},
	{"user=u", "22023"},
};

int
main(void)
{
	static const char alphabet[] = "@:/?#&=%,[]+ '\\\"\tz1";
	char		out[1024];
	unsigned	seed = 4711;
	int			leaked = 0;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		read_into(cases[i].text, out, sizeof(out));
		ok(strcmp(out, cases[i].expected) == 0, "case %d%s%s", (int) i + 1,
		   strcmp(out, cases[i].expected) == 0 ? "" : ": read as ",
		   strcmp(out, cases[i].expected) == 0 ? "" : out);
	}
	for (i = 0; i < 50000; i++)
	{
		char		text[64] = "postgresql://u:canary@h:1/db?sslmode=canary";
		size_t		at = (size_t) rand_r(&seed) % 40;

		text[at] = alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
		text[13 + (size_t) rand_r(&seed) % 30] = alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
		leaked += leaks(text);
	}
	ok(leaked == 0, "50000 damaged addresses: no password is repeated");
	memset(out, 'x', sizeof(out) - 1);
	out[sizeof(out) - 1] = '\0';
	{
		char	   *huge = malloc(100001);

		memset(huge, '%', 100000);
		huge[100000] = '\0';
		read_into(huge, out, sizeof(out));
		ok(strcmp(out, "22023") == 0, "an address without end is refused for its length");
		free(huge);
	}
	return tap_done();
}
