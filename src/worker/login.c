/*-------------------------------------------------------------------------
 *
 * worker/login.c
 *	  From keywords to an authenticated, proven socket to be lent.
 *
 * Floor 8; worker.
 *
 * libpq does TCP, authentication and the start-up packet, one host and one
 * address at a time, because its non-blocking calls know no time limit.  A
 * feed stands between it and the network from its first message on, and looks
 * at what comes before libpq does.  At the end the network's socket is ours:
 * it is lent as it is, or goes back to libpq's connection and is relayed where
 * that uses TLS.  What libpq may have left in its own buffer shows up in the
 * proof that follows: init_sql and a Sync are sent, and exactly their answers
 * have to come.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>
#include <unistd.h>

#include "mb/pg_wchar.h"
#include "wire/message.h"
#include "worker/exchange.h"
#include "worker/feed.h"
#include "worker/hosts.h"
#include "worker/login.h"
#include "worker/loop.h"
#include "worker/password_file.h"
#include "worker/resolver.h"

/*
 * To hash a password takes milliseconds, so only so many logins go on between
 * two looks for events.
 */
#define LOGINS_A_TURN	2

/* Steps of libpq, or pieces of what it is told, before others have their turn. */
#define STEPS_A_TURN	16

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
	PcfgTime	step_timeout;	/* of a name, or of an address until it is proven */
	PcfgTime	step_deadline;
	PcfgTime	deadline;
	int			encoding;
	bool		ask_pid;
	PcfgLoginDone done;
	void	   *arg;
	char		password[PCFG_PASSWORD_MAX + 1];	/* from the password_file */
	bool		password_reread;

	PcfgHosts	hosts;
	PcfgHost	host;			/* the present one */
	char		addresses[PCFG_MAX_ADDRESSES][PCFG_ADDRESS_LEN];
	int			naddresses;		/* -1 = none wanted: a unix socket */
	int			address;

	PcfgLookup *lookup;
	PGconn	   *conn;
	PostgresPollingStatusType wants;	/* what libpq waits for */
	PcfgFeed   *feed;			/* NULL until libpq waits for its first answer */
	PcfgWatch	watch;

	PcfgExchange *proof;

	PcfgLoginResult result;
};

static void
set_failure(PcfgLogin *login, const char *sqlstate, const char *message)
{
	pcfg_login_failure_set(&login->result.failure, sqlstate, message);
}

static void
set_failure_at_host(PcfgLogin *login, const char *sqlstate, const char *format)
{
	char		text[PCFG_CAUSE_LEN];

	snprintf(text, sizeof(text), format,
			 login->host.name[0] != '\0' ? login->host.name : login->addresses[0],
			 login->host.port);
	set_failure(login, sqlstate, text);
}

/* ----------------------------------------------------------------
 * pieces of a login
 * ----------------------------------------------------------------
 */

