/*-------------------------------------------------------------------------
 *
 * worker/relay.c
 *	  A TLS connection lent to backends.
 *
 * Floor 7; worker.
 *
 *		remote <--TLS--> ssl  | relay |  inner <--pair--> lent (the holder's)
 *
 * TLS state cannot leave its process, so the bytes come to it.  The relay
 * does not look at them.  What cannot be passed on at once is kept, at most
 * CHUNK a direction, and nothing more is read in that direction until it is
 * gone: the one who is slow holds up his own peer and nobody else.
 *
 * A socket event leads to work on that side only, and to at most TURN bytes
 * of it.  OpenSSL reads ahead, so bytes may lie in its buffer that no event
 * will tell of: whoever stops early asks the loop to call again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "shared/shmem.h"
#include "worker/loop.h"
#include "worker/relay.h"

/* Bytes moved in one piece, and kept for a slow peer. */
#define CHUNK		65536

/* Bytes moved for one event before others have their turn. */
#define TURN		(2 * CHUNK)

/* Bytes that could not be passed on yet. */
typedef struct Backlog
{
	char	   *data;			/* NULL when there are none */
	size_t		done;
	size_t		len;
} Backlog;

struct PcfgRelay
{
	PGconn	   *conn;
	SSL		   *ssl;			/* libpq's */
	int			inner;
	PcfgWatch	remote_watch;
	PcfgWatch	inner_watch;
	Backlog		up;				/* to the remote */
	Backlog		down;			/* to the holder */
	bool		read_wants_write;	/* SSL_read, or SSL_write, has to wait for */
	bool		write_wants_read;	/* the other direction first */
	bool		write_failed;	/* the remote takes no more */
	bool		ended;			/* nothing more comes from the remote */
	int			sleeper;		/* process to be woken by an answer; PCFG_NONE */
};

/* One at a time is in use, and only within a call. */
static char chunk[CHUNK];

/* ----------------------------------------------------------------
 * backlogs
 * ----------------------------------------------------------------
 */

static bool
backlog_keep(Backlog *backlog, const char *data, size_t len)
{
	backlog->data = malloc(len);
	if (backlog->data == NULL)
		return false;
	memcpy(backlog->data, data, len);
	backlog->done = 0;
	backlog->len = len;
	return true;
}

static void
backlog_drop(Backlog *backlog)
{
	free(backlog->data);
	backlog->data = NULL;
	backlog->done = backlog->len = 0;
}

/* ----------------------------------------------------------------
 * watching
 * ----------------------------------------------------------------
 */

void
pcfg_relay_wake(PcfgRelay *relay)
{
	if (relay->sleeper != PCFG_NONE)
		pcfg_wake_process(relay->sleeper);
	relay->sleeper = PCFG_NONE;
}

static void
end_inner(PcfgRelay *relay)
{
	pcfg_watch_remove(&relay->inner_watch);
	(void) shutdown(relay->inner, SHUT_RDWR);
	pcfg_relay_wake(relay);
}

/* Nothing more comes from the remote; the holder reads what came, then the end. */
static void
end_remote(PcfgRelay *relay)
{
	relay->ended = true;
	pcfg_watch_remove(&relay->remote_watch);
	backlog_drop(&relay->up);
	if (relay->down.data == NULL)
		end_inner(relay);
}

/* Asks for just those events that lead to progress. */
static void
rewatch(PcfgRelay *relay)
{
	int			remote = 0;
	int			inner = 0;
	bool		reading = relay->down.data == NULL;

	if ((reading && !relay->read_wants_write) || relay->write_wants_read)
		remote |= PCFG_WATCH_READ;
	if ((reading && relay->read_wants_write) ||
		(relay->up.data != NULL && !relay->write_wants_read))
		remote |= PCFG_WATCH_WRITE;
	if (relay->up.data == NULL && !relay->ended)
		inner |= PCFG_WATCH_READ;
	if (relay->down.data != NULL)
		inner |= PCFG_WATCH_WRITE;

	if (!relay->ended &&
		!pcfg_watch_set(&relay->remote_watch, PQsocket(relay->conn), remote))
		end_remote(relay);
	if (!(relay->ended && relay->down.data == NULL) &&
		!pcfg_watch_set(&relay->inner_watch, relay->inner, inner))
	{
		end_remote(relay);
		end_inner(relay);
	}
}

