/*-------------------------------------------------------------------------
 *
 * worker/connection.c
 *	  The connections that the worker holds, one a slot.
 *
 * Floor 10; worker.
 *
 *	  NONE --reserved--> WAITING --credentials--> DIALLING --login--> OPEN
 *	  OPEN --idle, to be reset or asked--> CARING --answered--> OPEN
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
#include "shared/failpoint.h"
#include "shared/settings.h"
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

/* The reset of an idle connection may take so long, and a mere answer. */
#define RESET_PATIENCE	(5 * PCFG_SECOND)
#define PROBE_PATIENCE	PCFG_SECOND

/* Failures are logged at most that often a pool. */
#define LOG_EVERY		(60 * PCFG_SECOND)

typedef enum Phase
{
	NONE, WAITING, DIALLING, OPEN, CARING, CLOSING, CANCELLING
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
	PcfgExchange *exchange;		/* CARING */
	PcfgCare	care;			/* CARING: what for */
	PcfgGrant	grant;			/* CARING: our own lease */
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
	if (pcfg_word_state(word) == PCFG_SLOT_IDLE && pcfg_log_connections > 0)
	{
		char		words[512];

		parting_words(c->sock, words, sizeof(words));
		ereport(pcfg_log_connections,
				(errmsg_internal("pool_config: connection %d was closed by the remote: %s",
								 c->slot, words)));
	}
	pcfg_slot_condemn(c->slot, c->generation, PCFG_CLOSE_REMOTE);
}

/* For who watches; the slot is still the pool's. */
static void
log_close(const Connection *c)
{
	const PcfgSlot *slot = &pcfg_slots[c->slot];

	if (pcfg_log_connections > 0 && slot->pool != PCFG_NONE)
		ereport(pcfg_log_connections,
				(errmsg_internal("pool_config: connection %d to target \"%s\" closed: %s, after " UINT64_FORMAT " uses, remote process %d",
								 c->slot, pcfg_pools[slot->pool].target,
								 pcfg_close_reason_name(slot->reason), slot->uses,
								 slot->remote_pid)));
}

/* Ends the session for all holders of a copy, and frees the slot. */
static void
close_connection(Connection *c)
{
	PCFG_FAILPOINT(worker_closes);
	log_close(c);
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
		pcfg_cancel_send(key, pg_atomic_read_u32(&pcfg_pools[pcfg_slots[c->slot].pool].serial),
						 cancel_delivered, c);
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

	strlcpy(pcfg_shared->worker_error, result->failure.message, PCFG_CAUSE_LEN);
	if (logged_at[pool] != 0 && now - logged_at[pool] < LOG_EVERY)
		return;
	logged_at[pool] = now;
	ereport(LOG,
			(errmsg("pool_config: connect to target \"%s\" failed: %s",
					pcfg_pools[pool].target, result->failure.message),
			 result->failure.said[0] != '\0' ?
			 errdetail("The remote server said: %s", result->failure.said) : 0));
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
		retry_at = pcfg_backoff_next(pcfg_failure_class(result->failure.sqlstate, result->failure.said[0] != '\0' ?
														result->failure.said : result->failure.message),
									 pcfg_pools[pool].cause.failures + 1, pcfg_now(),
									 pg_prng_double(&pg_global_prng_state));
		set_phase(c, NONE);
		pcfg_slot_connect_failed(c->slot, result->failure.sqlstate, result->failure.message,
								 result->failure.said, retry_at);
		return;
	}
	PCFG_FAILPOINT(worker_connected);
	logged_at[pool] = 0;
	c->sock = result->sock;
	c->relay = result->relay;
	c->key = result->key;
	c->cancel_wanted = false;
	pcfg_watch_init(&c->watch, hung_up, c);
	c->generation = pcfg_slots[c->slot].generation + 1;
	watch_open(c);
	if (pcfg_log_connections > 0)
		ereport(pcfg_log_connections,
				(errmsg_internal("pool_config: connection %d to target \"%s\" opened, remote process %d",
								 c->slot, pcfg_pools[pool].target, result->remote_pid)));
	if (result->asked_pid != 0 && result->remote_pid != 0)
		pcfg_pool_note_pooler(pool, result->asked_pid != result->remote_pid);
	pcfg_slot_connected(c->slot, result->remote_pid, result->server_version,
						result->password_used, c->relay != NULL);
}

