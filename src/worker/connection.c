/*-------------------------------------------------------------------------
 *
 * worker/connection.c
 *	  The connections that the worker holds, one a slot.
 *
 * Floor 7; worker.
 *
 *	  NONE --reserved--> WAITING --credentials--> DIALLING --login--> OPEN
 *	  OPEN --idle and used--> RESETTING --answered--> OPEN
 *	  OPEN --condemned--> CLOSING --> [CANCELLING] --> closed, NONE
 *
 * A lent socket is watched for the remote's end only.  Its bytes are the
 * holder's; we read and write only while the slot is nobody's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/pg_prng.h"
#include "shared/backoff.h"
#include "shared/queue.h"
#include "shared/slots.h"
#include "wire/message.h"
#include "worker/connection.h"
#include "worker/exchange.h"
#include "worker/login.h"
#include "worker/loop.h"

/* A reservation without credentials is given up when nobody waits so long. */
#define PATIENCE		(10 * PCFG_SECOND)

/* A cancel request may take so long before the connection is closed. */
#define CANCEL_PATIENCE	(2 * PCFG_SECOND)

/*
 * What a session leaves at the remote (locks, LISTEN, settings) is cleared
 * when its connection has been idle so long; the reset may take so long.
 */
#define RESET_AFTER		PCFG_SECOND
#define RESET_PATIENCE	(5 * PCFG_SECOND)

/* Failures are logged at most that often a pool. */
#define LOG_EVERY		(60 * PCFG_SECOND)

typedef enum Phase
{
	NONE, WAITING, DIALLING, OPEN, RESETTING, CLOSING, CANCELLING
} Phase;

typedef struct Connection
{
	Phase		phase;
	int			slot;
	PcfgTime	since;			/* of the phase */
	PcfgLogin  *login;
	int			sock;			/* OPEN and later */
	uint32		generation;
	PcfgRelay  *relay;			/* behind sock, where TLS is in use */
	PcfgCancelKey *key;
	bool		cancel_wanted;
	PcfgWatch	watch;
	PcfgExchange *reset;		/* RESETTING */
	PcfgGrant	grant;			/* RESETTING: our own lease */
} Connection;

static Connection *connections = NULL;
static PcfgTime *logged_at = NULL;	/* by pool */

static void
set_phase(Connection *c, Phase phase)
{
	c->phase = phase;
	c->since = pcfg_now();
}

bool
pcfg_connection_create(void)
{
	int			i;

	connections = calloc((size_t) pcfg_shared->nslots, sizeof(*connections));
	logged_at = calloc((size_t) pcfg_shared->npools, sizeof(*logged_at));
	if (connections == NULL || logged_at == NULL)
		return false;
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		connections[i].slot = i;
		connections[i].sock = -1;
	}
	return true;
}

/* ----------------------------------------------------------------
 * the end of a connection
 * ----------------------------------------------------------------
 */

