/*
 * test_no_memory.c
 *	  An address is read while memory ends, at each place where it can.
 */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "url/address.h"
#include "url/engine.h"

static int	left = -1;			/* allocations that still succeed; -1 = all */

extern void *__real_calloc(size_t n, size_t size);

void *
__wrap_calloc(size_t n, size_t size)
{
	if (left == 0)
		return NULL;
	if (left > 0)
		left--;
	return __real_calloc(n, size);
}

static const struct
{
	const char *text;
	const char *args;
	const char *settings;
}			cases[] =
{
	{"postgresql://u:p%40@h1:1,h2:2/d?sslmode=require&connect_timeout=5&options=-c%20jit%3Doff", "{\"keepalives\": 1}", "{\"isolation_level\": \"SERIALIZABLE\"}"},
	{"host=h user='u' password='it\\'s' timeout=5 nothing=1", "{\"a\": [1, {\"b\": null}]}", "{\"pool_sise\": 1, \"init_sql\": \"select 1\"}"},
	{"postgresql+asyncpg://u:p@/d?host=h1:1&host=[::1]:2&ssl=require&x", "{\"timeout\": 2.5, \"server_settings\": {\"jit\": \"off\", \"application_name\": \"a\"}}", "{\"poolclass\": \"NullPool\"}"},
	{"postgresql://a:endpoint%3Dep-x-1%3Bs@ep-x-1-pooler.eu.aws.neon.tech/d?options=endpoint%3Dep-x-1%20-c%20timezone%3DUTC", NULL, NULL},
	{"postgresql+nothing://u:p@h/d", "[", "{"},
};

int
main(void)
{
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		complete = false;
		int			silent = 0;
		int			n;

		for (n = 0; n < 1000 && !complete; n++)
		{
			PcfgAddressInput input = {.text = cases[i].text, .connect_args = cases[i].args, .privileged = true};
			PcfgAddress a;
			PcfgEngine	e;

			left = n;
			pcfg_engine_parse(&e, cases[i].settings, false);
			input.options = e.options;
			pcfg_address_parse(&a, &input);
			complete = left > 0;
			left = -1;
			/* whoever ran out of it says so, and gives nothing out */
			if (!complete && !a.findings.arena.failed && !e.findings.arena.failed)
				silent++;
			if (a.findings.arena.failed && a.nkeywords > 0)
				silent++;
			pcfg_address_free(&a);
			pcfg_engine_free(&e);
		}
		ok(complete && n > 5, "%s: read with %d allocations", cases[i].text, n);
		/* the last round before the complete one may have had just enough */
		ok(silent <= 1, "and fewer are never taken for an address");
	}
	return tap_done();
}