static void
drop_connection(PcfgLogin *login)
{
	pcfg_resolver_abandon(login->lookup);
	login->lookup = NULL;
	pcfg_exchange_abandon(login->proof);
	login->proof = NULL;
	pcfg_watch_remove(&login->watch);
	pcfg_feed_close(login->feed);
	login->feed = NULL;
	if (login->conn != NULL)
		PQfinish(login->conn);
	login->conn = NULL;
	if (login->result.sock >= 0)
	{
		(void) shutdown(login->result.sock, SHUT_RDWR);
		(void) close(login->result.sock);
		login->result.sock = -1;
	}
	pcfg_relay_close(login->result.relay, false);
	login->result.relay = NULL;
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
		login->result.asked_pid = atoi(result->answer);
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
	login->proof = pcfg_exchange_start(login->result.sock, false, login->set->init,
									   login->set->ninit,
									   login->ask_pid ? "SELECT pg_catalog.pg_backend_pid()" : NULL,
									   login->encoding, proof_ended, login);
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

/* What a finished login must be like; false with the failure set. */
static bool
check_login(PcfgLogin *login)
{
	const char *encoding = PQparameterStatus(login->conn, "client_encoding");
	static const char *const names[] = {"DateStyle", "IntervalStyle"};
	PcfgStyles	styles = {0};
	int			i;

	if (PQgssEncInUse(login->conn))
	{
		set_failure(login, "0A000", "the remote uses GSS encryption, which is not supported");
		return false;
	}
	if (encoding == NULL || pg_char_to_encoding(encoding) != login->encoding)
	{
		set_failure(login, "08004", "the remote did not accept the client_encoding of the local database");
		return false;
	}
	for (i = 0; i < lengthof(names); i++)
	{
		const char *value = PQparameterStatus(login->conn, names[i]);

		if (value != NULL)
			pcfg_styles_note(&styles, names[i], value);
	}
	if (pcfg_styles_differ(&styles))
	{
		set_failure(login, "08004", "the remote, or a pooler in front of it, writes values in another style than DateStyle ISO and IntervalStyle postgres; set these for its role");
		return false;
	}
	return true;
}

/*
 * Makes a socket to be lent of the finished connection; false with errno, or
 * with EPROTO when the remote had said more than it was asked for.
 */
static bool
take_socket(PcfgLogin *login)
{
	PcfgLoginResult *r = &login->result;

	r->key = pcfg_cancel_key_make(login->conn);
	errno = ENOMEM;
	if (r->key == NULL)
		return false;
	if (!PQsslInUse(login->conn))
	{
		r->sock = pcfg_feed_detach(login->feed);
		return r->sock >= 0;
	}
	if (!pcfg_feed_give_back(login->feed))
		return false;
	r->relay = pcfg_relay_start(login->conn, &r->sock);
	if (r->relay == NULL)
		return false;
	login->conn = NULL;			/* the relay's */
	return true;
}

static void
login_done(PcfgLogin *login)
{
	PcfgLoginResult *r = &login->result;

	pcfg_watch_remove(&login->watch);
	if (login->feed == NULL)
	{
		/* libpq is content without having heard anything */
		set_failure(login, "08P01", "the login ended before it began");
		fail_login(login);
		return;
	}
	if (!check_login(login))
	{
		fail_login(login);
		return;
	}
	r->remote_pid = PQbackendPID(login->conn);
	r->server_version = PQserverVersion(login->conn);
	r->password_used = PQconnectionUsedPassword(login->conn) != 0;
	if (!take_socket(login))
	{
		if (errno == EPROTO)
			set_failure(login, "08P01", "the other side said more than a login consists of");
		else
			set_failure(login, "53000", "the worker has no descriptor or memory for another connection");
		fail_login(login);
		return;
	}
	pcfg_feed_close(login->feed);
	login->feed = NULL;
	PQfinish(login->conn);		/* says goodbye to nobody, or does nothing */
	login->conn = NULL;
	start_proof(login);
}

/* The remote refused us itself: the same user and database everywhere. */
static bool
is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0;
}

/* Reads the password_file, if there is one; false with the failure set. */
static bool
read_password(PcfgLogin *login)
{
	const char *path = pcfg_credentials_value(login->set, "password_file");
	const char *wrong = path != NULL ? pcfg_password_file_read(path, login->password) : NULL;
	char		text[PCFG_CAUSE_LEN];

	if (wrong == NULL)
		return true;
	snprintf(text, sizeof(text), "the password_file of the user mapping cannot be read: %s", wrong);
	set_failure(login, "58030", text);
	return false;
}

/*
 * After a wrong password: has the file another one by now?  Once in a login.
 */
static bool
password_has_changed(PcfgLogin *login)
{
	const char *path = pcfg_credentials_value(login->set, "password_file");
	char		password[PCFG_PASSWORD_MAX + 1];
	bool		changed;

	if (path == NULL || login->password_reread || pcfg_password_file_read(path, password) != NULL)
		return false;
	changed = strcmp(password, login->password) != 0;
	explicit_bzero(password, sizeof(password));
	login->password_reread = changed;
	return changed;
}

