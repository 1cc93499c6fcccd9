/*-------------------------------------------------------------------------
 *
 * worker/login.c
 *	  From keywords to a proven socket: hosts and their addresses one by one,
 *	  each with its time.
 *
 * Floor 9; worker.
 *
 * libpq would try them itself, but its non-blocking calls know no time limit
 * and look names up synchronously, so it is given one address at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "worker/hosts.h"
#include "worker/login.h"
#include "worker/resolver.h"

typedef enum Phase
{
	NEXT_HOST,					/* pcfg_login_tick begins the next one */
	RESOLVING,
	NEXT_ADDRESS,
	ATTEMPTING,
	ENDED						/* pcfg_login_tick tells the result */
} Phase;

struct PcfgLogin
{
	Phase		phase;
	PcfgTime	step_timeout;	/* of a name, or of an address until it is proven */
	PcfgTime	step_deadline;
	PcfgTime	deadline;
	PcfgLoginDone done;
	void	   *arg;

	PcfgHosts	hosts;
	PcfgHost	host;			/* the present one */
	char		addresses[PCFG_MAX_ADDRESSES][PCFG_ADDRESS_LEN];
	int			naddresses;		/* -1 = none wanted: a unix socket */
	int			address;		/* the next one */
	PcfgLookup *lookup;

	PcfgAttemptWhat what;
	PcfgAttempt *attempt;
	bool		password_reread;	/* once in a login */

	PcfgLoginResult result;
};

static void
set_failure(PcfgLogin *login, const char *sqlstate, const char *message)
{
	pcfg_login_failure_set(&login->result.failure, sqlstate, message);
}

static void
name_resolved(void *arg, char (*addresses)[PCFG_ADDRESS_LEN], int n, const char *reason)
{
	PcfgLogin  *login = arg;

	login->lookup = NULL;
	login->naddresses = n;
	login->address = 0;
	if (n > 0)
		memcpy(login->addresses, addresses, (size_t) n * PCFG_ADDRESS_LEN);
	else
	{
		char		text[PCFG_CAUSE_LEN];

		snprintf(text, sizeof(text), "could not find the address of host \"%s\": %s",
				 login->host.name, reason);
		set_failure(login, "08001", text);
	}
	login->phase = NEXT_ADDRESS;
}

/* Begins with the next host of the list; ends the login behind the last. */
static void
next_host(PcfgLogin *login, PcfgTime now)
{
	if (!pcfg_hosts_next(&login->hosts, &login->host))
	{
		login->phase = ENDED;
		return;
	}
	login->step_deadline = Min(now + login->step_timeout, login->deadline);
	login->address = 0;
	login->phase = NEXT_ADDRESS;
	if (login->host.address[0] != '\0')
	{
		strlcpy(login->addresses[0], login->host.address, PCFG_ADDRESS_LEN);
		login->naddresses = 1;
	}
	else if (login->host.name[0] == '/')
		login->naddresses = -1;
	else if (login->host.name[0] == '\0')
	{
		login->naddresses = 0;
		set_failure(login, "08001", "a host of the target is empty or its name is too long");
	}
	else
	{
		login->phase = RESOLVING;
		login->lookup = pcfg_resolver_start(login->host.name, name_resolved, login);
	}
}

static void
next_address(PcfgLogin *login, PcfgTime now)
{
	if (login->address >= (login->naddresses < 0 ? 1 : login->naddresses))
	{
		login->phase = NEXT_HOST;
		return;
	}
	login->what.address = login->naddresses < 0 ? NULL : login->addresses[login->address];
	login->address++;
	login->step_deadline = Min(now + login->step_timeout, login->deadline);
	login->attempt = pcfg_attempt_start(&login->what, &login->result);
	login->phase = ATTEMPTING;
	if (login->attempt == NULL)
	{
		set_failure(login, "53200", "the worker is out of memory");
		login->phase = ENDED;
	}
}