/* A connect that nobody needs any more; its place is free, and nothing failed. */
static void
give_up_connect(Connection *c)
{
	if (c->login != NULL)
		pcfg_login_abandon(c->login);
	c->login = NULL;
	set_phase(c, NONE);
	pcfg_slot_connect_failed(c->slot, "", "", "", 0);
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
		/* whatever was thought of an earlier pool in that place */
		pg_atomic_write_u32(&p->credentials_life, 0);
		/* the waiters bring them; with no waiter there is no hurry */
		if (pg_atomic_read_u32(&p->nwait) == 0 && now - c->since > PATIENCE)
			give_up_connect(c);
		return;
	}
	PCFG_FAILPOINT(worker_dials);
	c->login = pcfg_login_start(set, p->policy.value[PCFG_CONNECT_TIMEOUT],
								total > 0 ? now + total : PCFG_FOREVER,
								p->encoding, pcfg_pool_asks_for_pooler(pool), login_ended, c);
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
 * care for what lies idle: reset, probe
 * ----------------------------------------------------------------
 */

static void
end_care(Connection *c, bool ok)
{
	c->exchange = NULL;
	watch_open(c);
	pcfg_slot_return_from_care(&c->grant, c->care, ok);
}

static void
care_ended(void *arg, const PcfgExchangeResult *result)
{
	end_care(arg, result->ok);
}

static PcfgTime
care_deadline(const Connection *c)
{
	return c->since + (c->care == PCFG_CARE_PROBE ? PROBE_PATIENCE : RESET_PATIENCE);
}

/*
 * Leases the connection like anybody and resets it, or only asks for an
 * answer: no statement, and a Sync.
 */
static void
begin_care(Connection *c, PcfgCare care, const PcfgCredentialSet *set)
{
	int			n = care == PCFG_CARE_RESET ? set->ninit + 1 : 0;
	const char **statements = calloc((size_t) n + 1, sizeof(char *));
	int			i;

	if (statements != NULL && pcfg_slot_lease_for_care(c->slot, care, &c->grant))
	{
		if (n > 0)
			statements[0] = "DISCARD ALL";
		for (i = 1; i < n; i++)
			statements[i] = set->init[i - 1];
		pcfg_watch_remove(&c->watch);
		c->care = care;
		set_phase(c, CARING);
		PCFG_FAILPOINT(worker_cares);
		c->exchange = pcfg_exchange_start(c->sock, pcfg_slots[c->slot].owed, statements, n, NULL,
										  pcfg_pools[pcfg_slots[c->slot].pool].encoding,
										  care_ended, c);
		if (c->exchange == NULL)
			end_care(c, false);
	}
	free(statements);
}

/* An idle connection: does it need care? */
static PcfgTime
serve_idle(Connection *c, int pool, PcfgTime now)
{
	PcfgTime	due;
	PcfgCare	care = pcfg_slot_care(c->slot, now, &due);
	PcfgCredentialSet *set;

	if (care == PCFG_CARE_NONE)
		return due;
	set = pcfg_credentials_get(pool, pg_atomic_read_u32(&pcfg_pools[pool].serial));
	if (set == NULL)
		return now + PCFG_SECOND;
	begin_care(c, care, set);
	pcfg_credentials_release(set);
	/* somebody may have it already, or wait for it */
	return c->phase == CARING ? care_deadline(c) : now + PCFG_SECOND;
}

static PcfgTime
serve_caring(Connection *c, PcfgTime now)
{
	if (now < care_deadline(c))
		return care_deadline(c);
	pcfg_exchange_abandon(c->exchange);
	c->cancel_wanted = c->care == PCFG_CARE_RESET;
	end_care(c, false);
	return now;
}

