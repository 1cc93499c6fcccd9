/*-------------------------------------------------------------------------
 *
 * worker/resolver.c
 *	  Names of hosts to addresses, without blocking, by c-ares.
 *
 * Floor 7; worker.
 *
 * libpq would look names up itself, synchronously and without a time limit;
 * one dead resolver would stop every pool.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ares.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "miscadmin.h"
#include "storage/latch.h"

#include "worker/loop.h"
#include "worker/resolver.h"

/* Sockets that c-ares has open at once; it uses one or two a name server. */
#define MAX_SOCKETS		16

/*
 * Milliseconds for a name server before the next is asked (c-ares doubles them
 * from round to round), and rounds: a silent one leaves time for others within
 * connect_timeout.
 */
#define SERVER_TIMEOUT	1000
#define SERVER_TRIES	2

/* Where c-ares reads which servers there are. */
#define CONFIGURATION	"/etc/resolv.conf"

struct PcfgLookup
{
	PcfgResolved done;			/* NULL = abandoned */
	void	   *arg;
	bool		called;
	bool		starting;		/* still in pcfg_resolver_start */
};

typedef struct AresSocket
{
	PcfgWatch	watch;
	int			fd;
	int			events;
} AresSocket;

static ares_channel channel;
static struct stat configured;	/* the file as the channel was made from it */
static AresSocket sockets[MAX_SOCKETS];
static int	pending = 0;

static void
socket_ready(void *arg)
{
	AresSocket *s = arg;
	int			fd = s->fd;
	int			events = s->events;

	if (fd >= 0)
		ares_process_fd(channel,
						events & PCFG_WATCH_READ ? fd : ARES_SOCKET_BAD,
						events & PCFG_WATCH_WRITE ? fd : ARES_SOCKET_BAD);
}

/* c-ares tells which of its sockets it wants to read or write. */
static void
socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	int			events = (readable ? PCFG_WATCH_READ : 0) |
		(writable ? PCFG_WATCH_WRITE : 0);
	AresSocket *place = NULL;
	int			i;

	for (i = 0; i < MAX_SOCKETS; i++)
	{
		if (sockets[i].fd == fd)
		{
			place = &sockets[i];
			break;
		}
		if (place == NULL && sockets[i].fd < 0)
			place = &sockets[i];
	}
	if (place == NULL)
		return;					/* its queries time out */
	place->events = events;
	place->fd = events != 0 ? fd : -1;
	if (events == 0)
		pcfg_watch_remove(&place->watch);
	else
		(void) pcfg_watch_set(&place->watch, fd, events);
}

static bool
make_channel(ares_channel *made)
{
	struct ares_options options = {0};
	struct stat found = {0};

	(void) stat(CONFIGURATION, &found);
	options.sock_state_cb = socket_state;
	options.timeout = SERVER_TIMEOUT;
	options.tries = SERVER_TRIES;
	if (ares_init_options(made, &options, ARES_OPT_SOCK_STATE_CB |
						  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) != ARES_SUCCESS)
		return false;
	configured = found;
	return true;
}

/*
 * The servers may be others by now: of a network that came up, or was changed.
 * Look-ups under way fail, for whom they ask may be gone; their logins, which
 * may have had their part of this turn, need another one to go on.
 */
static void
follow_configuration(void)
{
	struct stat now;
	ares_channel old = channel;

	if (stat(CONFIGURATION, &now) != 0 ||
		(now.st_ino == configured.st_ino && now.st_size == configured.st_size &&
		 now.st_mtim.tv_sec == configured.st_mtim.tv_sec &&
		 now.st_mtim.tv_nsec == configured.st_mtim.tv_nsec) ||
		!make_channel(&channel))
	{
		channel = old;
		return;
	}
	ares_destroy(old);
	SetLatch(MyLatch);
}

bool
pcfg_resolver_create(void)
{
	int			i;

	for (i = 0; i < MAX_SOCKETS; i++)
	{
		sockets[i].fd = -1;
		pcfg_watch_init(&sockets[i].watch, socket_ready, &sockets[i]);
	}
	return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS && make_channel(&channel);
}

/* One address as text; false if it is of another family. */
static bool
format_address(const struct ares_addrinfo_node *node, char *out)
{
	if (node->ai_family == AF_INET)
		return inet_ntop(AF_INET, &((struct sockaddr_in *) (void *) node->ai_addr)->sin_addr,
						 out, PCFG_ADDRESS_LEN) != NULL;
	if (node->ai_family == AF_INET6)
	{
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) (void *) node->ai_addr;
		char		zone[IF_NAMESIZE];

		if (inet_ntop(AF_INET6, &in6->sin6_addr, out, INET6_ADDRSTRLEN) == NULL)
			return false;
		if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, zone) != NULL)
		{
			strlcat(out, "%", PCFG_ADDRESS_LEN);
			strlcat(out, zone, PCFG_ADDRESS_LEN);
		}
		return true;
	}
	return false;
}

static void
lookup_ended(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	PcfgLookup *lookup = arg;
	char		addresses[PCFG_MAX_ADDRESSES][PCFG_ADDRESS_LEN];
	int			n = 0;

	pending--;
	if (status == ARES_SUCCESS && result != NULL)
	{
		struct ares_addrinfo_node *node;

		for (node = result->nodes; node != NULL && n < PCFG_MAX_ADDRESSES; node = node->ai_next)
		{
			if (format_address(node, addresses[n]))
				n++;
		}
	}
	if (result != NULL)
		ares_freeaddrinfo(result);
	lookup->called = true;
	if (lookup->done != NULL)
		lookup->done(lookup->arg, addresses, n,
					 status == ARES_SUCCESS ? "the name has no address" : ares_strerror(status));
	if (!lookup->starting)
		free(lookup);
}

PcfgLookup *
pcfg_resolver_start(const char *host, PcfgResolved done, void *arg)
{
	struct ares_addrinfo_hints hints = {0};
	PcfgLookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
	{
		done(arg, NULL, 0, "out of memory");
		return NULL;
	}
	lookup->done = done;
	lookup->arg = arg;
	lookup->starting = true;
	follow_configuration();
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	pending++;
	ares_getaddrinfo(channel, host, NULL, &hints, lookup_ended, lookup);
	lookup->starting = false;
	if (lookup->called)
	{
		free(lookup);
		return NULL;
	}
	return lookup;
}

void
pcfg_resolver_abandon(PcfgLookup *lookup)
{
	if (lookup != NULL)
		lookup->done = NULL;	/* freed when c-ares is done with it */
}

PcfgTime
pcfg_resolver_tick(PcfgTime now)
{
	struct timeval tv;
	struct timeval *next;

	if (pending == 0)
		return PCFG_FOREVER;
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	next = ares_timeout(channel, NULL, &tv);
	if (next == NULL)
		return PCFG_FOREVER;
	return now + (PcfgTime) next->tv_sec * PCFG_SECOND + next->tv_usec;
}