static void
end_step(PcfgLogin *login, Phase next)
{
	pcfg_resolver_abandon(login->lookup);
	login->lookup = NULL;
	pcfg_attempt_end(login->attempt);
	login->attempt = NULL;
	login->phase = next;
}

/* The name, or the address, had its time; others have theirs. */
static void
time_out(PcfgLogin *login, PcfgTime now, const char *format, Phase next)
{
	char		text[PCFG_CAUSE_LEN];

	snprintf(text, sizeof(text), format,
			 login->host.name[0] != '\0' ? login->host.name : login->addresses[0],
			 login->host.port);
	set_failure(login, "08001", text);
	end_step(login, now >= login->deadline ? ENDED : next);
}

/* What has come of the present attempt. */
static void
look_at_attempt(PcfgLogin *login, PcfgTime now)
{
	switch (pcfg_attempt_state(login->attempt))
	{
		case PCFG_ATTEMPT_CONNECTING:
			if (now >= login->step_deadline)
				time_out(login, now, "the connect to host \"%s\" port %s did not finish within connect_timeout", NEXT_ADDRESS);
			break;
		case PCFG_ATTEMPT_PROVING:
			if (now >= login->step_deadline)
				time_out(login, now, "init_sql at host \"%s\" port %s did not finish within connect_timeout", NEXT_HOST);
			break;
		case PCFG_ATTEMPT_FAILED:
			end_step(login, NEXT_ADDRESS);
			break;
		case PCFG_ATTEMPT_OUTDATED:
			if (!login->password_reread)
			{
				login->password_reread = true;
				login->address--;	/* the same one again */
				end_step(login, NEXT_ADDRESS);
				break;
			}
			/* FALLTHROUGH */
		case PCFG_ATTEMPT_REFUSED:
		case PCFG_ATTEMPT_PROVEN:
			end_step(login, ENDED);
			break;
	}
}

static void
destroy(PcfgLogin *login)
{
	pcfg_credentials_release(login->what.set);
	pcfg_hosts_free(&login->hosts);
	free(login);
}

PcfgLogin *
pcfg_login_start(PcfgCredentialSet *set, PcfgTime step_timeout, PcfgTime deadline,
				 int encoding, bool ask_pid, PcfgLoginDone done, void *arg)
{
	PcfgLogin  *login = calloc(1, sizeof(*login));

	if (login == NULL)
	{
		pcfg_credentials_release(set);
		return NULL;
	}
	login->phase = NEXT_HOST;
	login->step_timeout = step_timeout;
	login->deadline = deadline;
	login->done = done;
	login->arg = arg;
	login->what.set = set;
	login->what.hosts = &login->hosts;
	login->what.host = &login->host;
	login->what.encoding = encoding;
	login->what.ask_pid = ask_pid;
	login->result.sock = -1;
	pcfg_hosts_init(&login->hosts, set);
	set_failure(login, "08001", "the target names no host");
	return login;
}

void
pcfg_login_abandon(PcfgLogin *login)
{
	end_step(login, ENDED);
	destroy(login);
}

/* The end: tells the result. */
static void
finish(PcfgLogin *login)
{
	PcfgLoginResult result = login->result;
	PcfgLoginDone done = login->done;
	void	   *arg = login->arg;

	destroy(login);
	done(arg, &result);
}

PcfgTime
pcfg_login_tick(PcfgLogin *login, PcfgTime now)
{
	for (;;)
	{
		Phase		before = login->phase;

		switch (login->phase)
		{
			case NEXT_HOST:
				next_host(login, now);
				break;
			case RESOLVING:
				if (now >= login->step_deadline)
					time_out(login, now, "the address of host \"%s\" (port %s) was not found within connect_timeout", NEXT_HOST);
				break;
			case NEXT_ADDRESS:
				next_address(login, now);
				break;
			case ATTEMPTING:
				look_at_attempt(login, now);
				break;
			case ENDED:
				finish(login);
				return PCFG_FOREVER;
		}
		if (login->phase == before)
			return login->step_deadline;
	}
}
