/*
 * The callers of the soak (test/t/040_soak.pl).
 *
 *	soak SESSIONS SECONDS CONNINFO FOLDER TARGET=SERVER ...
 *
 * So many processes call the targets in turn, under the roles u1 and u2, whose
 * mappings are the remote users app1 and app2.  Each call carries a token:
 * session, role, number and 128 random bits.  The remote answers with it, its
 * own name, the user, what a caller left in its session, and text whose length
 * and content follow from the token; all of it is checked.  One call in four
 * fails on purpose, one in four is cancelled at a random time.
 *
 * Each process writes to FOLDER:
 *
 *	calls.N		of each call that writes to the ledger: its token, and "done",
 *				"not" (provably not executed) or "unknown"
 *	figures.N	lines of "name value"; "wrong" and "late" have to be absent
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS	16
#define MAX_TIMES	200000

/* The session's statement_timeout, in ms, and what an answer may take beyond. */
#define PATIENCE	5000
#define GRACE		1000

typedef struct Target
{
	const char *name;
	const char *server;
} Target;

typedef struct Call
{
	const Target *target;
	int			role;
	char		token[96];
	char		owner[40];		/* the token's beginning: who may meet its state */
	char		kind[8];		/* w = writes, n = notice, e = error, s = leaves state */
	int			len;
	int			rows;
	bool		exec;			/* by pool_config.exec, which returns no rows */
	int			cancel_after;	/* ms; -1 = not */
} Call;

static Target targets[MAX_TARGETS];
static int	ntargets;
static int	me;
static int	session;
static FILE *ledger;
static FILE *figures;
static Call *current;

static long calls, right, failed, cancelled, unknown, lost, notices;
static double cancel_times[MAX_TIMES];
static int	ncancel_times;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000.0 + t.tv_nsec / 1e6;
}

static void
wrong(const char *what, const char *got)
{
	fprintf(figures, "wrong %s on %s: %s: %.200s\n", current != NULL ? current->token : "-",
			current != NULL ? current->target->name : "-", what, got);
	fflush(figures);
}

/* A notice belongs to the call that is under way, or to nobody. */
static void
take_notice(void *arg, const char *text)
{
	(void) arg;
	if (strstr(text, "soak c") == NULL)
		return;
	notices++;
	if (current == NULL || strstr(text, current->token) == NULL)
		wrong("a notice of another call", text);
}

static PGconn *
open_session(const char *conninfo, double end)
{
	while (now_ms() < end)
	{
		PGconn	   *conn = PQconnectdb(conninfo);

		if (PQstatus(conn) == CONNECTION_OK)
		{
			session++;
			PQsetNoticeProcessor(conn, take_notice, NULL);
			return conn;
		}
		PQfinish(conn);
		(void) poll(NULL, 0, 20);
	}
	return NULL;
}

/* 32 random bits. */
static unsigned
bits(void)
{
	return (unsigned) random() ^ ((unsigned) random() << 16);
}

static void
make_call(Call *call)
{
	static long seq = 0;

	memset(call, 0, sizeof(*call));
	call->target = &targets[random() % ntargets];
	call->role = 1 + random() % 2;
	snprintf(call->owner, sizeof(call->owner), "c%d.%d.u%d.", me, session, call->role);
	snprintf(call->token, sizeof(call->token), "%s%ld.%08x%08x%08x%08x", call->owner, ++seq,
			 bits(), bits(), bits(), bits());
	snprintf(call->kind, sizeof(call->kind), "%s%s%s%s",
			 random() % 3 == 0 ? "w" : "", random() % 10 == 0 ? "n" : "",
			 random() % 4 == 0 ? "e" : "", random() % 8 == 0 ? "s" : "");
	switch (random() % 8)
	{
		case 0:
			call->len = 0;
			break;
		case 1:
			call->len = 8192 * (1 + random() % 8) - 40 + random() % 80;
			break;
		case 2:
			call->len = random() % 300000;
			break;
		default:
			call->len = random() % 200;
			break;
	}
	call->rows = random() % 10 == 0 ? 1 + random() % 300 : 1;
	if (call->rows > 1)
		call->len %= 500;
	call->exec = random() % 5 == 0;
	call->cancel_after = random() % 4 == 0 ? random() % 12 : -1;
}

