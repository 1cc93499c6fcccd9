/*-------------------------------------------------------------------------
 *
 * worker/login.c
 *	  From keywords to an authenticated, detached, proven socket.
 *
 * Floor 6; worker.
 *
 * libpq does TCP, authentication and the start-up packet, one host and one
 * address at a time, because its non-blocking calls know no time limit.  Then
 * the socket is taken from it: a dummy is put under its number before
 * PQfinish, whose Terminate would otherwise go to the remote.  What libpq may
 * have left in its own buffer shows up in the proof that follows: init_sql
 * and a Sync are sent, and exactly their answers have to come.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mb/pg_wchar.h"
#include "worker/exchange.h"
#include "worker/login.h"
#include "worker/loop.h"
#include "worker/resolver.h"

/* As libpq, by default. */
#define DEFAULT_PORT	"5432"

typedef enum Phase
{
	NEXT_HOST,					/* pcfg_login_tick begins the next one */
	NEXT_ADDRESS,
	RESOLVING,
	CONNECTING,					/* libpq is at work */
	PROVING,					/* our own messages on the detached socket */
	ENDED						/* pcfg_login_tick tells the result */
} Phase;

struct PcfgLogin
{
	Phase		phase;
	PcfgCredentialSet *set;
	PcfgTime	host_timeout;
	PcfgTime	host_deadline;
	PcfgTime	deadline;
	int			encoding;
	PcfgLoginDone done;
	void	   *arg;

	int			host;			/* index in the lists of the keywords */
	int			nhosts;
	char		hostname[256];	/* "" = none given, only an address */
	char		port[16];
	char		addresses[PCFG_MAX_ADDRESSES][PCFG_ADDRESS_LEN];
	int			naddresses;		/* -1 = none wanted: a unix socket */
	int			address;

	PcfgLookup *lookup;
	PGconn	   *conn;
	PcfgWatch	watch;

	PcfgExchange *proof;

	PcfgLoginResult result;
};

/* ----------------------------------------------------------------
 * failures
 * ----------------------------------------------------------------
 */

/* Copies text with line ends and control characters made harmless. */
static void
copy_text(char *out, size_t size, const char *text)
{
	size_t		n = 0;

	for (; *text != '\0' && n + 1 < size; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == '\n' && text[1] == '\0')
			break;
		out[n++] = c < ' ' || c == 0x7f ? ' ' : (char) c;
	}
	out[n] = '\0';
}

static void
set_failure(PcfgLogin *login, const char *sqlstate, const char *message)
{
	strlcpy(login->result.sqlstate, sqlstate, sizeof(login->result.sqlstate));
	copy_text(login->result.message, sizeof(login->result.message), message);
}

static void
set_failure_at_host(PcfgLogin *login, const char *sqlstate, const char *format)
{
	char		text[PCFG_CAUSE_LEN];

	snprintf(text, sizeof(text), format,
			 login->hostname[0] != '\0' ? login->hostname : login->addresses[0],
			 login->port);
	set_failure(login, sqlstate, text);
}

/*
 * libpq's words.  Verbose errors carry the SQLSTATE behind the severity and a
 * line of source location: the one is taken out, the other left out.
 */
static void
set_failure_from_libpq(PcfgLogin *login)
{
	const char *text = PQerrorMessage(login->conn);
	char		cleaned[PCFG_CAUSE_LEN];
	char		sqlstate[6] = "08001";
	size_t		n = 0;

	while (*text != '\0' && n + 1 < sizeof(cleaned))
	{
		if (strncmp(text, "LOCATION:", 9) == 0)
		{
			text += strcspn(text, "\n");
			continue;
		}
		if (n > 3 && strncmp(cleaned + n - 3, ":  ", 3) == 0 &&
			strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
			text[5] == ':' && text[6] == ' ')
		{
			memcpy(sqlstate, text, 5);
			text += 7;
			n--;
			continue;
		}
		cleaned[n++] = *text++;
	}
	while (n > 0 && (cleaned[n - 1] == '\n' || cleaned[n - 1] == ' '))
		n--;
	cleaned[n] = '\0';
	set_failure(login, sqlstate, cleaned);
}