/* ----------------------------------------------------------------
 * from the remote to the holder
 * ----------------------------------------------------------------
 */

/*
 * Reads what is there, up to one chunk.  Returns the number of bytes; after
 * an end, of whatever kind, relay->ended is set.
 */
static size_t
read_remote(PcfgRelay *relay)
{
	size_t		n = 0;

	relay->read_wants_write = false;
	do
	{
		int			got;

		ERR_clear_error();
		got = SSL_read(relay->ssl, chunk + n, (int) (CHUNK - n));
		if (got > 0)
		{
			n += (size_t) got;
			continue;
		}
		switch (SSL_get_error(relay->ssl, got))
		{
			case SSL_ERROR_WANT_READ:
				return n;
			case SSL_ERROR_WANT_WRITE:
				relay->read_wants_write = true;
				return n;
			default:
				relay->ended = true;
				return n;
		}
	} while (n < CHUNK && SSL_has_pending(relay->ssl));
	return n;
}

/* Passes bytes to the holder and keeps the rest. */
static bool
send_inner(PcfgRelay *relay, const char *data, size_t len)
{
	size_t		sent = 0;

	while (sent < len)
	{
		ssize_t		n = send(relay->inner, data + sent, len - sent,
							 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t) n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			return backlog_keep(&relay->down, data + sent, len - sent);
		else
			return false;
	}
	return true;
}

static void
pump_down(PcfgRelay *relay)
{
	size_t		moved = 0;

	while (relay->down.data == NULL && !relay->ended)
	{
		size_t		n;

		if (moved >= TURN)
		{
			pcfg_watch_again(&relay->remote_watch);
			return;
		}
		n = read_remote(relay);
		if (n > 0 && !send_inner(relay, chunk, n))
			relay->ended = true;
		if (n > 0)
			pcfg_relay_wake(relay);
		if (relay->ended)
			end_remote(relay);
		else if (n < CHUNK && !SSL_has_pending(relay->ssl))
			return;
		else if (n == 0)
			return;				/* half a record */
		moved += n;
	}
}

static void
flush_down(PcfgRelay *relay)
{
	Backlog    *down = &relay->down;

	while (down->done < down->len)
	{
		ssize_t		n = send(relay->inner, down->data + down->done,
							 down->len - down->done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			down->done += (size_t) n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			return;
		else
			break;				/* nobody is there to read it */
	}
	backlog_drop(down);
	if (relay->ended)
		end_inner(relay);
	else
		/* OpenSSL may have been left with bytes in its buffer */
		pcfg_watch_again(&relay->remote_watch);
}

/* ----------------------------------------------------------------
 * from the holder to the remote
 * ----------------------------------------------------------------
 */

/*
 * Encrypts and sends; returns how much was taken.  A remote that takes no
 * more may still have said why, so its side stays open.
 */
static size_t
write_remote(PcfgRelay *relay, const char *data, size_t len)
{
	size_t		sent = 0;

	relay->write_wants_read = false;
	while (sent < len && !relay->write_failed)
	{
		int			n;

		ERR_clear_error();
		n = SSL_write(relay->ssl, data + sent, (int) (len - sent));
		if (n > 0)
		{
			sent += (size_t) n;
			continue;
		}
		switch (SSL_get_error(relay->ssl, n))
		{
			case SSL_ERROR_WANT_WRITE:
				return sent;
			case SSL_ERROR_WANT_READ:
				relay->write_wants_read = true;
				return sent;
			default:
				relay->write_failed = true;
				break;
		}
	}
	return len;
}

static void
flush_up(PcfgRelay *relay)
{
	Backlog    *up = &relay->up;

	up->done += write_remote(relay, up->data + up->done, up->len - up->done);
	if (up->done >= up->len)
		backlog_drop(up);
}

static void
pump_up(PcfgRelay *relay)
{
	size_t		moved = 0;

	while (relay->up.data == NULL)
	{
		ssize_t		n = recv(relay->inner, chunk, CHUNK, MSG_DONTWAIT);
		size_t		taken;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0)
		{
			/* our own side shut it down: the connection is being closed */
			end_remote(relay);
			end_inner(relay);
			return;
		}
		taken = write_remote(relay, chunk, (size_t) n);
		if (taken < (size_t) n &&
			!backlog_keep(&relay->up, chunk + taken, (size_t) n - taken))
		{
			end_remote(relay);
			return;
		}
		moved += (size_t) n;
		if (n < CHUNK || moved >= TURN)
			return;				/* an event tells if there is more */
	}
}

