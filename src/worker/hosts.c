/*-------------------------------------------------------------------------
 *
 * worker/hosts.c
 *	  The hosts of a target, one after another.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "common/pg_prng.h"
#include "worker/hosts.h"

/* As libpq, by default. */
#define DEFAULT_PORT	"5432"

/* The i-th item of a comma list; false when there is none, or no room for it. */
static bool
list_item(const char *list, int i, char *out, size_t size)
{
	size_t		len;

	out[0] = '\0';
	if (list == NULL)
		return false;
	while (i-- > 0)
	{
		list = strchr(list, ',');
		if (list == NULL)
			return false;
		list++;
	}
	len = strcspn(list, ",");
	if (len >= size)
		return false;
	memcpy(out, list, len);
	out[len] = '\0';
	return true;
}

static int
list_length_of(const char *list)
{
	int			n = 1;

	if (list == NULL || list[0] == '\0')
		return 0;
	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* Is the text an address already? */
static bool
is_address(const char *text)
{
	char		plain[PCFG_ADDRESS_LEN];
	unsigned char binary[sizeof(struct in6_addr)];

	strlcpy(plain, text, sizeof(plain));
	plain[strcspn(plain, "%")] = '\0';
	return inet_pton(AF_INET, plain, binary) == 1 || inet_pton(AF_INET6, plain, binary) == 1;
}

static void
shuffle(PcfgHosts *hosts)
{
	int			i;

	hosts->order = calloc((size_t) hosts->n, sizeof(int));
	for (i = 0; hosts->order != NULL && i < hosts->n; i++)
	{
		int			j = (int) pg_prng_uint64_range(&pg_global_prng_state, 0, i);

		hosts->order[i] = hosts->order[j];
		hosts->order[j] = i;
	}
}

void
pcfg_hosts_init(PcfgHosts *hosts, const PcfgCredentialSet *set)
{
	const char *balance = pcfg_credentials_value(set, "load_balance_hosts");

	memset(hosts, 0, sizeof(*hosts));
	hosts->set = set;
	hosts->n = Max(list_length_of(pcfg_credentials_value(set, "host")),
				   list_length_of(pcfg_credentials_value(set, "hostaddr")));
	if (balance != NULL && strcmp(balance, "random") == 0 && hosts->n > 1)
		shuffle(hosts);
}

void
pcfg_hosts_free(PcfgHosts *hosts)
{
	free(hosts->order);
	hosts->order = NULL;
}

static bool
is_prefer_standby(const char *session_attrs)
{
	return session_attrs != NULL && strcmp(session_attrs, "prefer-standby") == 0;
}

const char *
pcfg_hosts_session_attrs(const PcfgHosts *hosts, const char *wanted)
{
	if (!is_prefer_standby(wanted))
		return wanted;
	return hosts->second_round ? "any" : "standby";
}

bool
pcfg_hosts_next(PcfgHosts *hosts, PcfgHost *host)
{
	const char *ports = pcfg_credentials_value(hosts->set, "port");
	int			i;

	if (hosts->begun >= hosts->n && !hosts->second_round &&
		is_prefer_standby(pcfg_credentials_value(hosts->set, "target_session_attrs")))
	{
		hosts->second_round = true;
		hosts->begun = 0;
	}
	if (hosts->begun >= hosts->n)
		return false;
	i = hosts->order != NULL ? hosts->order[hosts->begun] : hosts->begun;
	hosts->begun++;
	(void) list_item(pcfg_credentials_value(hosts->set, "host"), i, host->name, sizeof(host->name));
	(void) list_item(pcfg_credentials_value(hosts->set, "hostaddr"), i, host->address, sizeof(host->address));
	if (host->address[0] == '\0' && is_address(host->name))
		strlcpy(host->address, host->name, sizeof(host->address));
	if (!list_item(ports, list_length_of(ports) == 1 ? 0 : i, host->port, sizeof(host->port)) ||
		host->port[0] == '\0')
		strlcpy(host->port, DEFAULT_PORT, sizeof(host->port));
	return true;
}
