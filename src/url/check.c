/*-------------------------------------------------------------------------
 *
 * url/check.c
 *	  What can be said of an address as a whole: hosts and ports, encryption,
 *	  providers.
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "url/parameter.h"
#include "url/server_setting.h"

#define DEFAULT_PORT	"5432"
#define HOST_MAX		255		/* bytes; what the worker has room for */

typedef struct Check
{
	PcfgAddress *address;
	PcfgFindings *findings;
	PcfgArena  *arena;
} Check;

static const char *
get(const Check *c, const char *name)
{
	return pcfg_address_value(c->address, name);
}

static bool
is(const Check *c, const char *name, const char *value)
{
	const char *present = get(c, name);

	return present != NULL && strcmp(present, value) == 0;
}

/* ----------------------------------------------------------------
 * hosts and ports
 * ----------------------------------------------------------------
 */

static int
count_items(const char *list)
{
	int			n = list != NULL && list[0] != '\0';

	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* The i-th item of a comma list; "" behind its end. */
static const char *
item(const Check *c, const char *list, int i)
{
	for (; list != NULL && i > 0; i--)
	{
		list = strchr(list, ',');
		list = list != NULL ? list + 1 : NULL;
	}
	return list != NULL ? pcfg_arena_text(c->arena, list, strcspn(list, ",")) : "";
}

/* Two colons or more, and nothing that an address of IPv6 cannot have. */
static bool
is_ipv6(const char *host)
{
	size_t		n = strspn(host, "0123456789abcdefABCDEF:.");
	const char *colon = strchr(host, ':');

	return colon != NULL && strchr(colon + 1, ':') != NULL &&
		(host[n] == '\0' || (host[n] == '%' && host[n + 1] != '\0' &&
							 strpbrk(host + n + 1, "%:/@ ") == NULL));
}

/* Letters, digits, and what is not ASCII: no mark that an address may have. */
static bool
is_name(const char *host)
{
	const char *p;

	for (p = host; *p != '\0'; p++)
	{
		if (!isalnum((unsigned char) *p) && (unsigned char) *p < 0x80 && strchr(".-_", *p) == NULL)
			return false;
	}
	return p > host && p - host <= HOST_MAX;
}

static bool
check_host(Check *c, const char *host)
{
	if (is_name(host) || (strlen(host) <= HOST_MAX && (host[0] == '/' || is_ipv6(host))))
		return true;
	if (pcfg_parameter_is_placeholder(host))
	{
		pcfg_finding_add(c->findings, PCFG_E_PLACEHOLDER, "Put the real one in its place.",
						 "the host of the address is a placeholder");
		return false;
	}
	pcfg_finding_add(c->findings, PCFG_E_HOST,
					 host[0] == '\0' ? "Name a host, or a directory of a unix socket." :
					 "A password with \"@\" in it must be percent-encoded: %40; a port stands in \"port\".",
					 host[0] == '\0' ? "a host of the address is empty" :
					 "a host of the address is not a host name");
	return false;
}

static bool
check_port(Check *c, const char *port)
{
	size_t		len = strlen(port);

	if (len == 0 || (len < 6 && strspn(port, "0123456789") == len &&
					 atol(port) >= 1 && atol(port) <= 65535))
		return true;
	pcfg_finding_add(c->findings, PCFG_E_PORT,
					 "A password with \"@\", \":\" or \"/\" in it must be percent-encoded: %40, %3A, %2F.",
					 "a port of the address is not a number from 1 to 65535");
	return false;
}

/*
 * asyncpg takes the file of a socket, too: /directory/.s.PGSQL.port
 */
static const char *
split_socket_file(Check *c, const char *host, const char **port)
{
	static const char mark[] = "/.s.PGSQL.";
	const char *file = strstr(host, mark);
	const char *suffix = file != NULL ? file + strlen(mark) : "";

	if (host[0] != '/' || file == host || suffix[0] == '\0')
		return host;
	if (!check_port(c, suffix))
		return host;
	if ((*port)[0] != '\0' && strcmp(*port, suffix) != 0)
		pcfg_finding_add(c->findings, PCFG_E_AMBIGUOUS, "Give the directory, and the port.",
						 "the file of a socket and the port of the address differ");
	*port = suffix;
	return pcfg_arena_text(c->arena, host, (size_t) (file - host));
}

/*
 * Lists become lists of the same length.  Works on what can be told, so that
 * all that is wrong is told.
 */
static void
check_hosts(Check *c, bool complete, bool asyncpg)
{
	const char *hosts = get(c, "host");
	const char *hostaddrs = get(c, "hostaddr");
	const char *ports = get(c, "port");
	int			nhosts = count_items(hosts);
	int			naddrs = count_items(hostaddrs);
	int			n = nhosts > naddrs ? nhosts : naddrs;
	int			nports = count_items(ports);
	const char *new_hosts = "";
	const char *new_ports = "";
	int			i;

	if (n == 0)
	{
		if (complete && c->findings->nerrors == 0)
			pcfg_finding_add(c->findings, PCFG_E_HOST, "Name a host, or a directory of a unix socket.",
							 "the address names no host");
		for (i = 0; i < nports; i++)
			(void) check_port(c, item(c, ports, i));
		return;
	}
	if ((nhosts > 0 && naddrs > 0 && nhosts != naddrs) || (nports > 1 && nports != n))
	{
		pcfg_finding_add(c->findings, PCFG_E_MULTIHOST, "Give as many ports as hosts, or one for all.",
						 "the address has %d hosts and %d %s", n,
						 nports > 1 && nports != n ? nports : naddrs,
						 nports > 1 && nports != n ? "ports" : "addresses of hosts");
		return;
	}
	for (i = 0; i < n; i++)
	{
		const char *host = item(c, hosts, i);
		const char *hostaddr = item(c, hostaddrs, i);
		const char *port = item(c, ports, nports == 1 ? 0 : i);

		if ((nhosts > 0 && !check_host(c, host)) || !check_port(c, port))
			continue;
		if (hostaddr[0] != '\0' && !is_ipv6(hostaddr) &&
			strspn(hostaddr, "0123456789.") != strlen(hostaddr))
			pcfg_finding_add(c->findings, PCFG_E_HOST, "Give a name in \"host\".",
							 "a hostaddr of the address is not an address of IPv4 or IPv6");
		if (asyncpg)
			host = split_socket_file(c, host, &port);
		if (n > 1 && port[0] == '\0')
			port = DEFAULT_PORT;
		new_hosts = i == 0 ? host : pcfg_arena_print(c->arena, "%s,%s", new_hosts, host);
		new_ports = i == 0 ? port : pcfg_arena_print(c->arena, "%s,%s", new_ports, port);
	}
	if (c->findings->nerrors > 0)
		return;
	if (nhosts > 0)
		pcfg_address_put(c->address, "host", new_hosts, PCFG_FROM_ADDRESS);
	if (new_ports[0] != '\0')
		pcfg_address_put(c->address, "port", new_ports, PCFG_FROM_ADDRESS);
	else
		pcfg_address_drop(c->address, "port");
	if (asyncpg && n > 1)
		pcfg_finding_add(c->findings, PCFG_N_TRANSLATED, NULL,
						 "the hosts of the address are tried in turn, as libpq does");
}

/* ----------------------------------------------------------------
 * who and what
 * ----------------------------------------------------------------
 */

static void
check_identity(Check *c)
{
	static const char *const parts[] = {"user", "password", "dbname"};
	const char *dbname = get(c, "dbname");
	int			i;

	if (dbname != NULL && (strstr(dbname, "://") != NULL || strchr(dbname, '=') != NULL))
		pcfg_finding_add(c->findings, PCFG_E_AMBIGUOUS, NULL,
						 "the database name of the address is an address itself");
	for (i = 0; i < 3; i++)
	{
		const char *value = get(c, parts[i]);

		if (value != NULL && pcfg_parameter_is_placeholder(value))
			pcfg_finding_add(c->findings, PCFG_E_PLACEHOLDER, "Put the real one in its place.",
							 "the %s of the address is a placeholder", parts[i]);
	}
}

/* ----------------------------------------------------------------
 * encryption
 * ----------------------------------------------------------------
 */

static void
check_tls(Check *c)
{
	const char *sslmode = get(c, "sslmode");
	bool		weak = sslmode == NULL || strcmp(sslmode, "disable") == 0 ||
		strcmp(sslmode, "allow") == 0 || strcmp(sslmode, "prefer") == 0;

	if (is(c, "channel_binding", "require") && is(c, "sslmode", "disable"))
		pcfg_finding_add(c->findings, PCFG_E_VALUE, "Set sslmode=require, or leave channel_binding out.",
						 "channel_binding=require needs TLS, and sslmode is disable");
	if (is(c, "sslrootcert", "system"))
	{
		if (sslmode == NULL)
			pcfg_address_put(c->address, "sslmode", "verify-full", PCFG_FROM_ADDRESS);
		else if (strcmp(sslmode, "verify-full") != 0)
			pcfg_finding_add(c->findings, PCFG_E_VALUE, "Set sslmode=verify-full.",
							 "sslrootcert=system needs a sslmode that checks the certificate");
	}
	if (is(c, "sslnegotiation", "direct") && weak)
		pcfg_finding_add(c->findings, PCFG_E_VALUE, "Set sslmode=require, or stronger.",
						 "sslnegotiation=direct needs a sslmode of require or stronger");
}

/* ----------------------------------------------------------------
 * providers
 * ----------------------------------------------------------------
 */

/* Is the id the first label of the host, perhaps without its "-pooler"? */
static bool
is_endpoint(const Check *c, const char *id, size_t len)
{
	const char *host = get(c, "host");
	size_t		label;

	if (host == NULL)
		return false;
	label = strcspn(host, ".");
	return (label == len && strncasecmp(host, id, len) == 0) ||
		(label == len + 7 && strncasecmp(host, id, len) == 0 &&
		 strncasecmp(host + len, "-pooler", 7) == 0);
}

/* Length of "endpoint=" or "project=" at the beginning, or 0. */
static size_t
endpoint_prefix(const char *text)
{
	return strncmp(text, "endpoint=", 9) == 0 ? 9 : strncmp(text, "project=", 8) == 0 ? 8 : 0;
}

static void
differing_endpoints(Check *c)
{
	pcfg_finding_add(c->findings, PCFG_E_AMBIGUOUS, "Leave it out: the host names the endpoint.",
					 "the address names another endpoint of Neon than its host");
}

/*
 * libpq tells the host's name in the TLS handshake, so Neon knows the
 * endpoint and takes a second one for an error or a part of the password.
 */
static void
strip_neon(Check *c)
{
	const char *password = get(c, "password");
	const char *options = get(c, "options");
	size_t		prefix = password != NULL ? endpoint_prefix(password) : 0;
	char	   *kept = pcfg_arena_take(c->arena, options != NULL ? strlen(options) + 1 : 1);

	if (kept == NULL)
		return;
	if (prefix > 0)
	{
		size_t		len = strcspn(password + prefix, ";$");

		if (password[prefix + len] == '\0' || !is_endpoint(c, password + prefix, len))
			differing_endpoints(c);
		else
		{
			pcfg_address_put(c->address, "password", password + prefix + len + 1, PCFG_FROM_ADDRESS);
			pcfg_finding_add(c->findings, PCFG_N_STRIPPED, NULL,
							 "the endpoint before the password is left out: the host names it");
		}
	}
	while (options != NULL && *options != '\0')
	{
		size_t		len = strcspn(options, " ");
		size_t		word = endpoint_prefix(options);

		if (word > 0 && !is_endpoint(c, options + word, len - word))
			differing_endpoints(c);
		else if (word > 0)
			pcfg_finding_add(c->findings, PCFG_N_STRIPPED, NULL,
							 "the endpoint in options is left out: the host names it");
		else if (len > 0)
		{
			if (kept[0] != '\0')
				strcat(kept, " ");
			strncat(kept, options, len);
		}
		options += len;
		options += strspn(options, " ");
	}
	if (get(c, "options") == NULL)
		return;
	if (kept[0] != '\0')
		pcfg_address_put(c->address, "options", kept, PCFG_FROM_ADDRESS);
	else
		pcfg_address_drop(c->address, "options");
}

static void
advise_tls(Check *c, const PcfgProvider *p)
{
	const char *sslmode = get(c, "sslmode");
	bool		plain = sslmode != NULL && (strcmp(sslmode, "disable") == 0 ||
											strcmp(sslmode, "allow") == 0 || strcmp(sslmode, "prefer") == 0);
	bool		verify = sslmode != NULL && strncmp(sslmode, "verify", 6) == 0;

	if (plain && strcmp(p->sslmode, "require") == 0)
		pcfg_finding_add(c->findings, PCFG_N_WARNING, "Set sslmode=require.",
						 "%s takes encrypted connections only", p->name);
	if (verify && (p->id == PCFG_RAILWAY || p->id == PCFG_RAILWAY_INTERNAL || p->id == PCFG_HEROKU))
		pcfg_finding_add(c->findings, PCFG_N_PROVIDER,
						 "sslmode=require encrypts without checking the certificate.",
						 "certificates of %s are its own and do not carry the host's name", p->name);
	if (is(c, "sslsni", "0") && (p->id == PCFG_NEON || p->id == PCFG_NEON_POOLER ||
								 ((p->id == PCFG_SUPAVISOR || p->id == PCFG_SUPAVISOR_SESSION) &&
								  (get(c, "user") == NULL || strchr(get(c, "user"), '.') == NULL))))
		pcfg_finding_add(c->findings, PCFG_E_VALUE, "Leave sslsni out.",
						 "sslsni=0 hides the name by which %s finds the database", p->name);
}

static void
advise(Check *c, const PcfgProvider *p)
{
	const char *timeout = get(c, "connect_timeout");

	if (timeout != NULL && (p->id == PCFG_NEON || p->id == PCFG_NEON_POOLER) && strtod(timeout, NULL) < 10)
		pcfg_finding_add(c->findings, PCFG_N_PROVIDER, "10 s or more is advised.",
						 "connect_timeout is short for a database of Neon that has to wake up");
	if (p->id == PCFG_RAILWAY && get(c, "port") == NULL)
		pcfg_finding_add(c->findings, PCFG_N_PROVIDER, "Each database has a port of its own there.",
						 "the address has no port, which is hardly right for %s", p->name);
	if ((p->id == PCFG_RENDER || p->id == PCFG_RENDER_INTERNAL) && get(c, "dbname") == NULL)
		pcfg_finding_add(c->findings, PCFG_N_PROVIDER, "Name it: ...@host/database.",
						 "the address names no database, which is hardly right for %s", p->name);
}

/* What the provider's name changes; nothing that is set is touched. */
static void
announce(Check *c, const PcfgProvider *p)
{
	pcfg_finding_add(c->findings, PCFG_N_PROVIDER,
					 p->pooler == PCFG_POOLER_TRANSACTION ?
					 "Behind a pooler between transactions nothing of a session is kept; its direct address does." :
					 p->cap > 0 ? pcfg_arena_print(c->arena, "Its smallest plan takes %d connections.", p->cap) : NULL,
					 "a database of %s: unless they are set, sslmode is %s, connect_timeout %ds, idle_timeout %ds, pool_recycle %ds%s%s",
					 p->name, p->sslmode, p->connect_timeout, p->idle_timeout, p->pool_recycle,
					 p->pooler != PCFG_POOLER_AUTO ? ", pooler " : "",
					 p->pooler == PCFG_POOLER_TRANSACTION ? "transaction" :
					 p->pooler == PCFG_POOLER_SESSION ? "session" : "");
}

static void
check_provider(Check *c, enum PcfgPooler pooler)
{
	const PcfgProvider *p = pcfg_provider_find(get(c, "host"), get(c, "port"));
	const char *options;

	if (p != NULL)
	{
		c->address->provider = p;
		if (p->id == PCFG_NEON || p->id == PCFG_NEON_POOLER)
			strip_neon(c);
		advise_tls(c, p);
		advise(c, p);
		if (get(c, "sslmode") == NULL)
			pcfg_address_put(c->address, "sslmode", p->sslmode, PCFG_FROM_PROVIDER);
		announce(c, p);
		if (pooler == PCFG_POOLER_AUTO)
			pooler = p->pooler;
	}
	options = get(c, "options");
	if (pooler == PCFG_POOLER_TRANSACTION && options != NULL &&
		pcfg_server_setting_needs_session(options))
		pcfg_finding_add(c->findings, PCFG_E_POOLER,
						 "Set it at the remote, with ALTER ROLE ... SET, or use an address that is not a pooler's.",
						 "a setting of the session would be lost in a pooler between transactions");
}

void
pcfg_check_address(PcfgAddress *address, bool complete, enum PcfgPooler pooler, bool asyncpg)
{
	Check		c = {address, &address->findings, &address->findings.arena};

	check_identity(&c);
	check_hosts(&c, complete, asyncpg);
	check_provider(&c, pooler);
	check_tls(&c);
	pcfg_address_sort(address);
}
