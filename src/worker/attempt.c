/*-------------------------------------------------------------------------
 *
 * worker/attempt.c
 *	  From one address to an authenticated, proven socket to be lent.
 *
 * Floor 8; worker.
 *
 * libpq does TCP, authentication and the start-up packet.  A feed stands
 * between it and the network from its first message on, and looks at what
 * comes before libpq does.  At the end the network's socket is ours: it is lent
 * as it is, or goes back to libpq's connection and is relayed where that uses
 * TLS.  What libpq may have left in its own buffer shows up in the proof that
 * follows: init_sql and a Sync are sent, and exactly their answers have to come.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>
#include <unistd.h>

#include "mb/pg_wchar.h"
#include "wire/message.h"
#include "worker/attempt.h"
#include "worker/exchange.h"
#include "worker/feed.h"
#include "worker/loop.h"
#include "worker/password_file.h"

/*
 * To hash a password takes milliseconds, so only so many attempts go on
 * between two looks for events.
 */
#define ATTEMPTS_A_TURN	2

/* Steps of libpq, or pieces of what it is told, before others have their turn. */
#define STEPS_A_TURN	16

struct PcfgAttempt
{
	PcfgAttemptState state;
	const PcfgAttemptWhat *what;
	PcfgLoginResult *result;
	char		password[PCFG_PASSWORD_MAX + 1];	/* from the password_file */

	PGconn	   *conn;
	PostgresPollingStatusType wants;	/* what libpq waits for */
	PcfgFeed   *feed;			/* NULL until libpq waits for its first answer */
	PcfgWatch	watch;
	PcfgExchange *proof;
};

/* It is over.  Whoever started it sees that later, and nothing happens until then. */
static void
stop(PcfgAttempt *a, PcfgAttemptState state)
{
	pcfg_watch_remove(&a->watch);
	a->state = state;
}

static void
fail(PcfgAttempt *a, PcfgAttemptState state, const char *sqlstate, const char *message)
{
	pcfg_login_failure_set(&a->result->failure, sqlstate, message);
	stop(a, state);
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
	PcfgAttempt *a = arg;
	char		text[PCFG_CAUSE_LEN];

	a->proof = NULL;
	if (result->ok)
	{
		a->result->asked_pid = atoi(result->answer);
		stop(a, PCFG_ATTEMPT_PROVEN);
		return;
	}
	snprintf(text, sizeof(text), result->refused ? "init_sql failed: %s" : "after login: %s",
			 result->message);
	fail(a, PCFG_ATTEMPT_REFUSED, result->sqlstate, text);
}

static void
start_proof(PcfgAttempt *a)
{
	const PcfgCredentialSet *set = a->what->set;

	a->state = PCFG_ATTEMPT_PROVING;
	a->proof = pcfg_exchange_start(a->result->sock, false, set->init, set->ninit,
								   a->what->ask_pid ? "SELECT pg_catalog.pg_backend_pid()" : NULL,
								   a->what->encoding, proof_ended, a);
	if (a->proof == NULL)
		fail(a, PCFG_ATTEMPT_REFUSED, "54000",
			 "init_sql has too many statements, or the worker no memory");
}

/* ----------------------------------------------------------------
 * the end of libpq's part
 * ----------------------------------------------------------------
 */

/* What a finished login must be like; NULL, or what is wrong, with its SQLSTATE. */
static const char *
check_login(const PcfgAttempt *a, const char **sqlstate)
{
	const char *encoding = PQparameterStatus(a->conn, "client_encoding");
	static const char *const names[] = {"DateStyle", "IntervalStyle"};
	PcfgStyles	styles = {0};
	int			i;

	*sqlstate = "0A000";
	if (PQgssEncInUse(a->conn))
		return "the remote uses GSS encryption, which is not supported";
	*sqlstate = "08004";
	if (encoding == NULL || pg_char_to_encoding(encoding) != a->what->encoding)
		return "the remote did not accept the client_encoding of the local database";
	for (i = 0; i < lengthof(names); i++)
	{
		const char *value = PQparameterStatus(a->conn, names[i]);

		if (value != NULL)
			pcfg_styles_note(&styles, names[i], value);
	}
	return pcfg_styles_differ(&styles) ?
		"the remote, or a pooler in front of it, writes values in another style than DateStyle ISO and IntervalStyle postgres; set these for its role" :
		NULL;
}

/*
 * Makes a socket to be lent of the finished connection; false with errno, or
 * with EPROTO when the remote had said more than it was asked for.
 */
static bool
take_socket(PcfgAttempt *a)
{
	PcfgLoginResult *r = a->result;

	r->key = pcfg_cancel_key_make(a->conn);
	errno = ENOMEM;
	if (r->key == NULL)
		return false;
	if (!PQsslInUse(a->conn))
	{
		r->sock = pcfg_feed_detach(a->feed);
		return r->sock >= 0;
	}
	if (!pcfg_feed_give_back(a->feed))
		return false;
	r->relay = pcfg_relay_start(a->conn, &r->sock);
	if (r->relay == NULL)
		return false;
	a->conn = NULL;				/* the relay's */
	return true;
}

