/*-------------------------------------------------------------------------
 *
 * worker/clients.c
 *	  The control channels of the backends: hellos, requests, death
 *	  certificates.
 *
 * Floor 11; worker.
 *
 * Every length and number of a message is checked; a client that breaks the
 * rules loses its channel, and nobody else notices.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>
#include <unistd.h>

#include "shared/control.h"
#include "shared/failpoint.h"
#include "shared/fdpass.h"
#include "worker/clients.h"
#include "worker/connection.h"
#include "worker/credentials.h"
#include "worker/loop.h"

/* Messages of one client, and hellos, that are served in one go. */
#define BATCH			32

/* A client may have so many answers waiting for room in its channel. */
#define MAX_REPLIES		8

typedef struct Client
{
	int			procno;
	int			pid;			/* by the kernel's word; 0 = no channel */
	int			sock;
	PcfgWatch	watch;
	int			nreplies;
	PcfgSlotMessage replies[MAX_REPLIES];	/* what was asked */
} Client;

static Client *clients = NULL;	/* by process number */
static PcfgWatch hello_watch;
static int	nclients = 0;

/* For one message at a time; credentials are wiped from it at once. */
static union
{
	PcfgMessageHeader header;
	PcfgHello	hello;
	PcfgCredentials credentials;
	PcfgSlotMessage slot;
	char		bytes[PCFG_CONTROL_MAX + 1];
}			incoming;

static void
close_client(Client *client)
{
	if (client->sock < 0)
		return;
	pcfg_watch_remove(&client->watch);
	(void) close(client->sock);
	client->sock = -1;
	client->pid = 0;
	client->nreplies = 0;
	nclients--;
}

/* End of file: the process is gone, and what it leased is nobody's. */
static void
client_died(Client *client)
{
	int			pid = client->pid;

	close_client(client);
	pcfg_connection_owner_died((uint32) client->procno + 1, pid);
}

/* ----------------------------------------------------------------
 * answers
 * ----------------------------------------------------------------
 */

/* Answers one request; false when the channel is full for now. */
static bool
answer(Client *client, const PcfgSlotMessage *request)
{
	PcfgSlotMessage reply = *request;
	int			sock = pcfg_connection_socket(request->slot, request->generation,
											  request->use, (uint32) client->procno + 1);
	int			error;

	PCFG_FAILPOINT(worker_passes_socket);
	reply.header.type = sock >= 0 ? PCFG_MSG_SOCKET : PCFG_MSG_GONE;
	error = pcfg_packet_send(client->sock, &reply, sizeof(reply), sock);
	/* any other error is followed by an end of file */
	return error != EAGAIN && error != EWOULDBLOCK && error != ETOOMANYREFS &&
		error != ENOBUFS && error != ENOMEM;
}

static void
watch_client(Client *client)
{
	if (!pcfg_watch_set(&client->watch, client->sock, PCFG_WATCH_READ |
						(client->nreplies > 0 ? PCFG_WATCH_WRITE : 0)))
		client_died(client);
}

static void
send_replies(Client *client)
{
	int			done = 0;

	while (done < client->nreplies && answer(client, &client->replies[done]))
		done++;
	if (done == 0)
		return;
	client->nreplies -= done;
	memmove(client->replies, client->replies + done,
			(size_t) client->nreplies * sizeof(client->replies[0]));
	watch_client(client);
}

/* ----------------------------------------------------------------
 * requests
 * ----------------------------------------------------------------
 */

/* False: the client broke the rules. */
static bool
serve_slot_message(Client *client, size_t length)
{
	const PcfgSlotMessage *m = &incoming.slot;

	if (length != sizeof(*m) || m->slot < 0 || m->slot >= pcfg_shared->nslots)
		return false;
	if (m->header.type == PCFG_MSG_CANCEL)
	{
		pcfg_connection_cancel(m->slot, m->generation, m->use, (uint32) client->procno + 1);
		return true;
	}
	if (client->nreplies == MAX_REPLIES)
		return false;
	if (client->nreplies > 0 || !answer(client, m))
	{
		client->replies[client->nreplies++] = *m;
		watch_client(client);
	}
	return true;
}