/* ----------------------------------------------------------------
 * pieces of a login
 * ----------------------------------------------------------------
 */

/* The i-th item of a comma list; false when there is none. */
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

static void
drop_connection(PcfgLogin *login)
{
	pcfg_resolver_abandon(login->lookup);
	login->lookup = NULL;
	pcfg_exchange_abandon(login->proof);
	login->proof = NULL;
	pcfg_watch_remove(&login->watch);
	if (login->conn != NULL)
		PQfinish(login->conn);
	login->conn = NULL;
	if (login->result.sock >= 0)
	{
		(void) shutdown(login->result.sock, SHUT_RDWR);
		(void) close(login->result.sock);
		login->result.sock = -1;
	}
	pcfg_cancel_key_free(login->result.key);
	login->result.key = NULL;
}

/* This address failed; the next one, or host, is tried from the tick. */
static void
fail_address(PcfgLogin *login)
{
	drop_connection(login);
	login->phase = NEXT_ADDRESS;
}

/*
 * A failure that other hosts would only repeat ends the login: the remote
 * answered, and said no.
 */
static void
fail_login(PcfgLogin *login)
{
	drop_connection(login);
	login->phase = ENDED;
}

static void
silence(void *arg, const PGresult *result)
{
}

/* ----------------------------------------------------------------
 * the proof
 * ----------------------------------------------------------------
 */

/* init_sql and a Sync were answered, or not. */
static void
proof_ended(void *arg, const PcfgExchangeResult *result)
{
	PcfgLogin  *login = arg;
	char		text[PCFG_CAUSE_LEN];

	login->proof = NULL;
	if (result->ok)
	{
		login->phase = ENDED;
		return;
	}
	snprintf(text, sizeof(text), result->refused ? "init_sql failed: %s" : "after login: %s",
			 result->message);
	set_failure(login, result->sqlstate, text);
	fail_login(login);
}

static void
start_proof(PcfgLogin *login)
{
	login->phase = PROVING;
	login->proof = pcfg_exchange_start(login->result.sock, login->set->init,
									   login->set->ninit, proof_ended, login);
	if (login->proof == NULL)
	{
		set_failure(login, "54000", "init_sql has too many statements, or the worker no memory");
		fail_login(login);
	}
}

/* ----------------------------------------------------------------
 * libpq
 * ----------------------------------------------------------------
 */

/*
 * Takes the socket from libpq.  -1 when the system refuses.  The dummy is one
 * end of a pair whose other end is closed: PQfinish writes its Terminate
 * there.
 */
static int
detach(PGconn *conn)
{
	int			theirs = PQsocket(conn);
	int			pair[2];
	int			sock;

	sock = fcntl(theirs, F_DUPFD_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
	{
		(void) close(sock);
		return -1;
	}
	(void) close(pair[1]);
	if (dup3(pair[0], theirs, O_CLOEXEC) < 0)
	{
		(void) close(pair[0]);
		(void) close(sock);
		return -1;
	}
	(void) close(pair[0]);
	return sock;
}

/* What a finished login must be like; false with the failure set. */
static bool
check_login(PcfgLogin *login)
{
	const char *encoding = PQparameterStatus(login->conn, "client_encoding");

	if (PQsslInUse(login->conn) || PQgssEncInUse(login->conn))
	{
		set_failure(login, "0A000",
					"the remote uses an encrypted connection, which is not supported yet; set sslmode=disable on the target if the network is trusted");
		return false;
	}
	if (encoding == NULL || pg_char_to_encoding(encoding) != login->encoding)
	{
		set_failure(login, "08004", "the remote did not accept the client_encoding of the local database");
		return false;
	}
	return true;
}

static void
login_done(PcfgLogin *login)
{
	PcfgLoginResult *r = &login->result;

	pcfg_watch_remove(&login->watch);
	if (!check_login(login))
	{
		fail_login(login);
		return;
	}
	r->remote_pid = PQbackendPID(login->conn);
	r->server_version = PQserverVersion(login->conn);
	r->password_used = PQconnectionUsedPassword(login->conn) != 0;
	r->key = pcfg_cancel_key_make(login->conn);
	r->sock = r->key != NULL ? detach(login->conn) : -1;
	PQfinish(login->conn);
	login->conn = NULL;
	if (r->sock < 0)
	{
		set_failure(login, "53000", "the worker has no descriptor or memory for another connection");
		fail_login(login);
		return;
	}
	start_proof(login);
}

/* The remote refused us itself: the same user and database everywhere. */
static bool
is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0;
}