/* libpq's part is done. */
static void
login_done(PcfgAttempt *a)
{
	PcfgLoginResult *r = a->result;
	const char *sqlstate;
	const char *wrong;

	pcfg_watch_remove(&a->watch);
	if (a->feed == NULL)
	{
		/* libpq is content without having heard anything */
		fail(a, PCFG_ATTEMPT_REFUSED, "08P01", "the login ended before it began");
		return;
	}
	wrong = check_login(a, &sqlstate);
	if (wrong != NULL)
	{
		fail(a, PCFG_ATTEMPT_REFUSED, sqlstate, wrong);
		return;
	}
	r->remote_pid = PQbackendPID(a->conn);
	r->server_version = PQserverVersion(a->conn);
	r->password_used = PQconnectionUsedPassword(a->conn) != 0;
	if (!take_socket(a))
	{
		if (errno == EPROTO)
			fail(a, PCFG_ATTEMPT_REFUSED, "08P01", "the other side said more than a login consists of");
		else
			fail(a, PCFG_ATTEMPT_REFUSED, "53000", "the worker has no descriptor or memory for another connection");
		return;
	}
	pcfg_feed_close(a->feed);
	a->feed = NULL;
	PQfinish(a->conn);			/* says goodbye to nobody, or does nothing */
	a->conn = NULL;
	start_proof(a);
}

/* ----------------------------------------------------------------
 * libpq
 * ----------------------------------------------------------------
 */

/* The remote refused us itself: the same user and database everywhere. */
static bool
is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0;
}

/* Whether the file has another password by now than the one that was wrong. */
static bool
password_has_changed(const PcfgAttempt *a)
{
	const char *path = pcfg_credentials_value(a->what->set, "password_file");
	char		password[PCFG_PASSWORD_MAX + 1];
	bool		changed;

	if (path == NULL || pcfg_password_file_read(path, password) != NULL)
		return false;
	changed = strcmp(password, a->password) != 0;
	explicit_bzero(password, sizeof(password));
	return changed;
}

static void
libpq_failed(PcfgAttempt *a, ConnStatusType before)
{
	const char *user = pcfg_credentials_value(a->what->set, "user");
	const char *database = pcfg_credentials_value(a->what->set, "dbname");
	const char *sqlstate = a->result->failure.sqlstate;
	PcfgLoginPlace place = {
		user != NULL ? user : "", database != NULL ? database : "",
		a->what->host->name, a->what->host->port
	};

	pcfg_login_failure_read(&a->result->failure, a->conn, before, &place);
	if (strcmp(sqlstate, "28P01") == 0 && password_has_changed(a))
		stop(a, PCFG_ATTEMPT_OUTDATED);
	else
		stop(a, is_refusal(sqlstate) ? PCFG_ATTEMPT_REFUSED : PCFG_ATTEMPT_FAILED);
}

/* One step of libpq's; false when its part is over. */
static bool
step_libpq(PcfgAttempt *a)
{
	ConnStatusType before = PQstatus(a->conn);

	a->wants = PQconnectPoll(a->conn);
	if (a->wants == PGRES_POLLING_OK)
		login_done(a);
	else if (a->wants == PGRES_POLLING_FAILED)
		libpq_failed(a, before);
	else if (PQstatus(a->conn) == CONNECTION_STARTED)
	{
		/* once more from the start, with TLS or without: another socket */
		pcfg_watch_remove(&a->watch);
		pcfg_feed_close(a->feed);
		a->feed = NULL;
		return true;
	}
	else if (a->wants == PGRES_POLLING_READING && a->feed == NULL)
	{
		pcfg_watch_remove(&a->watch);
		a->feed = pcfg_feed_start(a->conn);
		if (a->feed != NULL)
			return true;
		fail(a, PCFG_ATTEMPT_FAILED, "53000", "the worker has no descriptor or memory for another connection");
	}
	else
		return true;
	return false;
}

static void
watch_network(PcfgAttempt *a)
{
	bool		ok = a->feed != NULL ?
		pcfg_watch_set(&a->watch, pcfg_feed_socket(a->feed), pcfg_feed_events(a->feed)) :
		pcfg_watch_set(&a->watch, PQsocket(a->conn), PCFG_WATCH_WRITE);

	if (!ok)
		fail(a, PCFG_ATTEMPT_FAILED, "53000", "the worker could not watch the connection");
}

static bool
may_go_on(void)
{
	static uint64_t turn = 0;
	static int	attempts = 0;

	if (turn != pcfg_loop_turn())
	{
		turn = pcfg_loop_turn();
		attempts = 0;
	}
	return attempts++ < ATTEMPTS_A_TURN;
}

