/*-------------------------------------------------------------------------
 *
 * backend/channel.c
 *	  A backend's side of the control channel: hello and requests.
 *
 * Floor 8; backends.
 *
 * The channel is made at first use and stays until this process ends: its
 * end of file tells the worker that we died.  If the worker goes, we read
 * end of file from it and say hello to the next one.
 *
 * A descriptor is paid for (AcquireExternalFD) before it is received, and it
 * stands in the cache before anything that may raise an error runs.  A
 * reply that arrives after its request was given up is read with the next
 * request; its descriptor is closed unless it is just the one wanted.
 *
 * Knows nothing of the remote's protocol: bytes are the business of
 * session.c.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/channel.h"
#include "backend/sql_text.h"
#include "shared/control.h"
#include "shared/failpoint.h"
#include "shared/fdpass.h"
#include "storage/fd.h"

/* So long a missing worker is taken for one that restarts. */
#define WORKER_GRACE	(3 * PCFG_SECOND)

/* A wait for room in a full queue looks again at least that often. */
#define RETRY_MS		100
/* ... and when the system gives no event to wait for. */
#define RETRY_BLIND_MS	10

/* Credentials that the worker has not taken note of are sent again. */
#define RESEND_AFTER	PCFG_SECOND

/* A wait for an answer looks at the clock and the worker that often. */
#define ANSWER_MS		1000

/* What came from the worker. */
typedef enum Arrival
{
	ARRIVED_NOTHING,
	ARRIVED_MESSAGE,
	ARRIVED_END					/* the channel is dead and was closed */
} Arrival;

/* Our end; paid for as long as it is open. */
static int	channel = -1;

/*
 * It goes to the worker of that life, or to one that came after it; 0 = none.
 * That of an earlier worker was closed with it.
 */
static uint32 channel_life = 0;

/*
 * We reset the latch while waiting for the worker; somebody up the stack may
 * have been meant.  See pass_on_latch.
 */
static bool latch_taken = false;

/* The credentials sent last, so that a waiter does not send them each turn. */
static struct
{
	int			pool;
	uint32		serial;
	uint32		life;
	PcfgTime	at;
}			last_credentials = {PCFG_NONE, 0, 0, 0};

/* ----------------------------------------------------------------
 * the channel
 * ----------------------------------------------------------------
 */

/*
 * One turn of waiting for the worker: for the socket (unless it is
 * PGINVALID_SOCKET), the latch, or "cap" milliseconds.  *missing_since is 0
 * or the time since when there is no worker.  Raises the errors that end
 * such a wait.
 */
static void
wait_for_worker(pgsocket sock, int events, long cap, PcfgTime deadline,
				PcfgTime *missing_since)
{
	PcfgTime	now = pcfg_now();

	if (pg_atomic_read_u32(&pcfg_shared->worker_procno) != 0)
		*missing_since = 0;
	else if (*missing_since == 0)
		*missing_since = now;
	else if (now - *missing_since > WORKER_GRACE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker of pool_config is not running"),
				 errhint("See the server log for the reason; max_worker_processes may be too small.")));
	if (now >= deadline)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("the background worker of pool_config did not answer in time"),
				 errdetail("The call's pool_timeout ended before the worker handed a connection over.")));

	(void) pcfg_descriptor_wait(sock, events, pcfg_ms_until(deadline, cap),
					 pcfg_wait_event(PCFG_WAIT_FOR_WORKER));
	ResetLatch(MyLatch);
	latch_taken = true;
	CHECK_FOR_INTERRUPTS();
}

/* Whoever waits next looks at his own condition first. */
static void
pass_on_latch(void)
{
	if (latch_taken)
		SetLatch(MyLatch);
	latch_taken = false;
}

static void
close_channel(void)
{
	if (channel < 0)
		return;
	close(channel);
	channel = -1;
	channel_life = 0;
	ReleaseExternalFD();
	last_credentials.pool = PCFG_NONE;
}

static bool
is_dead(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN ||
		error == ECONNREFUSED;
}

/*
 * Takes the next message off the channel, without waiting.  *fd is the
 * caller's, to be registered or closed before anything else happens.
 */
static Arrival
receive_reply(PcfgSlotMessage *message, int *fd)
{
	char		data[sizeof(PcfgSlotMessage) + 1];
	ssize_t		n;
	int			error;

	do
		n = pcfg_packet_receive(channel, data, sizeof(data), fd, NULL);
	while (n < 0 && errno == EINTR);
	error = errno;
	if (n < 0 && (error == EAGAIN || error == EWOULDBLOCK))
		return ARRIVED_NOTHING;
	if (n == 0 || (n < 0 && is_dead(error)))
	{
		close_channel();
		return ARRIVED_END;
	}
	if (n < 0)
	{
		/* the reply is lost, and with it the count of replies */
		close_channel();
		ereport(ERROR,
				(errcode(error == EMFILE || error == ENFILE ?
						 ERRCODE_INSUFFICIENT_RESOURCES : ERRCODE_SYSTEM_ERROR),
				 errmsg("could not receive a connection from the background worker of pool_config: %s",
						strerror(error))));
	}

	if (n == sizeof(PcfgSlotMessage))
		memcpy(message, data, sizeof(PcfgSlotMessage));
	if (n != sizeof(PcfgSlotMessage) ||
		message->header.version != PCFG_CONTROL_VERSION ||
		message->header.length != sizeof(PcfgSlotMessage) ||
		!((message->header.type == PCFG_MSG_SOCKET && *fd >= 0) ||
		  (message->header.type == PCFG_MSG_GONE && *fd < 0)))
	{
		if (*fd >= 0)
			close(*fd);
		close_channel();
		elog(ERROR, "unexpected message from the background worker of pool_config");
	}
	return ARRIVED_MESSAGE;
}

