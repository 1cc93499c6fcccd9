/*
 * fuzz_relay.c
 *	  The worker's relay between a TLS server and a holder who do and leave
 *	  undone what they please: bytes arrive in order and whole, never others;
 *	  what is kept is bounded; nothing is left behind.
 *
 * The input is steps of two bytes: who does what, and how much of it.
 */
#include "worker/relay.h"

#define PQsocket relay_socket
#define PQsslStruct relay_ssl
#define PQfinish relay_finish
static int	relay_socket(const PGconn *conn);
static void *relay_ssl(PGconn *conn, const char *name);
static void relay_finish(PGconn *conn);

#include "worker/relay.c"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>

#define MUST(condition)		do { if (!(condition)) abort(); } while (0)
#define SLEEPER				7
#define MOST				(1 << 20)	/* bytes sent in one run, each way */

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static SSL_CTX *server_context;
static SSL_CTX *client_context;
static int	client_fd;
static SSL *client;
static bool finished;

/* ---- what the relay asks of libpq and of the loop */

static int
relay_socket(const PGconn *conn)
{
	return client_fd;
}

static void *
relay_ssl(PGconn *conn, const char *name)
{
	return client;
}

static void
relay_finish(PGconn *conn)
{
	finished = true;
	SSL_free(client);
	close(client_fd);
}

void
pcfg_watch_init(PcfgWatch *watch, PcfgWatchHandler handler, void *arg)
{
	watch->fd = -1;
	watch->events = 0;
	watch->handler = handler;
	watch->arg = arg;
	watch->again = false;
}

bool
pcfg_watch_set(PcfgWatch *watch, int fd, int events)
{
	watch->fd = events != 0 ? fd : -1;
	watch->events = events;
	return true;
}

void
pcfg_watch_remove(PcfgWatch *watch)
{
	watch->fd = -1;
	watch->events = 0;
	watch->again = false;
}

void
pcfg_watch_again(PcfgWatch *watch)
{
	watch->again = true;
}

void
pcfg_wake_process(int procno)
{
	MUST(procno == SLEEPER);
}

/* The handler is called if there is reason to; true if it was. */
static bool
serve(PcfgWatch *watch)
{
	struct pollfd p = {watch->fd, 0, 0};

	if (watch->again)
	{
		watch->again = false;
		watch->handler(watch->arg);
		return true;
	}
	if (watch->fd < 0)
		return false;
	p.events = (watch->events & PCFG_WATCH_READ ? POLLIN | POLLRDHUP : 0) |
		(watch->events & PCFG_WATCH_WRITE ? POLLOUT : 0);
	if (poll(&p, 1, 0) <= 0)
		return false;
	watch->handler(watch->arg);
	return true;
}

/* ---- the two sides */