static void
check_payload(const Call *call, const char *payload)
{
	size_t		n = strlen(call->token);
	size_t		i;

	if (strlen(payload) != (size_t) call->len)
	{
		wrong("length of the payload", payload);
		return;
	}
	for (i = 0; i < (size_t) call->len; i++)
	{
		if (payload[i] != call->token[i % n])
		{
			wrong("payload", payload + i);
			return;
		}
	}
}

static void
check_rows(const Call *call, const PGresult *res)
{
	char		who[8];
	int			i;

	snprintf(who, sizeof(who), "app%d", call->role);
	if (call->exec)
	{
		char		tag[32];

		snprintf(tag, sizeof(tag), "SELECT %d", call->rows);
		if (strcmp(PQgetvalue(res, 0, 0), tag) != 0)
			wrong("command tag", PQgetvalue(res, 0, 0));
		return;
	}
	if (PQntuples(res) != call->rows)
		wrong("number of rows", PQcmdTuples((PGresult *) res));
	for (i = 0; i < PQntuples(res); i++)
	{
		const char *left = PQgetvalue(res, i, 3);

		if (strcmp(PQgetvalue(res, i, 0), call->token) != 0)
			wrong("token", PQgetvalue(res, i, 0));
		if (strcmp(PQgetvalue(res, i, 1), call->target->server) != 0)
			wrong("server", PQgetvalue(res, i, 1));
		if (strcmp(PQgetvalue(res, i, 2), who) != 0)
			wrong("user", PQgetvalue(res, i, 2));
		if (left[0] != '\0' && strncmp(left, call->owner, strlen(call->owner)) != 0)
			wrong("state of another caller", left);
		if (atoi(PQgetvalue(res, i, 4)) != i + 1)
			wrong("order of rows", PQgetvalue(res, i, 4));
		check_payload(call, PQgetvalue(res, i, 5));
	}
}

/* What an error says about the execution; NULL = no such error may come. */
static const char *
judge(const Call *call, const PGresult *res)
{
	static const char *const not_executed[] = {"08001", "53300", "P0042", "55000", NULL};
	static const char *const may_be[] = {"57014", "08006", "57P01", NULL};
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	int			i;

	if (state == NULL || text == NULL)
		return "unknown";		/* the session itself was lost */
	if (strcmp(state, "P0042") == 0 && strstr(text, call->token) == NULL)
		wrong("an error of another call", text);
	if (strcmp(state, "P0042") == 0 && strchr(call->kind, 'e') == NULL)
		wrong("an error that was not asked for", text);
	for (i = 0; not_executed[i] != NULL; i++)
	{
		if (strcmp(state, not_executed[i]) == 0)
			return "not";
	}
	for (i = 0; may_be[i] != NULL; i++)
	{
		if (strcmp(state, may_be[i]) == 0)
			return "unknown";
	}
	return NULL;
}

static void
send_cancel(PGconn *conn)
{
	PGcancel   *cancel = PQgetCancel(conn);
	char		errbuf[256];

	if (cancel != NULL)
		(void) PQcancel(cancel, errbuf, sizeof(errbuf));
	PQfreeCancel(cancel);
}

/* Waits for the next result, and cancels meanwhile if that is due. */
static PGresult *
next_result(PGconn *conn, const Call *call, double start, double *cancelled_at)
{
	while (PQconsumeInput(conn) && PQisBusy(conn))
	{
		struct pollfd p = {PQsocket(conn), POLLIN, 0};
		int			wait = 1000;

		if (call->cancel_after >= 0 && *cancelled_at == 0)
		{
			wait = (int) (start + call->cancel_after - now_ms());
			if (wait <= 0)
			{
				*cancelled_at = now_ms();
				send_cancel(conn);
				wait = 1000;
			}
		}
		(void) poll(&p, 1, wait);
	}
	return PQgetResult(conn);
}

static void
finish_call(const Call *call, const char *outcome, double start, double cancelled_at)
{
	double		end = now_ms();

	if (strchr(call->kind, 'w') != NULL)
		fprintf(ledger, "%s %s\n", call->token, outcome);
	if (cancelled_at != 0 && ncancel_times < MAX_TIMES)
		cancel_times[ncancel_times++] = end - cancelled_at;
	if (end - start > PATIENCE + GRACE)
		fprintf(figures, "late %s: %.0f ms, %s\n", call->token, end - start, outcome);
}