/* Reads late replies; the channel is closed if the worker is gone. */
static void
drain_channel(void)
{
	PcfgSlotMessage message;
	int			fd;

	while (channel >= 0 && receive_reply(&message, &fd) == ARRIVED_MESSAGE)
	{
		if (fd >= 0)
			close(fd);
	}
}

/*
 * Sends the hello with the other end of our pair, which is ours to close.
 * The inherited pair's queue is shared by all processes of the server, so
 * it may be full.
 */
static void
send_hello(int other_end, PcfgTime deadline)
{
	PcfgHello	hello;
	PcfgTime	missing_since = 0;

	memset(&hello, 0, sizeof(hello));
	hello.header.version = PCFG_CONTROL_VERSION;
	hello.header.type = PCFG_MSG_HELLO;
	hello.header.length = sizeof(hello);
	memcpy(hello.token, pcfg_shared->start_token, PCFG_TOKEN_LEN);
	hello.pid = MyProcPid;
	hello.procno = PCFG_MY_PROCNO;

	for (;;)
	{
		int			error = pcfg_packet_send(pcfg_control_pair[1], &hello,
											 sizeof(hello), other_end);

		if (error == 0)
			break;
		if (error == EAGAIN || error == EWOULDBLOCK)
			wait_for_worker(pcfg_control_pair[1], WL_SOCKET_WRITEABLE, RETRY_MS,
							deadline, &missing_since);
		else if (error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM)
			wait_for_worker(PGINVALID_SOCKET, 0, RETRY_BLIND_MS, deadline,
							&missing_since);
		else if (error != EINTR)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not reach the background worker of pool_config: %s",
							strerror(error))));
	}
}

/*
 * Opens the channel unless it is open.  Every process inherited the
 * worker's end of the first pair, and closes it here.
 */
static void
open_channel(PcfgTime deadline)
{
	static bool inherited_closed = false;
	uint32		life = pg_atomic_read_u32(&pcfg_shared->worker_life);
	int			pair[2];
	int			error;

	if (!inherited_closed)
	{
		close(pcfg_control_pair[0]);
		pcfg_control_pair[0] = -1;
		inherited_closed = true;
	}
	if (channel >= 0)
		drain_channel();
	if (channel >= 0)
	{
		channel_life = life;
		return;
	}

	pcfg_descriptor_pay();
	error = pcfg_packet_pair(pair);
	if (error != 0)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not make a channel to the background worker of pool_config: %s",
						strerror(error))));
	}
	PG_TRY();
	{
		send_hello(pair[1], deadline);
	}
	PG_CATCH();
	{
		close(pair[0]);
		close(pair[1]);
		ReleaseExternalFD();
		PG_RE_THROW();
	}
	PG_END_TRY();
	close(pair[1]);
	channel = pair[0];
	channel_life = life;
}

uint32
pcfg_channel_life(void)
{
	return channel_life;
}

/*
 * Sends one message, opening the channel as often as the worker restarts
 * meanwhile; wait_for_worker ends that.
 */
static void
send_message(const void *message, size_t len, PcfgTime deadline)
{
	PcfgTime	missing_since = 0;

	for (;;)
	{
		int			error;

		open_channel(deadline);
		error = pcfg_packet_send(channel, message, len, -1);
		if (error == 0)
			return;
		if (error == EAGAIN || error == EWOULDBLOCK)
			wait_for_worker(channel, WL_SOCKET_WRITEABLE, RETRY_MS, deadline,
							&missing_since);
		else if (error == ENOBUFS || error == ENOMEM)
			wait_for_worker(PGINVALID_SOCKET, 0, RETRY_BLIND_MS, deadline,
							&missing_since);
		else if (is_dead(error))
		{
			close_channel();
			wait_for_worker(PGINVALID_SOCKET, 0, RETRY_BLIND_MS, deadline,
							&missing_since);
		}
		else if (error != EINTR)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not write to the background worker of pool_config: %s",
							strerror(error))));
	}
}

/* ----------------------------------------------------------------
 * requests
 * ----------------------------------------------------------------
 */

/*
 * Lays the message out at "data", or only measures it when that is NULL.
 * Returns its length.
 */