/* The network is ready for something. */
static void
go_on(void *arg)
{
	PcfgAttempt *a = arg;
	const char *why;
	int			i;

	if (!may_go_on())
	{
		pcfg_watch_again(&a->watch);
		return;
	}
	for (i = 0; i < STEPS_A_TURN; i++)
	{
		PcfgFeedResult result = a->feed != NULL ?
			pcfg_feed_move(a->feed, &why) : PCFG_FEED_CALL;

		if (result == PCFG_FEED_REFUSED)
		{
			fail(a, PCFG_ATTEMPT_FAILED, "08P01", why);
			return;
		}
		if (result == PCFG_FEED_WAIT && a->wants == PGRES_POLLING_READING)
		{
			watch_network(a);
			return;
		}
		if (!step_libpq(a))
			return;
		if (a->feed == NULL)
		{
			watch_network(a);
			return;
		}
	}
	watch_network(a);
	if (a->state == PCFG_ATTEMPT_CONNECTING)
		pcfg_watch_again(&a->watch);
}

/* ----------------------------------------------------------------
 * the beginning
 * ----------------------------------------------------------------
 */

/* Reads the password_file, if there is one; false with the failure set. */
static bool
read_password(PcfgAttempt *a)
{
	const char *path = pcfg_credentials_value(a->what->set, "password_file");
	const char *wrong = path != NULL ? pcfg_password_file_read(path, a->password) : NULL;
	char		text[PCFG_CAUSE_LEN];

	if (wrong == NULL)
		return true;
	snprintf(text, sizeof(text), "the password_file of the user mapping cannot be read: %s", wrong);
	fail(a, PCFG_ATTEMPT_REFUSED, "58030", text);
	return false;
}

/*
 * The target's keywords, with the place and the password that are meant now;
 * there is room for four more than it has.
 */
static void
fill_keywords(const PcfgAttempt *a, const char **keywords, const char **values)
{
	const PcfgAttemptWhat *what = a->what;
	const PcfgCredentialSet *set = what->set;
	int			n = 0;
	int			i;

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
			values[n] = pcfg_hosts_session_attrs(what->hosts, values[n]);
		if (strcmp(keywords[n], "password_file") == 0)
		{
			keywords[n] = "password";
			values[n] = a->password;
		}
		n++;
	}
	if (what->host->name[0] != '\0')
	{
		keywords[n] = "host";
		values[n++] = what->host->name;
	}
	if (what->address != NULL)
	{
		keywords[n] = "hostaddr";
		values[n++] = what->address;
	}
	keywords[n] = "port";
	values[n] = what->host->port;
}

static void
start_libpq(PcfgAttempt *a)
{
	size_t		size = (size_t) a->what->set->nparams + 4;
	const char **keywords = calloc(size, sizeof(char *));
	const char **values = calloc(size, sizeof(char *));

	if (keywords != NULL && values != NULL)
	{
		fill_keywords(a, keywords, values);
		a->conn = PQconnectStartParams(keywords, values, 0);
	}
	free(keywords);
	free(values);
	if (a->conn == NULL)
	{
		fail(a, PCFG_ATTEMPT_REFUSED, "53200", "the worker is out of memory");
		return;
	}
	(void) PQsetNoticeReceiver(a->conn, silence, NULL);
	(void) PQsetErrorVerbosity(a->conn, PQERRORS_VERBOSE);
	if (PQstatus(a->conn) == CONNECTION_BAD)
	{
		libpq_failed(a, CONNECTION_NEEDED);
		return;
	}
	(void) PQsetnonblocking(a->conn, 1);
	a->wants = PGRES_POLLING_WRITING;
	watch_network(a);
}

PcfgAttempt *
pcfg_attempt_start(const PcfgAttemptWhat *what, PcfgLoginResult *result)
{
	PcfgAttempt *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->state = PCFG_ATTEMPT_CONNECTING;
	a->what = what;
	a->result = result;
	pcfg_watch_init(&a->watch, go_on, a);
	if (read_password(a))
		start_libpq(a);
	return a;
}

PcfgAttemptState
pcfg_attempt_state(const PcfgAttempt *a)
{
	return a->state;
}

/* Nothing of the connection is wanted. */
static void
undo(PcfgAttempt *a)
{
	PcfgLoginResult *r = a->result;

	if (a->state == PCFG_ATTEMPT_PROVING && r->key != NULL)
	{
		/* init_sql runs, and its remote does not look at its socket */
		pcfg_cancel_send(r->key, a->what->set->serial, NULL, NULL);
		r->key = NULL;
	}
	if (r->sock >= 0)
	{
		(void) shutdown(r->sock, SHUT_RDWR);
		(void) close(r->sock);
		r->sock = -1;
	}
	pcfg_relay_close(r->relay, false);
	r->relay = NULL;
	pcfg_cancel_key_free(r->key);
	r->key = NULL;
}

void
pcfg_attempt_end(PcfgAttempt *a)
{
	if (a == NULL)
		return;
	pcfg_exchange_abandon(a->proof);
	pcfg_watch_remove(&a->watch);
	pcfg_feed_close(a->feed);
	if (a->conn != NULL)
		PQfinish(a->conn);
	if (a->state != PCFG_ATTEMPT_PROVEN)
		undo(a);
	explicit_bzero(a->password, sizeof(a->password));
	free(a);
}
