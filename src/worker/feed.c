/*-------------------------------------------------------------------------
 *
 * worker/feed.c
 *	  Between libpq and the network during a login.
 *
 * Floor 7; worker.
 *
 *		network <--> feed --pair--> libpq
 *
 * Plain bytes are looked at as they pass.  Encrypted ones pass record by
 * record, so that SSL_peek shows what libpq is about to read, and nothing
 * else can come in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "wire/login_guard.h"
#include "worker/feed.h"
#include "worker/loop.h"

#define RECORD_HEADER	5
#define RECORD_MAX		(RECORD_HEADER + 16384 + 2048)	/* RFC 5246, 6.2.3 */

/* Plain bytes passed on in one piece; libpq's buffer holds four of them. */
#define PIECE			4096

/* The least and the greatest type of a TLS record. */
#define RECORD_FIRST	20
#define RECORD_LAST		24

typedef enum Mode
{
	PLAIN,
	ANSWER,						/* the byte that answers a request for TLS */
	RECORDS
} Mode;

struct PcfgFeed
{
	PGconn	   *conn;
	int			net;
	int			inner;			/* our end of the pair */
	Mode		mode;
	PcfgLoginGuard guard;
	bool		ended;			/* nothing more comes from the network */
	size_t		up_done;
	size_t		up_len;
	size_t		down_len;		/* of a record that is not whole yet */
	char		up[PIECE];
	char		down[RECORD_MAX];
};