/* False when the session is lost. */
static bool
run_call(PGconn *conn, Call *call)
{
	char		sql[1024];
	PGresult   *res;
	const char *outcome = NULL;
	double		start = now_ms();
	double		cancelled_at = 0;

	snprintf(sql, sizeof(sql), call->exec ?
			 "SET ROLE u%d; SELECT pool_config.exec('%s', 'select * from soak(''%s'', ''%s'', %d, %d)')" :
			 "SET ROLE u%d; SELECT * FROM pool_config.query('%s', 'select * from soak(''%s'', ''%s'', %d, %d)') "
			 "AS t(token text, server text, who text, found text, n int, payload text)",
			 call->role, call->target->name, call->token, call->kind, call->len, call->rows);
	calls++;
	current = call;
	if (!PQsendQuery(conn, sql))
	{
		finish_call(call, "unknown", start, 0);
		current = NULL;
		return false;
	}
	while ((res = next_result(conn, call, start, &cancelled_at)) != NULL)
	{
		if (PQresultStatus(res) == PGRES_TUPLES_OK)
		{
			check_rows(call, res);
			if (strchr(call->kind, 'e') != NULL)
				wrong("a result where an error was due", "");
			outcome = "done";
			right++;
		}
		else if (PQresultStatus(res) == PGRES_FATAL_ERROR)
		{
			outcome = judge(call, res);
			failed++;
			if (outcome == NULL)
			{
				wrong("an error of no known kind", PQresultErrorMessage(res));
				outcome = "unknown";
			}
		}
		PQclear(res);
	}
	cancelled += cancelled_at != 0;
	if (outcome == NULL || PQstatus(conn) == CONNECTION_BAD)
	{
		outcome = outcome != NULL ? outcome : "unknown";
		lost++;
	}
	unknown += strcmp(outcome, "unknown") == 0;
	finish_call(call, outcome, start, cancelled_at);
	current = NULL;
	return PQstatus(conn) == CONNECTION_OK;
}

static FILE *
open_file(const char *folder, const char *name)
{
	char		path[1024];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s.%d", folder, name, me);
	f = fopen(path, "w");
	if (f == NULL)
	{
		perror(path);
		exit(1);
	}
	return f;
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static int
caller(const char *conninfo, double end, const char *folder)
{
	PGconn	   *conn = NULL;
	Call		call;

	srandom((unsigned) (time(NULL) ^ (me << 16)));
	ledger = open_file(folder, "calls");
	figures = open_file(folder, "figures");
	while (now_ms() < end)
	{
		if (conn == NULL && (conn = open_session(conninfo, end)) == NULL)
			break;
		make_call(&call);
		if (!run_call(conn, &call) || random() % 500 == 0)
		{
			PQfinish(conn);
			conn = NULL;
		}
	}
	if (conn != NULL)
		PQfinish(conn);
	qsort(cancel_times, ncancel_times, sizeof(double), compare);
	fprintf(figures, "calls %ld\nright %ld\nfailed %ld\nunknown %ld\ncancelled %ld\nlost %ld\nnotices %ld\nsessions %d\n",
			calls, right, failed, unknown, cancelled, lost, notices, session);
	if (ncancel_times > 0)
		fprintf(figures, "cancel_p99 %.1f\n", cancel_times[ncancel_times * 99 / 100]);
	return fclose(ledger) != 0 || fclose(figures) != 0;
}

int
main(int argc, char **argv)
{
	int			n = argc > 5 ? atoi(argv[1]) : 0;
	double		end = now_ms() + (argc > 5 ? atof(argv[2]) * 1000 : 0);
	int			status = 0;
	int			i;

	if (n < 1 || argc - 5 > MAX_TARGETS)
		return 2;
	for (i = 5; i < argc; i++)
	{
		char	   *server = strchr(argv[i], '=');

		if (server == NULL)
			return 2;
		*server++ = '\0';
		targets[ntargets].name = argv[i];
		targets[ntargets++].server = server;
	}
	for (me = 1; me <= n; me++)
	{
		pid_t		pid = fork();

		if (pid == 0)
			_exit(caller(argv[3], end, argv[4]));
		if (pid < 0)
			return 1;
	}
	for (i = 0; i < n; i++)
	{
		int			code;

		if (wait(&code) < 0 || code != 0)
			status = 1;
	}
	return status;
}