static void
libpq_failed(PcfgLogin *login, ConnStatusType before)
{
	const char *user = pcfg_credentials_value(login->set, "user");
	const char *database = pcfg_credentials_value(login->set, "dbname");
	PcfgLoginPlace place = {
		user != NULL ? user : "", database != NULL ? database : "", login->host.name, login->host.port
	};

	pcfg_login_failure_read(&login->result.failure, login->conn, before, &place);
	if (strcmp(login->result.failure.sqlstate, "28P01") == 0 && password_has_changed(login))
	{
		login->address--;		/* the same one again */
		fail_address(login);
	}
	else if (is_refusal(login->result.failure.sqlstate))
		fail_login(login);
	else
		fail_address(login);
}

/* One step of libpq's; false when the login is over, or goes on elsewhere. */
static bool
step_libpq(PcfgLogin *login)
{
	ConnStatusType before = PQstatus(login->conn);

	login->wants = PQconnectPoll(login->conn);
	if (login->wants == PGRES_POLLING_OK)
		login_done(login);
	else if (login->wants == PGRES_POLLING_FAILED)
		libpq_failed(login, before);
	else if (PQstatus(login->conn) == CONNECTION_STARTED)
	{
		/* once more from the start, with TLS or without: another socket */
		pcfg_watch_remove(&login->watch);
		pcfg_feed_close(login->feed);
		login->feed = NULL;
		return true;
	}
	else if (login->wants == PGRES_POLLING_READING && login->feed == NULL)
	{
		pcfg_watch_remove(&login->watch);
		login->feed = pcfg_feed_start(login->conn);
		if (login->feed != NULL)
			return true;
		set_failure(login, "53000", "the worker has no descriptor or memory for another connection");
		fail_address(login);
	}
	else
		return true;
	return false;
}

static void
watch_network(PcfgLogin *login)
{
	bool		ok = login->feed != NULL ?
		pcfg_watch_set(&login->watch, pcfg_feed_socket(login->feed), pcfg_feed_events(login->feed)) :
		pcfg_watch_set(&login->watch, PQsocket(login->conn), PCFG_WATCH_WRITE);

	if (!ok)
	{
		set_failure(login, "53000", "the worker could not watch the connection");
		fail_address(login);
	}
}

static bool
may_go_on(void)
{
	static uint64_t turn = 0;
	static int	logins = 0;

	if (turn != pcfg_loop_turn())
	{
		turn = pcfg_loop_turn();
		logins = 0;
	}
	return logins++ < LOGINS_A_TURN;
}