PcfgFeed *
pcfg_feed_start(PGconn *conn)
{
	PcfgFeed   *feed = calloc(1, sizeof(*feed));
	int			theirs = PQsocket(conn);
	int			pair[2];

	if (feed == NULL)
		return NULL;
	feed->conn = conn;
	feed->mode = PQstatus(conn) == CONNECTION_SSL_STARTUP ? ANSWER : PLAIN;
	pcfg_login_guard_init(&feed->guard);
	feed->net = fcntl(theirs, F_DUPFD_CLOEXEC, 0);
	if (feed->net < 0)
	{
		free(feed);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
	{
		(void) close(feed->net);
		free(feed);
		return NULL;
	}
	if (dup3(pair[1], theirs, O_CLOEXEC) < 0)
	{
		(void) close(pair[0]);
		(void) close(pair[1]);
		(void) close(feed->net);
		free(feed);
		return NULL;
	}
	(void) close(pair[1]);
	feed->inner = pair[0];
	return feed;
}

void
pcfg_feed_close(PcfgFeed *feed)
{
	if (feed == NULL)
		return;
	if (feed->net >= 0)
		(void) close(feed->net);
	(void) close(feed->inner);
	explicit_bzero(feed, sizeof(*feed));	/* passwords passed through it */
	free(feed);
}

int
pcfg_feed_socket(const PcfgFeed *feed)
{
	return feed->net;
}

int
pcfg_feed_events(const PcfgFeed *feed)
{
	return (feed->ended ? 0 : PCFG_WATCH_READ) |
		(feed->up_len > feed->up_done ? PCFG_WATCH_WRITE : 0);
}

/* libpq's SSL object once its handshake is over, or NULL. */
static SSL *
open_ssl(const PcfgFeed *feed)
{
	SSL		   *ssl = PQsslInUse(feed->conn) ? PQsslStruct(feed->conn, "OpenSSL") : NULL;

	return ssl != NULL && SSL_is_init_finished(ssl) ? ssl : NULL;
}

/* Bytes lie in the pair that were not read yet. */
static bool
pair_has_unread(const PcfgFeed *feed)
{
	int			n = 0;

	return ioctl(PQsocket(feed->conn), FIONREAD, &n) == 0 && n > 0;
}

/* The network has ended, one way or the other. */
static void
end(PcfgFeed *feed)
{
	feed->ended = true;
	(void) shutdown(feed->inner, SHUT_WR);
}

/* What libpq wrote goes out, as far as the network takes it. */
static void
move_up(PcfgFeed *feed)
{
	for (;;)
	{
		ssize_t		n;

		if (feed->up_done == feed->up_len)
		{
			n = recv(feed->inner, feed->up, sizeof(feed->up), MSG_DONTWAIT);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return;
			feed->up_len = (size_t) n;
			feed->up_done = 0;
		}
		n = send(feed->net, feed->up + feed->up_done, feed->up_len - feed->up_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			feed->up_done += (size_t) n;
		else if (n < 0 && errno == EINTR)
			continue;
		else
		{
			if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
				feed->up_done = feed->up_len = 0;	/* what it said last is still read */
			return;
		}
	}
}

/* Receives up to "want" bytes behind what is there; false when none came. */
static bool
receive(PcfgFeed *feed, size_t want)
{
	ssize_t		n;

	/* who was refused is not listened to any more, and may have filled it */
	want = Min(want, sizeof(feed->down) - feed->down_len);
	do
		n = recv(feed->net, feed->down + feed->down_len, want, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		feed->down_len += (size_t) n;
	else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		end(feed);
	return n > 0;
}

/* Gives libpq what is there.  Its end of the pair is empty, so it fits. */
static PcfgFeedResult
pass_on(PcfgFeed *feed)
{
	ssize_t		n;

	do
		n = send(feed->inner, feed->down, feed->down_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t) feed->down_len)
		end(feed);
	feed->down_len = 0;
	return PCFG_FEED_CALL;
}

static PcfgFeedResult
refuse(PcfgLoginVerdict verdict, const char **why)
{
	*why = pcfg_login_verdict_text(verdict);
	return PCFG_FEED_REFUSED;
}

static PcfgFeedResult
move_plain(PcfgFeed *feed, const char **why)
{
	PcfgLoginVerdict verdict;

	if (!receive(feed, PIECE))
		return feed->ended ? PCFG_FEED_CALL : PCFG_FEED_WAIT;
	verdict = pcfg_login_guard_look(&feed->guard, feed->down, feed->down_len);
	return verdict == PCFG_LOGIN_FINE ? pass_on(feed) : refuse(verdict, why);
}

/*
 * One byte: S for TLS, N for none, E for an error in plain text; or a record,
 * where libpq has begun with TLS unasked.
 */
static PcfgFeedResult
move_answer(PcfgFeed *feed, const char **why)
{
	unsigned char c;

	if (!receive(feed, 1))
		return feed->ended ? PCFG_FEED_CALL : PCFG_FEED_WAIT;
	c = (unsigned char) feed->down[0];
	if (c >= RECORD_FIRST && c <= RECORD_LAST)
	{
		feed->mode = RECORDS;
		return PCFG_FEED_WAIT;
	}
	feed->mode = c == 'S' ? RECORDS : PLAIN;
	if (c == 'E' && pcfg_login_guard_look(&feed->guard, feed->down, 1) != PCFG_LOGIN_FINE)
		return refuse(PCFG_LOGIN_TOO_LONG, why);
	return pass_on(feed);
}

/* Lets the guard see the contents of the record that libpq will read next. */
static PcfgLoginVerdict
look_into_record(PcfgFeed *feed)
{
	static char text[16384];
	SSL		   *ssl = open_ssl(feed);
	PcfgLoginVerdict verdict = PCFG_LOGIN_FINE;
	int			n;

	if (ssl == NULL)
		return PCFG_LOGIN_FINE; /* the handshake is OpenSSL's business */
	ERR_clear_error();
	n = SSL_peek(ssl, text, sizeof(text));
	if (n > 0)
		verdict = pcfg_login_guard_look(&feed->guard, text, (size_t) n);
	ERR_clear_error();
	explicit_bzero(text, sizeof(text));
	return verdict;
}

static PcfgFeedResult
move_record(PcfgFeed *feed, const char **why)
{
	size_t		size = RECORD_HEADER;
	PcfgLoginVerdict verdict;

	for (;;)
	{
		if (feed->down_len >= RECORD_HEADER)
		{
			size = RECORD_HEADER + ((size_t) (unsigned char) feed->down[3] << 8 |
									(unsigned char) feed->down[4]);
			if (size > RECORD_MAX)
				return refuse(PCFG_LOGIN_TOO_LONG, why);
			if (feed->down_len == size)
				break;
		}
		if (!receive(feed, size - feed->down_len))
			return feed->ended ? PCFG_FEED_CALL : PCFG_FEED_WAIT;
	}
	(void) pass_on(feed);
	verdict = look_into_record(feed);
	return verdict == PCFG_LOGIN_FINE ? PCFG_FEED_CALL : refuse(verdict, why);
}

PcfgFeedResult
pcfg_feed_move(PcfgFeed *feed, const char **why)
{
	PcfgFeedResult result;
	SSL		   *ssl = open_ssl(feed);

	move_up(feed);
	if (pair_has_unread(feed) || (ssl != NULL && SSL_pending(ssl) > 0))
		return PCFG_FEED_CALL;
	if (feed->ended)
		return PCFG_FEED_CALL;
	if (feed->mode == ANSWER)
	{
		result = move_answer(feed, why);
		if (feed->mode != RECORDS || result != PCFG_FEED_WAIT)
			return result;
	}
	return feed->mode == PLAIN ? move_plain(feed, why) : move_record(feed, why);
}

int
pcfg_feed_detach(PcfgFeed *feed)
{
	int			net = feed->net;

	move_up(feed);
	if (pair_has_unread(feed) || feed->down_len > 0 || feed->up_done < feed->up_len)
	{
		errno = EPROTO;
		return -1;
	}
	feed->net = -1;
	return net;
}

bool
pcfg_feed_give_back(PcfgFeed *feed)
{
	int			net = pcfg_feed_detach(feed);
	bool		ok;

	if (net < 0)
		return false;
	ok = dup3(net, PQsocket(feed->conn), O_CLOEXEC) >= 0;
	(void) close(net);
	return ok;
}