/*
 * Somebody wants this connection ended, whoever uses it: he finds it closed,
 * and what it runs is cancelled once he has let go.
 */
static void
cut(Connection *c, PcfgSlot *slot)
{
	pg_atomic_write_u32(&slot->kill, 0);
	c->cancel_wanted = true;
	pcfg_watch_remove(&c->watch);
	(void) shutdown(c->sock, SHUT_RDWR);
}

/* Somebody uses the connection, or keeps it. */
static PcfgTime
serve_leased(Connection *c, PcfgSlot *slot, PcfgTime now)
{
	if (c->phase == OPEN && pg_atomic_read_u32(&slot->kill) != 0)
		cut(c, slot);
	return pcfg_slot_reclaim(c->slot, now);
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
		if (pcfg_pools[pool].retired)
		{
			/* it goes to where the target was before */
			give_up_connect(c);
			return PCFG_FOREVER;
		}
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
	if (c->phase == CARING)
		return serve_caring(c, now);
	if (state == PCFG_SLOT_LEASED)
		return serve_leased(c, slot, now);
	if (c->phase == OPEN && state == PCFG_SLOT_IDLE && pool != PCFG_NONE)
		return serve_idle(c, pool, now);
	return PCFG_FOREVER;
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

/* Whether nothing lies between us and the remote, in either direction. */
static bool
is_quiet(const Connection *c)
{
	char		byte;

	return c->phase == OPEN && c->relay != NULL && pcfg_relay_is_quiet(c->relay) &&
		recv(c->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
		(errno == EAGAIN || errno == EWOULDBLOCK);
}

void
pcfg_connection_send_offered(int slot)
{
	Connection *c = &connections[slot];
	char		data[PCFG_POST_MAX];
	uint64		use;
	int			procno;
	size_t		len = pcfg_offer_read(slot, data, &use, &procno);

	if (len == 0)
		return;
	if (!is_quiet(c) || pcfg_word_condemned(pg_atomic_read_u64(&pcfg_slots[slot].word)))
		pcfg_offer_decline(slot, use, procno);
	else if (pcfg_offer_take(slot, use))
		pcfg_relay_send(c->relay, data, len, procno);
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

/* Whether something may run there that nobody will wait for. */
static bool
may_run(const Connection *c)
{
	PcfgSlot   *slot = &pcfg_slots[c->slot];

	switch (pcfg_word_state(pg_atomic_read_u64(&slot->word)))
	{
		case PCFG_SLOT_LEASED:
			return (c->phase == OPEN && slot->resting_since == 0) ||
				(c->phase == CARING && c->care == PCFG_CARE_RESET);
		case PCFG_SLOT_CONDEMNED:
			/* the holder's request may lie unread in his channel */
			return c->cancel_wanted || slot->in_doubt;
		default:
			return false;
	}
}

/* Nobody is left to cancel what runs, and the remote does not look at its socket. */
static void
cancel_all(void)
{
	PcfgCancelKey **keys = malloc(pcfg_shared->nslots * sizeof(*keys));
	int			n = 0;
	int			i;

	for (i = 0; keys != NULL && i < pcfg_shared->nslots; i++)
	{
		if (connections[i].sock >= 0 && connections[i].key != NULL && may_run(&connections[i]))
			keys[n++] = connections[i].key;
	}
	pcfg_cancel_leave(keys, n);
	free(keys);
}

void
pcfg_connection_shutdown_all(void)
{
	int			i;

	if (connections == NULL)
		return;
	cancel_all();
	for (i = 0; i < pcfg_shared->nslots; i++)
	{
		if (connections[i].sock >= 0)
			(void) shutdown(connections[i].sock, SHUT_RDWR);
		if (connections[i].relay != NULL)
			pcfg_relay_wake(connections[i].relay);
		if (connections[i].phase == CARING)
			pcfg_slot_return_from_care(&connections[i].grant, connections[i].care, false);
	}
}
