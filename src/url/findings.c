/*-------------------------------------------------------------------------
 *
 * url/findings.c
 *	  What is to be said of an address.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
pcfg_finding_add(PcfgFindings *findings, PcfgKind kind, const char *hint, const char *format,...)
{
	char		text[512];
	va_list		args;
	int			i;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (i = 0; i < findings->n; i++)
	{
		if (strcmp(findings->items[i].message, text) == 0)
			return;
	}
	findings->nerrors += kind < PCFG_ERRORS;
	i = findings->n;
	if (i == PCFG_MAX_FINDINGS)
	{
		/* an error takes the place of a notice */
		do
			i--;
		while (i >= 0 && findings->items[i].kind < PCFG_ERRORS);
		if (i < 0 || kind > PCFG_ERRORS)
			return;
	}
	else
		findings->n++;
	findings->items[i].kind = kind;
	findings->items[i].message = pcfg_arena_text(&findings->arena, text, strlen(text));
	findings->items[i].hint = hint != NULL ?
		pcfg_arena_text(&findings->arena, hint, strlen(hint)) : NULL;
}

const char *
pcfg_kind_sqlstate(PcfgKind kind)
{
	switch (kind)
	{
		case PCFG_E_SYNTAX:
			return "42601";
		case PCFG_E_UNKNOWN:
		case PCFG_E_DRIVER:
		case PCFG_E_REFUSED:
			return "HV00D";
		case PCFG_E_SETTING:
			return "HV024";
		case PCFG_E_VERSION:
		case PCFG_E_POOLER:
			return "0A000";
		case PCFG_E_PRIVILEGE:
			return "42501";
		default:
			return "22023";
	}
}