bool
pcfg_relay_is_quiet(const PcfgRelay *relay)
{
	return !relay->ended && !relay->write_failed && relay->up.data == NULL &&
		relay->down.data == NULL && !relay->remote_watch.again &&
		!SSL_has_pending(relay->ssl);
}

void
pcfg_relay_send(PcfgRelay *relay, const char *data, size_t len, int procno)
{
	size_t		taken = write_remote(relay, data, len);

	relay->sleeper = procno;
	if (taken < len && !backlog_keep(&relay->up, data + taken, len - taken))
	{
		end_remote(relay);
		end_inner(relay);
	}
	else
		rewatch(relay);
}

/* ----------------------------------------------------------------
 * events
 * ----------------------------------------------------------------
 */

static void
remote_ready(void *arg)
{
	PcfgRelay  *relay = arg;

	if (relay->up.data != NULL)
		flush_up(relay);
	pump_down(relay);
	rewatch(relay);
}

static void
inner_ready(void *arg)
{
	PcfgRelay  *relay = arg;

	if (relay->down.data != NULL)
		flush_down(relay);
	if (!relay->ended)
		pump_up(relay);
	rewatch(relay);
}

/* ----------------------------------------------------------------
 * beginning and end
 * ----------------------------------------------------------------
 */

/* How we want libpq's SSL object to behave from now on. */
static void
adjust_ssl(SSL *ssl)
{
	/* a write may take part of what it is given, and be tried again from a copy */
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* header and body of a record, and several records, in one recv */
	SSL_set_read_ahead(ssl, 1);
	SSL_set_default_read_buffer_len(ssl, CHUNK);
	/* nothing that a server could want with it */
	SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
}

PcfgRelay *
pcfg_relay_start(PGconn *conn, int *lent)
{
	SSL		   *ssl = PQsslStruct(conn, "OpenSSL");
	PcfgRelay  *relay = NULL;
	int			pair[2];

	errno = 0;
	if (ssl == NULL)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return NULL;
	relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
	{
		(void) close(pair[0]);
		(void) close(pair[1]);
		errno = ENOMEM;
		return NULL;
	}
	relay->conn = conn;
	relay->ssl = ssl;
	relay->inner = pair[0];
	relay->sleeper = PCFG_NONE;
	pcfg_watch_init(&relay->remote_watch, remote_ready, relay);
	pcfg_watch_init(&relay->inner_watch, inner_ready, relay);
	adjust_ssl(ssl);
	*lent = pair[1];
	rewatch(relay);
	/* what OpenSSL has read already makes no event */
	if (!relay->ended)
		pcfg_watch_again(&relay->remote_watch);
	return relay;
}

void
pcfg_relay_close(PcfgRelay *relay, bool polite)
{
	if (relay == NULL)
		return;
	pcfg_relay_wake(relay);
	pcfg_watch_remove(&relay->remote_watch);
	pcfg_watch_remove(&relay->inner_watch);
	/* PQfinish writes a Terminate, which must not complete half a message */
	if (!polite || relay->ended || relay->up.data != NULL)
		(void) shutdown(PQsocket(relay->conn), SHUT_RDWR);
	PQfinish(relay->conn);
	(void) close(relay->inner);
	backlog_drop(&relay->up);
	backlog_drop(&relay->down);
	free(relay);
}