static size_t
put_credentials(char *data, const PcfgTarget *target, const List *init)
{
	size_t		used = offsetof(PcfgCredentials, text);
	ListCell   *lc;
	int			i;

#define PUT_STRING(s) \
	do { \
		size_t		len_ = strlen(s) + 1; \
		if (data != NULL) \
			memcpy(data + used, (s), len_); \
		used += len_; \
	} while (0)

	for (i = 0; i < target->nparams; i++)
	{
		PUT_STRING(target->keywords[i]);
		PUT_STRING(target->values[i]);
	}
	foreach(lc, init)
		PUT_STRING((const char *) lfirst(lc));

#undef PUT_STRING

	return used;
}

void
pcfg_channel_send_credentials(const PcfgTarget *target, PcfgTime deadline)
{
	uint32		life = pg_atomic_read_u32(&pcfg_shared->worker_life);
	PcfgTime	now = pcfg_now();
	List	   *init;
	PcfgCredentials *message;
	char	   *data;
	size_t		len;

	if (life != 0 &&
		pg_atomic_read_u32(&pcfg_pools[target->pool].credentials_life) == life)
		return;
	if (channel >= 0 && last_credentials.pool == target->pool &&
		last_credentials.serial == target->serial &&
		last_credentials.life == life && now - last_credentials.at < RESEND_AFTER)
		return;

	init = pcfg_sql_split(target->init_sql);
	len = put_credentials(NULL, target, init);
	if (len > PCFG_CONTROL_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the options of target \"%s\" are too long", target->name),
				 errdetail("Connection options and init_sql take %zu bytes together; at most %d are possible.",
						   len, PCFG_CONTROL_MAX)));
	data = palloc0(len);
	message = (PcfgCredentials *) data;
	message->header.version = PCFG_CONTROL_VERSION;
	message->header.type = PCFG_MSG_CREDENTIALS;
	message->header.length = (uint32) len;
	message->pool = target->pool;
	message->serial = target->serial;
	message->nparams = (uint32) target->nparams;
	message->ninit = (uint32) list_length(init);

	PG_TRY();
	{
		(void) put_credentials(data, target, init);
		send_message(data, len, deadline);
	}
	PG_FINALLY();
	{
		explicit_bzero(data, len);
	}
	PG_END_TRY();
	pfree(data);
	list_free_deep(init);
	pass_on_latch();
	last_credentials.pool = target->pool;
	last_credentials.serial = target->serial;
	last_credentials.life = life;
	last_credentials.at = now;
}

static PcfgSlotMessage
slot_message(PcfgMessageType type, int slot, uint32 generation, uint64 use)
{
	PcfgSlotMessage message;

	memset(&message, 0, sizeof(message));
	message.header.version = PCFG_CONTROL_VERSION;
	message.header.type = type;
	message.header.length = sizeof(message);
	message.slot = slot;
	message.generation = generation;
	message.use = use;
	return message;
}

/*
 * Asks for a connection and waits for the answer.  NULL when the worker has
 * it no longer.
 */
static PcfgSocket *
request_socket(int slot, uint32 generation, uint64 use, PcfgTime deadline)
{
	PcfgSlotMessage request = slot_message(PCFG_MSG_FETCH, slot, generation, use);
	PcfgTime	missing_since = 0;

	send_message(&request, sizeof(request), deadline);
	for (;;)
	{
		PcfgSlotMessage reply;
		int			fd = -1;

		switch (receive_reply(&reply, &fd))
		{
			case ARRIVED_NOTHING:
				wait_for_worker(channel, WL_SOCKET_READABLE, ANSWER_MS, deadline,
								&missing_since);
				continue;
			case ARRIVED_END:
				wait_for_worker(PGINVALID_SOCKET, 0, RETRY_BLIND_MS, deadline,
								&missing_since);
				send_message(&request, sizeof(request), deadline);
				continue;
			case ARRIVED_MESSAGE:
				break;
		}
		if (reply.slot == slot && reply.generation == generation)
		{
			/* an old request's descriptor is as good; its "gone" is not */
			if (fd >= 0)
				return pcfg_socket_register(slot, generation, fd);
			if (reply.use == use)
				return NULL;
		}
		else if (fd >= 0)
			close(fd);
	}
}

PcfgSocket *
pcfg_channel_fetch(int slot, uint32 generation, uint64 use, PcfgTime deadline)
{
	PcfgSocket *found = pcfg_socket_find(slot, generation);

	if (found != NULL)
		return found;
	pcfg_socket_prepare(slot);
	PCFG_FAILPOINT(asked_for_socket);
	found = request_socket(slot, generation, use, deadline);
	PCFG_FAILPOINT(got_socket);
	pass_on_latch();
	if (found != NULL)
		pcfg_socket_keep_wait_set(found);
	return found;
}

void
pcfg_channel_forget(int slot, uint32 generation)
{
	pcfg_socket_forget(slot, generation);
}

void
pcfg_channel_cancel(int slot, uint32 generation, uint64 use)
{
	PcfgSlotMessage request = slot_message(PCFG_MSG_CANCEL, slot, generation, use);

	if (channel >= 0)
		(void) pcfg_packet_send(channel, &request, sizeof(request), -1);
}