static void
poll_libpq(void *arg)
{
	PcfgLogin  *login = arg;
	int			events = 0;

	switch (PQconnectPoll(login->conn))
	{
		case PGRES_POLLING_OK:
			login_done(login);
			return;
		case PGRES_POLLING_FAILED:
			set_failure_from_libpq(login);
			if (is_refusal(login->result.sqlstate))
				fail_login(login);
			else
				fail_address(login);
			return;
		case PGRES_POLLING_READING:
			events = PCFG_WATCH_READ;
			break;
		default:
			events = PCFG_WATCH_WRITE;
			break;
	}

	/* libpq may have closed its socket and opened another of the same number */
	pcfg_watch_remove(&login->watch);
	if (!pcfg_watch_set(&login->watch, PQsocket(login->conn), events))
	{
		set_failure(login, "53000", "the worker could not watch the connection");
		fail_address(login);
	}
}

/* Starts libpq on the present address of the present host. */
static void
start_libpq(PcfgLogin *login)
{
	PcfgCredentialSet *set = login->set;
	const char **keywords = calloc((size_t) set->nparams + 4, sizeof(char *));
	const char **values = calloc((size_t) set->nparams + 4, sizeof(char *));
	int			n = 0;
	int			i;

	if (keywords != NULL && values != NULL)
	{
		for (i = 0; i < set->nparams; i++)
		{
			if (strcmp(set->keywords[i], "host") == 0 ||
				strcmp(set->keywords[i], "hostaddr") == 0 ||
				strcmp(set->keywords[i], "port") == 0)
				continue;
			keywords[n] = set->keywords[i];
			values[n++] = set->values[i];
		}
		if (login->hostname[0] != '\0')
		{
			keywords[n] = "host";
			values[n++] = login->hostname;
		}
		if (login->naddresses >= 0)
		{
			keywords[n] = "hostaddr";
			values[n++] = login->addresses[login->address];
		}
		keywords[n] = "port";
		values[n++] = login->port;
		login->conn = PQconnectStartParams(keywords, values, 0);
	}
	free(keywords);
	free(values);
	login->address++;
	if (login->conn == NULL)
	{
		set_failure(login, "53200", "the worker is out of memory");
		fail_login(login);
		return;
	}
	(void) PQsetNoticeReceiver(login->conn, silence, NULL);
	(void) PQsetErrorVerbosity(login->conn, PQERRORS_VERBOSE);
	if (PQstatus(login->conn) == CONNECTION_BAD)
	{
		set_failure_from_libpq(login);
		fail_address(login);
		return;
	}
	(void) PQsetnonblocking(login->conn, 1);
	login->phase = CONNECTING;
	pcfg_watch_init(&login->watch, poll_libpq, login);
	if (!pcfg_watch_set(&login->watch, PQsocket(login->conn), PCFG_WATCH_WRITE))
	{
		set_failure(login, "53000", "the worker could not watch the connection");
		fail_address(login);
	}
}

/* ----------------------------------------------------------------
 * hosts and addresses
 * ----------------------------------------------------------------
 */

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
				 login->hostname, reason);
		set_failure(login, "08001", text);
	}
	login->phase = NEXT_ADDRESS;
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