static bool
serve_message(Client *client, size_t length)
{
	bool		ok;

	if (length < sizeof(PcfgMessageHeader) ||
		incoming.header.version != PCFG_CONTROL_VERSION ||
		incoming.header.length != length)
		return false;
	switch (incoming.header.type)
	{
		case PCFG_MSG_CREDENTIALS:
			ok = pcfg_credentials_store(&incoming.credentials, length);
			explicit_bzero(&incoming, length);
			SetLatch(MyLatch);	/* a reserved slot may wait for them */
			return ok;
		case PCFG_MSG_FETCH:
		case PCFG_MSG_CANCEL:
			return serve_slot_message(client, length);
		default:
			return false;
	}
}

static void
client_ready(void *arg)
{
	Client	   *client = arg;
	int			i;

	if (client->nreplies > 0)
		send_replies(client);
	for (i = 0; i < BATCH && client->sock >= 0; i++)
	{
		int			fd = -1;
		ssize_t		n = pcfg_packet_receive(client->sock, &incoming, PCFG_CONTROL_MAX,
											&fd, NULL);

		if (fd >= 0)
		{
			(void) close(fd);	/* nobody asked for one */
			client_died(client);
		}
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		else if (n <= 0 || !serve_message(client, (size_t) n))
			client_died(client);
	}
}

/* ----------------------------------------------------------------
 * hellos
 * ----------------------------------------------------------------
 */

/* Whether a hello comes from a process of this start of the server. */
static bool
hello_is_sound(ssize_t n, int fd, pid_t sender)
{
	const PcfgHello *h = &incoming.hello;

	return n == sizeof(*h) && fd >= 0 &&
		h->header.version == PCFG_CONTROL_VERSION &&
		h->header.type == PCFG_MSG_HELLO &&
		h->header.length == sizeof(*h) &&
		memcmp(h->token, pcfg_shared->start_token, PCFG_TOKEN_LEN) == 0 &&
		h->procno >= 0 && h->procno < pcfg_shared->nwaiters &&
		h->pid == (int) sender;
}

static void
accept_client(int procno, int pid, int fd)
{
	Client	   *client = &clients[procno];

	/* the number's former process is gone, or has opened a new channel */
	if (client->sock >= 0)
	{
		if (client->pid != pid)
			client_died(client);
		else
			close_client(client);
	}
	client->pid = pid;
	client->sock = fd;
	client->nreplies = 0;
	nclients++;
	pcfg_watch_init(&client->watch, client_ready, client);
	watch_client(client);
}

static void
hello_ready(void *arg)
{
	int			i;

	for (i = 0; i < BATCH; i++)
	{
		int			fd = -1;
		pid_t		sender = 0;
		ssize_t		n = pcfg_packet_receive(pcfg_control_pair[0], &incoming,
											PCFG_CONTROL_MAX, &fd, &sender);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (hello_is_sound(n, fd, sender))
			accept_client(incoming.hello.procno, (int) sender, fd);
		else if (fd >= 0)
			(void) close(fd);
	}
}

bool
pcfg_clients_create(void)
{
	int			i;

	clients = calloc((size_t) pcfg_shared->nwaiters, sizeof(*clients));
	if (clients == NULL)
		return false;
	for (i = 0; i < pcfg_shared->nwaiters; i++)
	{
		clients[i].procno = i;
		clients[i].sock = -1;
	}
	pcfg_watch_init(&hello_watch, hello_ready, NULL);
	return pcfg_watch_set(&hello_watch, pcfg_control_pair[0], PCFG_WATCH_READ);
}

int
pcfg_clients_count(void)
{
	return nclients;
}
