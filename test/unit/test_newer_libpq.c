/*
 * test_newer_libpq.c
 *	  Addresses with what came with later versions of libpq than the one here.
 */
#include <libpq-fe.h>
#include <string.h>

#include "tap.h"
#include "url/address.h"

/* libpq's list of keywords, and its version, are what the code asks for. */
extern PQconninfoOption *__real_PQconninfoParse(const char *text, char **error);
static PQconninfoOption newer[64];

PQconninfoOption *
__wrap_PQconninfoParse(const char *text, char **error)
{
	return text[0] == '\0' ? newer : __real_PQconninfoParse(text, error);
}

int
__wrap_PQlibVersion(void)
{
	return 180000;
}

static const struct
{
	const char *text;
	const char *args;
	const char *expected;		/* keywords, or the SQLSTATE of the first error */
}			cases[] =
{
	{"postgresql+asyncpg://u@h/db", "{\"ssl\": true}", "host=h;user=u;dbname=db;sslmode=verify-full;sslrootcert=system;"},
	{"postgresql+asyncpg://u@h/db?ssl=require", "{\"direct_tls\": true}", "host=h;user=u;dbname=db;sslmode=require;sslnegotiation=direct;"},
	{"postgresql+asyncpg://u@h/db", "{\"direct_tls\": true}", "22023"},
	{"postgresql+asyncpg://u@h/db", "{\"direct_tls\": \"false\"}", "22023"},
	{NULL, "{\"load_balance_hosts\": \"random\"}", "load_balance_hosts=random;"},
	{NULL, "{\"load_balance_hosts\": \"on\"}", "22023"},
	{NULL, "{\"brand_new\": \"on\"}", "HV00D"},
	{NULL, "{\"servicefile\": \"/x\"}", "0A000"},
	{NULL, "{\"sslrootcert\": \"system\"}", "sslmode=verify-full;sslrootcert=system;"},
	{NULL, "{\"sslrootcert\": \"system\", \"sslmode\": \"require\"}", "22023"},
	{NULL, "{\"sslnegotiation\": \"direct\"}", "22023"},
	{NULL, "{\"sslnegotiation\": \"direct\", \"sslmode\": \"require\"}", "sslmode=require;sslnegotiation=direct;"},
};

int
main(void)
{
	static char *const more[] = {"sslnegotiation", "load_balance_hosts", "require_auth", "brand_new"};
	PQconninfoOption *now = __real_PQconninfoParse("", NULL);
	int			n = 0;
	size_t		i;

	for (; now[n].keyword != NULL && n < 50; n++)
		newer[n].keyword = now[n].keyword;
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		newer[n++].keyword = more[i];
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		PcfgAddressInput input = {cases[i].text, cases[i].args, NULL, false, NULL, PCFG_POOLER_AUTO};
		PcfgAddress a;
		char		out[512] = "";
		int			j;

		pcfg_address_parse(&a, &input);
		if (a.findings.nerrors > 0)
			snprintf(out, sizeof(out), "%s", pcfg_kind_sqlstate(a.findings.items[0].kind));
		for (j = 0; j < a.nkeywords; j++)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s=%s;", a.keywords[j].name, a.keywords[j].value);
		ok(strcmp(out, cases[i].expected) == 0, "%s: %s", cases[i].args, out);
		pcfg_address_free(&a);
	}
	PQconninfoFree(now);
	return tap_done();
}
