/*
 * fuzz_address.c
 *	  Whatever stands in an address, connect_args, settings and driver.
 *
 * The input is these four, with a byte of zero between them; empty ones but
 * the address are not given.
 */
#include <libpq-fe.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "url/address.h"
#include "url/engine.h"
#include "url/parameter.h"

#define MUST(condition)		do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is told can be shown anywhere. */
static void
check_findings(const PcfgFindings *f)
{
	int			i;
	int			errors = 0;

	for (i = 0; i < f->n; i++)
	{
		errors += f->items[i].kind < PCFG_ERRORS;
		MUST(f->items[i].message[0] != '\0');
		if (f->items[i].hint != NULL)
			MUST(pcfg_parameter_is_sound(f->items[i].hint));
	}
	MUST((errors > 0) == (f->nerrors > 0));
}

/* A keyword string of the result comes to the same. */
static void
check_round_trip(const PcfgAddress *a)
{
	size_t		size = 16;
	char	   *text;
	char	   *p;
	PcfgAddress again;
	PcfgAddressInput input = {.privileged = true};
	int			i;

	if (a->provider != NULL)
		return;					/* what it adds or strips is not stable, nor need be */
	for (i = 0; i < a->nkeywords; i++)
	{
		if (strcmp(a->keywords[i].name, "connect_deadline") == 0 ||
			strcmp(a->keywords[i].name, "command_timeout") == 0)
			return;				/* not libpq's */
		if (strcmp(a->keywords[i].name, "connect_timeout") == 0 &&
			strchr(a->keywords[i].value, '.') != NULL)
			return;
		size += strlen(a->keywords[i].name) + 2 * strlen(a->keywords[i].value) + 4;
	}
	p = text = calloc(1, size);
	MUST(text != NULL);
	for (i = 0; i < a->nkeywords; i++)
	{
		const char *v;

		p = stpcpy(stpcpy(p, a->keywords[i].name), "='");
		for (v = a->keywords[i].value; *v != '\0'; v++)
		{
			if (*v == '\'' || *v == '\\')
				*p++ = '\\';
			*p++ = *v;
		}
		p = stpcpy(p, "' ");
	}
	input.text = text;
	pcfg_address_parse(&again, &input);
	if (strlen(text) < 8000)
	{
		MUST(again.findings.nerrors == 0);
		MUST(again.nkeywords == a->nkeywords);
		for (i = 0; i < a->nkeywords; i++)
		{
			MUST(strcmp(again.keywords[i].name, a->keywords[i].name) == 0);
			MUST(strcmp(again.keywords[i].value, a->keywords[i].value) == 0);
		}
	}
	pcfg_address_free(&again);
	free(text);
}

/* libpq reads a bare address as we do. */
static void
check_agreement(const PcfgAddress *a, const char *text)
{
	PQconninfoOption *options = PQconninfoParse(text, NULL);
	PQconninfoOption *o;
	bool		left_out = false;
	int			i;

	/* a name without a value is left out here, even one that this libpq lacks */
	for (i = 0; i < a->findings.n; i++)
		left_out |= a->findings.items[i].kind == PCFG_N_EMPTY;
	MUST(options != NULL || left_out);
	for (o = options; o != NULL && o->keyword != NULL; o++)
	{
		const char *ours = pcfg_address_value(a, o->keyword);

		if (o->val == NULL || o->val[0] == '\0' || strcmp(o->keyword, "port") == 0 ||
			strcmp(o->keyword, "connect_timeout") == 0 || strcmp(o->keyword, "sslcompression") == 0)
			continue;
		MUST(ours != NULL && strcmp(ours, o->val) == 0);
	}
	PQconninfoFree(options);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *copy = malloc(size + 4);
	const char *part[4];
	PcfgAddressInput input = {0};
	PcfgAddress a;
	PcfgEngine	e;
	char	   *p = copy;
	int			i;

	MUST(copy != NULL);
	memcpy(copy, data, size);
	memset(copy + size, 0, 4);
	for (i = 0; i < 4; i++)
	{
		part[i] = p;
		p += strlen(p);
		if (p < copy + size)
			p++;
	}
	pcfg_engine_parse(&e, part[2][0] != '\0' ? part[2] : NULL, false);
	check_findings(&e.findings);
	input.text = part[0];
	input.connect_args = part[1][0] != '\0' ? part[1] : NULL;
	input.driver = part[3][0] != '\0' ? part[3] : NULL;
	input.options = e.options;
	input.privileged = true;
	pcfg_address_parse(&a, &input);
	check_findings(&a.findings);
	MUST(a.findings.nerrors == 0 || a.nkeywords == 0);
	for (i = 0; i < a.nkeywords; i++)
		MUST(pcfg_parameter_is_sound(a.keywords[i].value) && a.keywords[i].value[0] != '\0');
	if (a.findings.nerrors == 0)
	{
		check_round_trip(&a);
		if (input.connect_args == NULL && input.driver == NULL && input.options == NULL &&
			a.provider == NULL && strncmp(part[0], "postgresql://", 13) == 0 &&
			part[0][strcspn(part[0], " \t\r\n\f\v")] == '\0' &&
			strstr(part[0], "requiressl") == NULL &&	/* "requiressl=" is prefer there */
			strstr(part[0], "load_balance_hosts") == NULL)	/* came with libpq 16 */
			check_agreement(&a, part[0]);
	}
	pcfg_address_free(&a);
	pcfg_engine_free(&e);
	free(copy);
	return 0;
}