/* The network is ready for something. */
static void
go_on(void *arg)
{
	PcfgLogin  *login = arg;
	const char *why;
	int			i;

	if (!may_go_on())
	{
		pcfg_watch_again(&login->watch);
		return;
	}
	for (i = 0; i < STEPS_A_TURN; i++)
	{
		PcfgFeedResult result = login->feed != NULL ?
			pcfg_feed_move(login->feed, &why) : PCFG_FEED_CALL;

		if (result == PCFG_FEED_REFUSED)
		{
			set_failure(login, "08P01", why);
			fail_address(login);
			return;
		}
		if (result == PCFG_FEED_WAIT && login->wants == PGRES_POLLING_READING)
		{
			watch_network(login);
			return;
		}
		if (!step_libpq(login))
			return;
		if (login->feed == NULL)
		{
			watch_network(login);
			return;
		}
	}
	watch_network(login);
	if (login->phase == CONNECTING)
		pcfg_watch_again(&login->watch);
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

	if (!read_password(login))
	{
		free(keywords);
		free(values);
		fail_login(login);
		return;
	}
	if (keywords != NULL && values != NULL)
	{
		for (i = 0; i < set->nparams; i++)
		{
			if (strcmp(set->keywords[i], "host") == 0 ||
				strcmp(set->keywords[i], "hostaddr") == 0 ||
				strcmp(set->keywords[i], "port") == 0)
				continue;
			/* the order of hosts is ours */
			if (strcmp(set->keywords[i], "load_balance_hosts") == 0)
				continue;
			keywords[n] = set->keywords[i];
			values[n] = set->values[i];
			if (strcmp(keywords[n], "target_session_attrs") == 0)
				values[n] = pcfg_hosts_session_attrs(&login->hosts, values[n]);
			if (strcmp(keywords[n], "password_file") == 0)
			{
				keywords[n] = "password";
				values[n] = login->password;
			}
			n++;
		}
		if (login->host.name[0] != '\0')
		{
			keywords[n] = "host";
			values[n++] = login->host.name;
		}
		if (login->naddresses >= 0)
		{
			keywords[n] = "hostaddr";
			values[n++] = login->addresses[login->address];
		}
		keywords[n] = "port";
		values[n++] = login->host.port;
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
		libpq_failed(login, CONNECTION_NEEDED);
		return;
	}
	(void) PQsetnonblocking(login->conn, 1);
	login->phase = CONNECTING;
	login->wants = PGRES_POLLING_WRITING;
	watch_network(login);
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
	if (login->address < (login->naddresses < 0 ? 1 : login->naddresses))
	{
		login->step_deadline = Min(now + login->step_timeout, login->deadline);
		start_libpq(login);
	}
	else
		login->phase = NEXT_HOST;
}

/* Nobody waits for init_sql any more, and its remote does not look at its socket. */
static void
cancel_proof(PcfgLogin *login)
{
	PcfgCancelKey *key = login->result.key;

	login->result.key = NULL;
	if (key != NULL)
		pcfg_cancel_send(key, login->set->serial, NULL, NULL);
}

/* The present name or address has had its time; others have theirs. */
static void
time_out(PcfgLogin *login, PcfgTime now)
{
	Phase		phase = login->phase;

	set_failure_at_host(login, "08001",
						phase == RESOLVING ?
						"the address of host \"%s\" (port %s) was not found within connect_timeout" :
						"the connect to host \"%s\" port %s did not finish within connect_timeout");
	if (phase == PROVING)
		cancel_proof(login);
	drop_connection(login);
	login->phase = now >= login->deadline ? ENDED :
		phase == CONNECTING ? NEXT_ADDRESS : NEXT_HOST;
}

static void
destroy(PcfgLogin *login)
{
	pcfg_credentials_release(login->set);
	explicit_bzero(login->password, sizeof(login->password));
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
	login->set = set;
	login->step_timeout = step_timeout;
	login->deadline = deadline;
	login->encoding = encoding;
	login->ask_pid = ask_pid;
	login->done = done;
	login->arg = arg;
	login->result.sock = -1;
	pcfg_hosts_init(&login->hosts, set);
	pcfg_watch_init(&login->watch, go_on, login);
	set_failure(login, "08001", "the target names no host");
	return login;
}

void
pcfg_login_abandon(PcfgLogin *login)
{
	if (login->phase == PROVING)
		cancel_proof(login);
	drop_connection(login);
	destroy(login);
}

PcfgTime
pcfg_login_tick(PcfgLogin *login, PcfgTime now)
{
	if ((login->phase == RESOLVING || login->phase == CONNECTING ||
		 login->phase == PROVING) && now >= login->step_deadline)
		time_out(login, now);
	while (login->phase == NEXT_HOST || login->phase == NEXT_ADDRESS)
	{
		if (login->phase == NEXT_HOST)
			next_host(login, now);
		else
			next_address(login, now);
	}
	if (login->phase == ENDED)
	{
		PcfgLoginResult result = login->result;
		PcfgLoginDone done = login->done;
		void	   *arg = login->arg;

		login->result.sock = -1;
		login->result.key = NULL;
		login->result.relay = NULL;
		destroy(login);
		done(arg, &result);
		return PCFG_FOREVER;
	}
	return login->step_deadline;
}
