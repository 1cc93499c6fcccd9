/*-------------------------------------------------------------------------
 *
 * url/sqlalchemy_form.c
 *	  SQLAlchemy's form of address: postgresql+driver://
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/sqlalchemy_form.h"

#include <string.h>

/*
 * Where the user and password end: the "@", or NULL without any.  A user has
 * no ":" and no "/"; a password ends at the first "@", whatever is in it.
 */
static const char *
sqlalchemy_at(const char *rest)
{
	const char *stop = rest + strcspn(rest, ":/");

	return *stop == ':' ? strchr(stop, '@') : memchr(rest, '@', (size_t) (stop - rest));
}

static void
split_sqlalchemy_host(PcfgSplitter *s, const char *host, const char *path)
{
	PcfgHostList hosts = {"", "", 0, 0};
	const char *colon = memchr(host, ':', (size_t) (path - host));
	bool		bracket = *host == '[';

	if (!bracket && colon != NULL && pcfg_split_has(colon, path, ',') && pcfg_split_has(colon + 1, path, ':'))
	{
		pcfg_finding_add(s->findings, PCFG_E_MULTIHOST, "Write ?host=h1:1&host=h2:2 behind the database.",
						 "SQLAlchemy does not take several hosts with their ports in this place");
		return;
	}
	if (pcfg_split_has(host, path, '%') && !bracket)
	{
		pcfg_finding_add(s->findings, PCFG_E_HOST, "Write the directory of a unix socket as ?host=/directory.",
						 "SQLAlchemy does not undo percent escapes in a host");
		return;
	}
	if (bracket ? path[-1] == ':' : colon != NULL && colon + 1 == path)
	{
		pcfg_finding_add(s->findings, PCFG_E_PORT, "Write the number, or leave the \":\" out.",
						 "the address has a \":\" behind its host, and no port");
		return;
	}
	if (!pcfg_split_hosts(s, &hosts, host, path))
		return;
	pcfg_split_give_identity(s, "host", hosts.hosts);
	if (hosts.nports > 0)
		pcfg_split_give_identity(s, "port", hosts.ports);
}

/* What the parameter host said, once or several times. */
static void
give_query_hosts(PcfgSplitter *s, PcfgQuery *q)
{
	if (q->nhosts == 0)
		return;
	pcfg_split_give(s, "host", q->hosts.hosts);
	if ((q->nhosts > 1 || q->hosts.nports > 0) && pcfg_split_is_given(s, "port"))
		pcfg_finding_add(s->findings, PCFG_E_MULTIHOST,
						 "Write host=h1:1&host=h2:2, or host=h1,h2&port=1,2.",
						 "the address mixes two ways to name several hosts");
	else if (q->hosts.nports > 0)
		pcfg_split_give(s, "port", q->hosts.ports);
}

/* postgresql+driver://, behind the "//". */
void
pcfg_sqlalchemy_split(PcfgSplitter *s, const char *rest)
{
	const char *at = sqlalchemy_at(rest);
	const char *host = at != NULL ? at + 1 : rest;
	const char *path = host + strcspn(host, "/?");
	const char *query = path + strcspn(path, "?");
	const char *colon = at != NULL ? memchr(rest, ':', (size_t) (at - rest)) : NULL;
	PcfgQuery	q = {.plus_is_blank = true, .hosts = {"", "", 0, 0}};
	bool		sound = true;
	const char *dbname;

	if (!pcfg_split_check_places(s, rest, at, path, query))
		return;
	pcfg_split_give_identity(s, "user", pcfg_split_decode(s, rest, colon != NULL ? colon : at, "user", &sound));
	pcfg_split_give_identity(s, "password", pcfg_split_decode(s, colon != NULL ? colon + 1 : NULL, at, "password", &sound));
	if (host < path)
		split_sqlalchemy_host(s, host, path);
	if (path < query)
	{
		dbname = pcfg_split_decode(s, path + 1, query, "database name", &sound);
		pcfg_split_give_identity(s, "dbname", dbname);
		if (dbname != NULL && pcfg_split_has(path, query, '%'))
			pcfg_finding_add(s->findings, PCFG_N_TRANSLATED, NULL,
							 "the percent escapes in the database name are undone; SQLAlchemy before 2.1 kept them");
	}
	if (*query == '?')
		pcfg_split_query(s, &q, query + 1);
	give_query_hosts(s, &q);
}