/* What the remote said last, if it said why it ended the session. */
static void
parting_words(int sock, char *out, size_t size)
{
	char		data[4096];
	ssize_t		n = recv(sock, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
	PcfgBuffer	buf;
	PcfgFrame	frame;
	PcfgFields	fields;
	size_t		need;

	strlcpy(out, "no reason given", size);
	if (n <= 0)
		return;
	pcfg_buffer_init(&buf, data, sizeof(data));
	pcfg_buffer_filled(&buf, (size_t) n);
	while (pcfg_frame_next(&buf, &frame, &need) == PCFG_FRAME_OK)
	{
		char	   *p;

		if (frame.type != 'E' || !pcfg_read_fields(&frame, &fields))
			continue;
		snprintf(out, size, "%s (%s)",
				 fields.message != NULL ? fields.message : "no message",
				 fields.sqlstate != NULL ? fields.sqlstate : "no SQLSTATE");
		for (p = out; *p != '\0'; p++)
		{
			if ((unsigned char) *p < ' ' || *p == 0x7f || IS_HIGHBIT_SET(*p))
				*p = '?';
		}
		return;
	}
}

/* The remote ended an established connection. */
static void
hung_up(void *arg)
{
	Connection *c = arg;
	uint64		word = pg_atomic_read_u64(&pcfg_slots[c->slot].word);

	/* once is enough, and an edge would not come again anyway */
	pcfg_watch_remove(&c->watch);
	if (c->phase != OPEN)
		return;
	if (pcfg_word_state(word) == PCFG_SLOT_IDLE)
	{
		char		words[512];

		parting_words(c->sock, words, sizeof(words));
		ereport(DEBUG1,
				(errmsg_internal("pool_config: connection %d was closed by the remote: %s",
								 c->slot, words)));
	}
	pcfg_slot_condemn(c->slot, c->generation);
}

/* Ends the session for all holders of a copy, and frees the slot. */
static void
close_connection(Connection *c)
{
	pcfg_watch_remove(&c->watch);
	pcfg_cancel_forget(c);
	(void) shutdown(c->sock, SHUT_RDWR);
	(void) close(c->sock);
	c->sock = -1;
	pcfg_relay_close(c->relay, !pcfg_slots[c->slot].in_doubt);
	c->relay = NULL;
	pcfg_cancel_key_free(c->key);
	c->key = NULL;
	c->cancel_wanted = false;
	set_phase(c, NONE);
	pcfg_slot_closed(c->slot);
}

static void
cancel_delivered(void *arg)
{
	Connection *c = arg;

	if (c->phase == CANCELLING)
		close_connection(c);
}

/*
 * A goodbye in the protocol's own words, where nobody can have left half a
 * message.
 */
static void
say_goodbye(Connection *c)
{
	static const char terminate[5] = {'X', 0, 0, 0, 4};

	(void) send(c->sock, terminate, sizeof(terminate), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * The slot is condemned.  The request to cancel was sent before that, but may
 * still lie in the client's channel: it is read in the turn after this one.
 */
static void
close_condemned(Connection *c)
{
	if (c->phase == OPEN)
	{
		set_phase(c, CLOSING);
		return;
	}
	if (c->cancel_wanted && c->key != NULL)
	{
		PcfgCancelKey *key = c->key;

		c->key = NULL;
		set_phase(c, CANCELLING);
		pcfg_cancel_send(key, cancel_delivered, c);
		return;
	}
	if (!pcfg_slots[c->slot].in_doubt && c->relay == NULL)
		say_goodbye(c);
	close_connection(c);
}

/* ----------------------------------------------------------------
 * the beginning of a connection
 * ----------------------------------------------------------------
 */

static void
report_failure(int pool, const PcfgLoginResult *result)
{
	PcfgTime	now = pcfg_now();

	strlcpy(pcfg_shared->worker_error, result->message, PCFG_CAUSE_LEN);
	if (logged_at[pool] != 0 && now - logged_at[pool] < LOG_EVERY)
		return;
	logged_at[pool] = now;
	ereport(LOG,
			(errmsg("pool_config: connect to target \"%s\" failed: %s",
					pcfg_pools[pool].target, result->message),
			 result->said[0] != '\0' ?
			 errdetail("The remote server said: %s", result->said) : 0));
}

/* The connection is watched for the remote's end; one that came already is told. */
static void
watch_open(Connection *c)
{
	set_phase(c, OPEN);
	if (!pcfg_watch_set(&c->watch, c->sock, PCFG_WATCH_HANGUP))
		ereport(LOG,
				(errmsg("pool_config: could not watch connection %d: %m", c->slot)));
}

static void
login_ended(void *arg, PcfgLoginResult *result)
{
	Connection *c = arg;
	int			pool = pcfg_slots[c->slot].pool;

	c->login = NULL;
	if (result->sock < 0)
	{
		PcfgTime	retry_at;

		report_failure(pool, result);
		retry_at = pcfg_backoff_next(pcfg_failure_class(result->sqlstate),
									 pcfg_pools[pool].cause.failures + 1, pcfg_now(),
									 pg_prng_double(&pg_global_prng_state));
		set_phase(c, NONE);
		pcfg_slot_connect_failed(c->slot, result->sqlstate, result->message,
								 result->said, retry_at);
		return;
	}
	logged_at[pool] = 0;
	c->sock = result->sock;
	c->relay = result->relay;
	c->key = result->key;
	c->cancel_wanted = false;
	pcfg_watch_init(&c->watch, hung_up, c);
	c->generation = pcfg_slots[c->slot].generation + 1;
	watch_open(c);
	ereport(DEBUG1,
			(errmsg_internal("pool_config: connection %d to target \"%s\" opened, remote process %d",
							 c->slot, pcfg_pools[pool].target, result->remote_pid)));
	pcfg_slot_connected(c->slot, result->remote_pid, result->server_version,
						result->password_used, c->relay != NULL);
}

/* A reserved slot: dials once the pool's credentials are known. */
static void
begin(Connection *c, int pool, PcfgTime now)
{
	PcfgPool   *p = &pcfg_pools[pool];
	PcfgCredentialSet *set = pcfg_credentials_get(pool, pg_atomic_read_u32(&p->serial));
	int64		total = p->policy.value[PCFG_CONNECT_DEADLINE];

	if (c->phase == NONE)
		set_phase(c, WAITING);
	if (set == NULL)
	{
		/* the waiters bring them; with no waiter there is no hurry */
		if (pg_atomic_read_u32(&p->nwait) == 0 && now - c->since > PATIENCE)
		{
			set_phase(c, NONE);
			pcfg_slot_connect_failed(c->slot, "", "", "", 0);
		}
		return;
	}
	c->login = pcfg_login_start(set, p->policy.value[PCFG_CONNECT_TIMEOUT],
								total > 0 ? now + total : PCFG_FOREVER,
								p->encoding, login_ended, c);
	if (c->login == NULL)
	{
		set_phase(c, NONE);
		pcfg_slot_connect_failed(c->slot, "53200", "the worker is out of memory", "",
								 now + PCFG_SECOND);
		return;
	}
	set_phase(c, DIALLING);
}

/* ----------------------------------------------------------------
 * the reset of what lies idle
 * ----------------------------------------------------------------
 */

static void
end_reset(Connection *c, bool clean)
{
	c->reset = NULL;
	if (clean)
		pcfg_slots[c->slot].dirty = false;
	watch_open(c);
	(void) pcfg_pool_give_back(&c->grant, clean);
}

static void
reset_ended(void *arg, const PcfgExchangeResult *result)
{
	end_reset(arg, result->ok);
}

/* Leases the connection like anybody and resets it. */
static void
begin_reset(Connection *c, int pool, PcfgTime now)
{
	PcfgCredentialSet *set = pcfg_credentials_get(pool, pg_atomic_read_u32(&pcfg_pools[pool].serial));
	const char **statements;
	int			i;

	if (set == NULL)
		return;
	statements = calloc((size_t) set->ninit + 1, sizeof(char *));
	if (statements != NULL && pcfg_slot_lease_dirty(c->slot, now - RESET_AFTER, &c->grant))
	{
		statements[0] = "DISCARD ALL";
		for (i = 0; i < set->ninit; i++)
			statements[i + 1] = set->init[i];
		pcfg_watch_remove(&c->watch);
		set_phase(c, RESETTING);
		c->reset = pcfg_exchange_start(c->sock, statements, set->ninit + 1, reset_ended, c);
		if (c->reset == NULL)
			end_reset(c, false);
	}
	free(statements);
	pcfg_credentials_release(set);
}

/* An open connection's turn: is there something to clear, or is it clearing? */
static PcfgTime
serve_open(Connection *c, PcfgSlotState state, int pool, PcfgTime now)
{
	PcfgSlot   *slot = &pcfg_slots[c->slot];

	if (c->phase == RESETTING)
	{
		if (now - c->since < RESET_PATIENCE)
			return c->since + RESET_PATIENCE;
		pcfg_exchange_abandon(c->reset);
		end_reset(c, false);
		return now;
	}
	if (state != PCFG_SLOT_IDLE || !slot->dirty || pool == PCFG_NONE)
		return PCFG_FOREVER;
	if (now - slot->returned_at >= RESET_AFTER)
		begin_reset(c, pool, now);
	return c->phase == RESETTING ? c->since + RESET_PATIENCE : slot->returned_at + RESET_AFTER;
}

/* One slot's turn; returns when it wants the next. */
static PcfgTime
serve(Connection *c, PcfgTime now)
{
	PcfgSlot   *slot = &pcfg_slots[c->slot];
	PcfgSlotState state = pcfg_word_state(pg_atomic_read_u64(&slot->word));
	int			pool = slot->pool;

	if (state == PCFG_SLOT_CONNECTING && pool != PCFG_NONE)
	{
		if (c->phase == NONE || c->phase == WAITING)
			begin(c, pool, now);
		if (c->phase == DIALLING)
			return pcfg_login_tick(c->login, now);
		return c->phase == WAITING ? now + PCFG_SECOND : PCFG_FOREVER;
	}
	if (state == PCFG_SLOT_CONDEMNED)
	{
		switch (c->phase)
		{
			case OPEN:
				close_condemned(c);
				return now;		/* after one more look at the channels */
			case CLOSING:
				close_condemned(c);
				break;
			case CANCELLING:
				break;
			default:
				pcfg_slot_closed(c->slot);	/* of an earlier worker */
				return PCFG_FOREVER;
		}
		if (c->phase != CANCELLING)
			return PCFG_FOREVER;
		if (now - c->since >= CANCEL_PATIENCE)
		{
			close_connection(c);
			return PCFG_FOREVER;
		}
		return c->since + CANCEL_PATIENCE;
	}
	return c->phase == OPEN || c->phase == RESETTING ?
		serve_open(c, state, pool, now) : PCFG_FOREVER;
}

PcfgTime
pcfg_connection_tick(PcfgTime now)
{
	PcfgTime	next = PCFG_FOREVER;
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
		next = Min(next, serve(&connections[i], now));
	return next;
}

/* ----------------------------------------------------------------
 * what clients ask for
 * ----------------------------------------------------------------
 */

/* Whether that process leases that connection in that use. */
static bool
is_lease(const Connection *c, uint32 generation, uint64 use, uint32 owner)
{
	uint64		word = pg_atomic_read_u64(&pcfg_slots[c->slot].word);

	return c->sock >= 0 && c->generation == generation &&
		pcfg_word_state(word) == PCFG_SLOT_LEASED &&
		pcfg_word_owner(word) == owner && pcfg_word_use(word) == use;
}

int
pcfg_connection_socket(int slot, uint32 generation, uint64 use, uint32 owner)
{
	Connection *c = &connections[slot];

	return c->phase == OPEN && is_lease(c, generation, use, owner) ? c->sock : -1;
}

void
pcfg_connection_cancel(int slot, uint32 generation, uint64 use, uint32 owner)
{
	Connection *c = &connections[slot];
	uint64		word = pg_atomic_read_u64(&pcfg_slots[slot].word);

	/* the lease still stands, or was condemned by its end */
	if (is_lease(c, generation, use, owner) ||
		(c->sock >= 0 && c->generation == generation &&
		 pcfg_word_state(word) == PCFG_SLOT_CONDEMNED && pcfg_word_use(word) == use))
		c->cancel_wanted = true;
}

void
pcfg_connection_owner_died(uint32 owner, int pid)
{
	int			i;

	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		uint64		word = pg_atomic_read_u64(&pcfg_slots[i].word);

		if (pcfg_word_state(word) == PCFG_SLOT_LEASED && pcfg_word_owner(word) == owner &&
			pcfg_slot_owner_died(i, owner, pid))
			connections[i].cancel_wanted = true;
	}
}

void
pcfg_connection_shutdown_all(void)
{
	int			i;

	for (i = 0; connections != NULL && i < pcfg_shared->nslots; i++)
	{
		if (connections[i].sock >= 0)
			(void) shutdown(connections[i].sock, SHUT_RDWR);
		if (connections[i].phase == RESETTING)
			(void) pcfg_pool_give_back(&connections[i].grant, false);
	}
}