static void
create_contexts(void)
{
	EVP_PKEY   *key = EVP_EC_gen("P-256");
	X509	   *cert = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	server_context = SSL_CTX_new(TLS_server_method());
	client_context = SSL_CTX_new(TLS_client_method());
	MUST(SSL_CTX_use_certificate(server_context, cert) == 1 &&
		 SSL_CTX_use_PrivateKey(server_context, key) == 1);
	SSL_CTX_set_mode(server_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* The n-th byte of each direction. */
static char
byte_at(size_t n, int direction)
{
	return (char) ((n * 2654435761u) >> 13 ^ (unsigned) direction);
}

static char piece[70000];

static void
fill(size_t from, size_t len, int direction)
{
	size_t		i;

	for (i = 0; i < len; i++)
		piece[i] = byte_at(from + i, direction);
}

static void
check(size_t from, size_t len, int direction)
{
	size_t		i;

	for (i = 0; i < len; i++)
		MUST(piece[i] == byte_at(from + i, direction));
}

static void
shake_hands(SSL *server)
{
	int			i;

	for (i = 0; i < 20 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); i++)
	{
		(void) SSL_do_handshake(client);
		(void) SSL_do_handshake(server);
	}
	MUST(SSL_is_init_finished(server) && SSL_is_init_finished(client));
}

/*
 * Returns how much was taken.  What OpenSSL has begun to send, it wants to be
 * given again: *begun bytes, 0 if there is nothing.
 */
static size_t
server_says(SSL *server, size_t from, size_t *begun, size_t amount)
{
	int			n;

	if (*begun > 0)
		amount = *begun;
	ERR_clear_error();
	fill(from, amount, 0);
	n = SSL_write(server, piece, (int) amount);
	*begun = n <= 0 && SSL_get_error(server, n) == SSL_ERROR_WANT_WRITE ? amount : 0;
	return n > 0 ? (size_t) n : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int			net[2];
	int			lent;
	SSL		   *server;
	PcfgRelay  *relay;
	size_t		sent[2] = {0, 0};
	size_t		got[2] = {0, 0};
	size_t		begun = 0;
	bool		server_ended = false;
	bool		damaged = false;
	bool		rekeyed = false;
	char		byte;
	size_t		i;

	if (server_context == NULL)
	{
		/* as in the worker */
		(void) signal(SIGPIPE, SIG_IGN);
		create_contexts();
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, net) == 0);
	client_fd = net[0];
	client = SSL_new(client_context);
	server = SSL_new(server_context);
	SSL_set_fd(client, net[0]);
	SSL_set_fd(server, net[1]);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	shake_hands(server);
	finished = false;
	relay = pcfg_relay_start((PGconn *) &finished, &lent);
	MUST(relay != NULL);

	for (i = 0; i + 1 < size; i += 2)
	{
		size_t		amount = (size_t) data[i + 1] * data[i + 1] + 1;
		ssize_t		n;

		switch (data[i] % 8)
		{
			case 0:				/* the server says something */
				if (server_ended || damaged || sent[0] > MOST)
					break;
				sent[0] += server_says(server, sent[0], &begun, amount);
				break;
			case 1:				/* the holder says something */
				if (sent[1] > MOST)
					break;
				fill(sent[1], amount, 1);
				if ((data[i] & 0x80) != 0)
				{
					/* the worker says it for him, if all was read that he said */
					if (recv(relay->inner, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
						!pcfg_relay_is_quiet(relay))
						break;
					pcfg_relay_send(relay, piece, amount, SLEEPER);
					sent[1] += amount;
					break;
				}
				n = send(lent, piece, amount, MSG_NOSIGNAL | MSG_DONTWAIT);
				if (n > 0)
					sent[1] += (size_t) n;
				break;
			case 2:				/* the server reads */
				n = SSL_read(server, piece, (int) amount);
				if (n > 0)
				{
					check(got[1], (size_t) n, 1);
					got[1] += (size_t) n;
				}
				break;
			case 3:				/* the holder reads */
				n = recv(lent, piece, amount, MSG_DONTWAIT);
				if (n > 0)
				{
					check(got[0], (size_t) n, 0);
					got[0] += (size_t) n;
				}
				else if (n == 0)
					MUST(server_ended || damaged || (rekeyed && relay->ended));
				break;
			case 4:
				(void) serve(&relay->remote_watch);
				break;
			case 5:
				(void) serve(&relay->inner_watch);
				break;
			case 6:				/* keys change, if nothing is half written */
				if (!server_ended && !damaged && SSL_version(server) == TLS1_3_VERSION)
					rekeyed |= SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED) == 1;
				break;
			case 7:
				if (data[i + 1] > 250)
				{
					(void) SSL_shutdown(server);
					(void) shutdown(net[1], SHUT_WR);
					server_ended = true;
				}
				else if (data[i + 1] > 245)
				{
					(void) shutdown(net[1], SHUT_RDWR);
					server_ended = true;
				}
				else if (data[i + 1] > 240)
				{
					(void) write(net[1], "not a record of any kind", 24);
					damaged = true;
				}
				break;
		}
		ERR_clear_error();
		MUST(relay->up.len <= CHUNK && relay->down.len <= CHUNK);
		MUST(got[0] <= sent[0] && got[1] <= sent[1]);
	}

	/* with nobody else doing anything, the worker comes to rest */
	for (i = 0; serve(&relay->remote_watch) || serve(&relay->inner_watch); i++)
		MUST(i < 1000);

	/* with everybody willing, all that the server said arrives, or the end */
	if (!damaged && !server_ended)
	{
		int			idle = 0;
		int			still = 0;

		while ((got[0] < sent[0] || begun > 0) && idle < 3)
		{
			bool		moved = serve(&relay->remote_watch);
			bool		progress = false;
			ssize_t		n;

			moved |= serve(&relay->inner_watch);
			n = recv(lent, piece, sizeof(piece), MSG_DONTWAIT);
			if (n > 0)
			{
				check(got[0], (size_t) n, 0);
				got[0] += (size_t) n;
				progress = true;
			}
			n = SSL_read(server, piece, sizeof(piece));
			if (n > 0)
			{
				check(got[1], (size_t) n, 1);
				got[1] += (size_t) n;
				progress = true;
			}
			if (begun > 0)
			{
				size_t		said = server_says(server, sent[0], &begun, 0);

				sent[0] += said;
				progress |= said > 0;
			}
			idle = moved || progress ? 0 : idle + 1;
			still = progress ? 0 : still + 1;
			MUST(still < 1000);	/* the worker would spin */
		}
		/*
		 * OpenSSL cannot answer a change of keys behind half a record of ours;
		 * nor do two that both wait to answer one read any more.
		 */
		MUST(got[0] == sent[0] || (rekeyed && (relay->ended || relay->read_wants_write)));
	}
	pcfg_relay_close(relay, size > 0 && data[0] % 2 == 0);
	MUST(finished);
	SSL_free(server);
	close(net[1]);
	close(lent);
	ERR_clear_error();
	return 0;
}