/* Begins with the next host of the list; ends the login behind the last. */
static void
next_host(PcfgLogin *login, PcfgTime now)
{
	const char *hosts = pcfg_credentials_value(login->set, "host");
	const char *hostaddrs = pcfg_credentials_value(login->set, "hostaddr");
	const char *ports = pcfg_credentials_value(login->set, "port");
	char		hostaddr[PCFG_ADDRESS_LEN];
	int			i = login->host++;

	if (i >= login->nhosts)
	{
		login->phase = ENDED;
		return;
	}
	login->host_deadline = Min(now + login->host_timeout, login->deadline);
	login->address = 0;
	(void) list_item(hosts, i, login->hostname, sizeof(login->hostname));
	(void) list_item(hostaddrs, i, hostaddr, sizeof(hostaddr));
	if (!list_item(ports, list_length_of(ports) == 1 ? 0 : i, login->port, sizeof(login->port)) ||
		login->port[0] == '\0')
		strlcpy(login->port, DEFAULT_PORT, sizeof(login->port));

	login->phase = NEXT_ADDRESS;
	if (hostaddr[0] != '\0' || is_address(login->hostname))
	{
		strlcpy(login->addresses[0], hostaddr[0] != '\0' ? hostaddr : login->hostname,
				PCFG_ADDRESS_LEN);
		login->naddresses = 1;
	}
	else if (login->hostname[0] == '/')
		login->naddresses = -1;
	else if (login->hostname[0] == '\0')
	{
		login->naddresses = 0;
		set_failure(login, "08001", "a host of the target is empty or its name is too long");
	}
	else
	{
		login->phase = RESOLVING;
		login->lookup = pcfg_resolver_start(login->hostname, name_resolved, login);
	}
}

static void
next_address(PcfgLogin *login)
{
	if (login->address < (login->naddresses < 0 ? 1 : login->naddresses))
		start_libpq(login);
	else
		login->phase = NEXT_HOST;
}

static void
time_out(PcfgLogin *login, PcfgTime now)
{
	set_failure_at_host(login, "08001",
						login->phase == RESOLVING ?
						"the address of host \"%s\" (port %s) was not found within connect_timeout" :
						"the connect to host \"%s\" port %s did not finish within connect_timeout");
	drop_connection(login);
	login->phase = now >= login->deadline ? ENDED : NEXT_HOST;
}

static void
destroy(PcfgLogin *login)
{
	pcfg_credentials_release(login->set);
	free(login);
}

PcfgLogin *
pcfg_login_start(PcfgCredentialSet *set, PcfgTime host_timeout, PcfgTime deadline,
				 int encoding, PcfgLoginDone done, void *arg)
{
	PcfgLogin  *login = calloc(1, sizeof(*login));

	if (login == NULL)
	{
		pcfg_credentials_release(set);
		return NULL;
	}
	login->phase = NEXT_HOST;
	login->set = set;
	login->host_timeout = host_timeout;
	login->deadline = deadline;
	login->encoding = encoding;
	login->done = done;
	login->arg = arg;
	login->result.sock = -1;
	login->nhosts = Max(list_length_of(pcfg_credentials_value(set, "host")),
						list_length_of(pcfg_credentials_value(set, "hostaddr")));
	pcfg_watch_init(&login->watch, poll_libpq, login);
	set_failure(login, "08001", "the target names no host");
	return login;
}

void
pcfg_login_abandon(PcfgLogin *login)
{
	drop_connection(login);
	destroy(login);
}

PcfgTime
pcfg_login_tick(PcfgLogin *login, PcfgTime now)
{
	if ((login->phase == RESOLVING || login->phase == CONNECTING ||
		 login->phase == PROVING) && now >= login->host_deadline)
		time_out(login, now);
	while (login->phase == NEXT_HOST || login->phase == NEXT_ADDRESS)
	{
		if (login->phase == NEXT_HOST)
			next_host(login, now);
		else
			next_address(login);
	}
	if (login->phase == ENDED)
	{
		PcfgLoginResult result = login->result;
		PcfgLoginDone done = login->done;
		void	   *arg = login->arg;

		login->result.sock = -1;
		login->result.key = NULL;
		destroy(login);
		done(arg, &result);
		return PCFG_FOREVER;
	}
	return login->host_deadline;
}
