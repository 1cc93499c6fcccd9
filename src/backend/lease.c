/*-------------------------------------------------------------------------
 *
 * backend/lease.c
 *	  The exclusive use of one connection: taken with a deadline, given back
 *	  on release, on error, and at exit.
 *
 * Floor 9; backends.
 *
 * Errors are caught where the lease is taken (here) and where it is used
 * (session.c).  A FATAL exit runs no PG_CATCH, so before_shmem_exit ends
 * what is left: it runs before the transaction is aborted, does no I/O and
 * raises nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>

#include "backend/checkout.h"
#include "backend/lease.h"
#include "mb/pg_wchar.h"
#include "shared/dispatch.h"
#include "shared/failpoint.h"
#include "shared/settings.h"
#include "shared/steering.h"
#include "storage/ipc.h"
#include "utils/inval.h"

/* A waiter looks at its queue at least that often; see pcfg_wait_nudge. */
#define NUDGE_MS		1000

/* So long a missing worker is taken for one that restarts. */
#define WORKER_GRACE	(3 * PCFG_SECOND)

/* So young a connection that nobody has used needs no ping at all. */
#define FRESH			(PCFG_SECOND / 20)

/* All leases of this process, innermost first. */
static PcfgLease *held = NULL;

/*
 * Stops waiting.  What the worker sent for us is cancelled like what we sent
 * ourselves: true if so.
 */
static bool
abandon_wait(void)
{
	PcfgGrant	grant;
	uint32		generation;

	if (!pcfg_wait_abandon(&grant))
		return false;
	generation = pcfg_slots[grant.slot].generation;
	pcfg_channel_cancel(grant.slot, generation, pcfg_word_use(grant.word));
	pcfg_channel_forget(grant.slot, generation);
	(void) pcfg_pool_give_back(&grant, PCFG_RETURN_DOUBT);
	return true;
}

static void
release_all(int code, Datum arg)
{
	(void) abandon_wait();
	while (held != NULL)
		pcfg_lease_give_back(held, held->idle);
}

static void
register_exit(void)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(release_all, (Datum) 0);
		registered = true;
	}
}

/* ----------------------------------------------------------------
 * errors
 * ----------------------------------------------------------------
 */

/*
 * A refusal that another attempt would only repeat is tried once a minute;
 * a change by who owns the target, and not only his mapping, is tried at once.
 */
static void
raise_cause(const PcfgTarget *target, const PcfgCause *cause)
{
	bool		credentials = strncmp(cause->sqlstate, "28", 2) == 0;
	bool		tell_all = cause->said[0] != '\0' && superuser();
	int			seconds = (int) (Max(cause->retry_at - pcfg_now(), 0) / PCFG_SECOND) + 1;

	ereport(ERROR,
			(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
			 errmsg("could not connect to target \"%s\"", target->name),
			 tell_all ?
			 errdetail_internal("%s (The remote server said: %s)", cause->message, cause->said) :
			 errdetail_internal("%s", cause->message),
			 !cause->lasting ? 0 :
			 errhint(credentials ?
					 "Correct the user mapping of the target. The next attempt is made in %d s, or at once when the owner of the target has changed it." :
					 "Correct the target. The next attempt is made in %d s, or at once when its owner has changed it.",
					 seconds)));
}

/* Connections of that pool that this process holds itself. */
static int
count_held(int pool, uint32 serial)
{
	PcfgLease  *lease;
	int			n = 0;

	for (lease = held; lease != NULL; lease = lease->next)
	{
		if (lease->target->pool == pool && lease->target->serial == serial &&
			pcfg_grant_stands(&lease->grant))
			n++;
	}
	return n;
}

/*
 * The deadline came.  With nothing alive and a failed connect it is the
 * remote that is missing, otherwise the pool is exhausted.
 */
static void
raise_timeout(const PcfgTarget *target)
{
	PcfgPoolSnapshot s;
	char		timeout[32];

	pcfg_pool_note(target->pool, target->serial, PCFG_NOTE_TIMEOUT);
	pcfg_pool_snapshot(target->pool, &s);
	if (s.paused)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("target \"%s\" is paused", target->name),
				 errhint("Its owner resumes it with pool_config.resume().")));
	if (s.nopen == s.nconnecting && s.cause.failures > 0)
		raise_cause(target, &s.cause);
	pcfg_setting_format(&pcfg_settings[PCFG_POOL_TIMEOUT],
						target->policy.value[PCFG_POOL_TIMEOUT], timeout, sizeof(timeout));
	if (s.nopen == s.nconnecting && s.nconnecting > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not connect to target \"%s\" within pool_timeout (%s)",
						target->name, timeout),
				 errdetail("The connect goes on for the next caller.")));
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 errmsg("no connection to target \"%s\" became free within pool_timeout (%s)",
					target->name, timeout),
			 errdetail("%d of at most %d connections are in use (pool_size " INT64_FORMAT ", max_overflow " INT64_FORMAT "), %d are being opened, %d sessions wait.",
					   s.nopen - s.nidle - s.nconnecting, pcfg_policy_limit(&s.policy),
					   s.policy.value[PCFG_POOL_SIZE], s.policy.value[PCFG_MAX_OVERFLOW],
					   s.nconnecting, s.nwait),
			 errhint("See pool_config.connections for who holds them, or raise pool_size, max_overflow, pool_timeout or pool_config.max_connections.")));
}

static void
raise_no_worker(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the background worker of pool_config is not running"),
			 errhint("See the server log for the reason; max_worker_processes may be too small.")));
}

/* ----------------------------------------------------------------
 * taking
 * ----------------------------------------------------------------
 */

/*
 * Looks the pool up unless the target knows it.  All places taken: waits
 * for one, as retired pools empty themselves within moments.
 */
void
pcfg_lease_find_pool(PcfgTarget *target, PcfgTime deadline)
{
	while (!pcfg_pool_is_current(target->pool, target->serial))
	{
		target->last.slot = PCFG_NONE;
		target->pool = pcfg_pool_find(&target->key, target->name, target->mapping_user,
									  GetDatabaseEncoding(), &target->policy,
									  &target->serial);
		if (target->pool != PCFG_NONE)
			return;
		if (pcfg_now() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
					 errmsg("no pool is free for target \"%s\"", target->name),
					 errdetail("All %d pools of the server are in use.", pcfg_shared->npools),
					 errhint("Raise pool_config.max_pools.")));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 pcfg_ms_until(deadline, 10),
						 pcfg_wait_event(PCFG_WAIT_FOR_CONNECTION));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	pcfg_pool_set_policy(target->pool, target->serial, &target->policy);
}

/*
 * Leaves what we want to say in the queue, if we know which connections come.
 * Not where each connection is to be asked first; nor with a command_timeout
 * shorter than we may sleep, for we do not wake when it is sent.
 */
static void
post(PcfgLease *lease)
{
	const PcfgTarget *target = lease->target;
	const int64 *policy = target->policy.value;
	const char *data;
	size_t		len = 0;

	if (lease->compose == NULL || target->server_version == 0 || pcfg_channel_life() == 0 ||
		(policy[PCFG_POOL_PRE_PING] && policy[PCFG_PRE_PING_AFTER] == 0) ||
		(policy[PCFG_COMMAND_TIMEOUT] != 0 &&
		 policy[PCFG_COMMAND_TIMEOUT] < NUDGE_MS * (PCFG_SECOND / 1000)))
		return;
	data = lease->compose(lease, lease->compose_arg, &len);
	if (len > 0)
		pcfg_wait_post(data, len, pcfg_channel_life(), target->server_version,
					   target->password_used);
}

/*
 * Waits in the pool's queue.  True: lease->grant is ours.  False: the pool was
 * retired, the caller looks it up anew.
 */
static bool
wait_for_grant(PcfgLease *lease, PcfgTime deadline)
{
	PcfgTarget *target = lease->target;
	PcfgTime	no_worker_since = 0;
	bool		posted = false;
	PcfgCause	cause;

	for (;;)
	{
		PcfgTime	now;

		switch (pcfg_wait_check(&lease->grant, &cause))
		{
			case PCFG_WAIT_GRANTED:
				return true;
			case PCFG_WAIT_FAILED:
				if (cause.sqlstate[0] != '\0')
					raise_cause(target, &cause);
				return false;
			case PCFG_WAIT_NONE:
				return false;
			case PCFG_WAIT_QUEUED:
				break;
		}
		PCFG_FAILPOINT(queued);
		now = pcfg_now();
		if (pg_atomic_read_u32(&pcfg_shared->worker_procno) != 0)
		{
			no_worker_since = 0;
			pcfg_channel_send_credentials(target, deadline);
		}
		else if (no_worker_since == 0)
			no_worker_since = now;
		if (now >= deadline || (no_worker_since != 0 && now - no_worker_since > WORKER_GRACE))
		{
			/* what was granted meanwhile is taken: it may run already */
			if (!pcfg_wait_withdraw())
				continue;
			if (now < deadline)
				raise_no_worker();
			raise_timeout(target);
		}
		if (!posted)
			post(lease);
		posted = true;

		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  pcfg_ms_until(deadline, NUDGE_MS),
					  pcfg_wait_event(PCFG_WAIT_FOR_CONNECTION)) & WL_TIMEOUT)
			pcfg_wait_nudge();
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * The pool is gone: its target was changed, perhaps.  Then the lease goes on
 * with what the target is now; errors if that is nothing for this role.
 */
static PcfgTarget *
renew_target(PcfgLease *lease)
{
	PcfgTarget *fresh;
	char		name[PCFG_NAME_LEN];

	AcceptInvalidationMessages();
	if (!lease->target->stale)
		return lease->target;
	strlcpy(name, lease->target->name, sizeof(name));
	fresh = pcfg_target_open(name);
	pcfg_target_pin(fresh);
	pcfg_target_unpin(lease->target);
	lease->target = fresh;
	return fresh;
}

/* How many connections the pool could have at best. */
static int
most_connections(const PcfgTarget *target)
{
	int64		limit = target->policy.value[PCFG_TARGET_LIMIT];
	int			most = pcfg_policy_limit(&target->policy);

	return limit >= 0 && limit < most ? (int) limit : most;
}

/*
 * Gets a slot of the pool, at once or by waiting.
 */
static void
take_slot(PcfgLease *lease, PcfgTime deadline)
{
	PcfgTarget *target = lease->target;

	for (;;)
	{
		bool		wait;
		PcfgCause	cause;

		/* a pool that is no more must not be made again of what it was made of */
		if (target->pool != PCFG_NONE &&
			!pcfg_pool_is_current(target->pool, target->serial))
			target = renew_target(lease);
		pcfg_lease_find_pool(target, deadline);
		if (count_held(target->pool, target->serial) >= most_connections(target))
			ereport(ERROR,
					(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
					 errmsg("this session holds all connections to target \"%s\" itself",
							target->name),
					 errdetail("A remote call inside another one to the same target, or beside an acquired connection of another role, would wait for itself."),
					 errhint("Raise pool_size or max_overflow, release() what is acquired, or do not nest the calls.")));
		wait = target->policy.value[PCFG_POOL_TIMEOUT] != 0;
		switch (pcfg_pool_lease(target->pool, target->serial, &target->last, wait,
								&lease->grant, &cause))
		{
			case PCFG_LEASE_GRANTED:
				return;
			case PCFG_LEASE_QUEUED:
				if (wait_for_grant(lease, deadline))
					return;
				break;
			case PCFG_LEASE_FULL:
				raise_timeout(target);
				break;
			case PCFG_LEASE_DOWN:
				raise_cause(target, &cause);
				break;
			case PCFG_LEASE_GONE:
				target->pool = PCFG_NONE;
				break;
		}
		target = renew_target(lease);
	}
}

static void
link_lease(PcfgLease *lease)
{
	lease->next = held;
	held = lease;
}

static void
unlink_lease(PcfgLease *lease)
{
	PcfgLease **link;

	for (link = &held; *link != NULL; link = &(*link)->next)
	{
		if (*link == lease)
		{
			*link = lease->next;
			return;
		}
	}
}

/*
 * The connection granted is of no use: back to the old place in the queue.
 */
static void
replace_slot(PcfgLease *lease, PcfgCloseReason reason, PcfgTime deadline)
{
	PcfgGrant	dead = lease->grant;

	pcfg_channel_forget(dead.slot, lease->generation);
	unlink_lease(lease);
	lease->grant.slot = PCFG_NONE;
	if (!pcfg_pool_requeue(lease->target->pool, lease->target->serial, &dead, reason) ||
		!wait_for_grant(lease, deadline))
	{
		(void) renew_target(lease);
		take_slot(lease, deadline);
	}
}

/* Whether a round trip has to show that the connection lives. */
static bool
needs_ping(const PcfgLease *lease, const PcfgSlot *slot)
{
	const PcfgPolicy *policy = &lease->target->policy;

	if (pcfg_slot_is_suspect(&pcfg_pools[lease->target->pool], slot))
		return true;
	/* made for this very call, perhaps */
	if (slot->uses == 0 && slot->leased_at - slot->alive_at < FRESH)
		return false;
	return policy->value[PCFG_POOL_PRE_PING] &&
		slot->leased_at - slot->alive_at >= policy->value[PCFG_PRE_PING_AFTER];
}

/*
 * Whether the slot's last user may have left state that we would meet.
 * Behind a pooler that gives each transaction another session there is
 * nothing of ours to reset, and what others have there is not ours.
 */
static bool
slot_needs_reset(const PcfgLease *lease, const PcfgSlot *slot)
{
	const PcfgPolicy *policy = &lease->target->policy;

	if (!slot->dirty || policy->value[PCFG_POOLER] == PCFG_POOLER_TRANSACTION)
		return false;
	return !lease->grant.same || slot->last_role != lease->target->role ||
		policy->value[PCFG_POOL_RESET] == PCFG_RESET_ALWAYS;
}

/* Whether the connection may still be used, by what is known of it. */
static bool
is_sound(const PcfgLease *lease, PcfgSlot *slot, PcfgCloseReason *reason)
{
	*reason = PCFG_CLOSE_AGE;
	if (slot->recycle_at <= slot->leased_at)
		return false;
	*reason = PCFG_CLOSE_UNKNOWN;
	return !pcfg_word_condemned(pg_atomic_read_u64(&slot->word));
}

/*
 * Whether its socket is there and quiet, and the remote answers if need be, or
 * answers the ROLLBACK that it was told.
 */
static bool
is_alive(const PcfgLease *lease, PcfgSlot *slot, PcfgTime deadline, PcfgCloseReason *reason)
{
	*reason = PCFG_CLOSE_UNKNOWN;
	if (lease->socket == NULL)
		return false;
	*reason = PCFG_CLOSE_PING;
	if (slot->owed)
	{
		if (!pcfg_socket_has_rolled_back(lease->socket, &lease->grant, NULL, NULL,
										 pcfg_ping_limit(pcfg_now(), deadline)))
			return false;
		slot->owed = false;
		return true;
	}
	if (!pcfg_socket_is_quiet(lease->socket))
		return false;
	if (!needs_ping(lease, slot))
		return true;
	pcfg_pool_note(lease->target->pool, lease->target->serial, PCFG_NOTE_PING);
	return pcfg_socket_answers_ping(lease->socket, &lease->grant, deadline);
}

/*
 * Makes a granted slot usable: rights, age, descriptor, a look at the
 * socket, a ping.  False: it is to be condemned for that reason, try another.
 * What the worker has sent on already is past these looks, which the worker
 * and who handed it over took; its answer is waited for as long as a statement
 * may take.  An error leaves the lease to the caller's PG_CATCH.
 */
static bool
open_slot(PcfgLease *lease, PcfgTime deadline, PcfgCloseReason *reason)
{
	PcfgSlot   *slot = &pcfg_slots[lease->grant.slot];

	PCFG_FAILPOINT(granted);
	lease->generation = slot->generation;
	lease->socket = NULL;
	if (lease->grant.sent)
		deadline = pcfg_target_command_deadline(lease->target, slot->leased_at);
	else if (!is_sound(lease, slot, reason))
		return false;
	lease->password_used = slot->password_used;
	pcfg_lease_check(lease, lease->target);
	lease->socket = pcfg_channel_fetch(lease->grant.slot, lease->generation,
									   pcfg_word_use(lease->grant.word), deadline);
	if (!lease->grant.sent && !is_alive(lease, slot, deadline, reason))
		return false;
	lease->target->server_version = slot->server_version;
	lease->target->password_used = slot->password_used;
	lease->needs_reset = slot_needs_reset(lease, slot);
	slot->last_role = lease->target->role;
	slot->dirty = true;
	slot->uses++;
	lease->opened = true;
	return true;
}

/*
 * After an error while opening: nothing was written or read, so the
 * connection may live on, unless it was made for this very call, which may
 * not use it (dblink closes it then, too).
 */
static bool
is_untouched(const PcfgLease *lease)
{
	return lease->socket == NULL && !lease->grant.sent &&
		pcfg_slots[lease->grant.slot].uses > 0;
}

/*
 * An error came after the worker had sent the statement: it is not that error
 * that matters then, but that the outcome is not known.  Interrupts are raised
 * as they are.
 */
static void
raise_unknown(const char *name, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		PG_RE_THROW();
	FlushErrorState();
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to target \"%s\" was lost", name),
			 errdetail("%s. Whether the statement took effect is not known.", error->message)));
}

void
pcfg_lease_take(PcfgLease *lease, PcfgTarget *target, PcfgComposer compose, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	PcfgTime	now = pcfg_now();
	PcfgTime	deadline = pcfg_target_pool_deadline(target, now);
	PcfgCloseReason reason;

	/* who will not queue still waits for a connect that there is room for */
	if (deadline <= now)
		deadline = now + target->policy.value[PCFG_CONNECT_TIMEOUT];

	register_exit();
	memset(lease, 0, sizeof(*lease));
	lease->target = target;
	lease->compose = compose;
	lease->compose_arg = arg;
	lease->grant.slot = PCFG_NONE;
	pcfg_target_pin(target);
	PG_TRY();
	{
		take_slot(lease, deadline);
		link_lease(lease);
		while (!open_slot(lease, deadline, &reason))
		{
			replace_slot(lease, reason, deadline);
			link_lease(lease);
		}
	}
	PG_CATCH();
	{
		bool		sent = abandon_wait() || lease->grant.sent;
		char		name[PCFG_NAME_LEN];

		strlcpy(name, lease->target->name, sizeof(name));
		if (lease->grant.slot != PCFG_NONE)
			pcfg_lease_give_back(lease, is_untouched(lease));
		else
			pcfg_target_unpin(lease->target);
		if (sent)
			raise_unknown(name, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
pcfg_lease_rest(PcfgLease *lease, PcfgHeld purpose, bool idle)
{
	lease->resting = true;
	lease->idle = idle;
	pcfg_pool_rest(&lease->grant, purpose);
}

/*
 * The cache of sockets keeps what is leased; it is asked all the same, for
 * what was taken back may have been replaced.
 */
bool
pcfg_lease_resume(PcfgLease *lease)
{
	if (!pcfg_pool_resume(&lease->grant))
		return false;
	lease->socket = pcfg_socket_find(lease->grant.slot, lease->generation);
	lease->resting = lease->idle = false;
	return lease->socket != NULL;
}

bool
pcfg_lease_roll_back(PcfgLease *lease, PcfgHeld purpose)
{
	static const char rollback[14] = "Q\0\0\0\15ROLLBACK";
	ssize_t		sent;

	if (!pcfg_lease_resume(lease))
		return false;
	sent = send(lease->socket->fd, rollback, sizeof(rollback), MSG_NOSIGNAL | MSG_DONTWAIT);
	/* nothing runs there, whatever became of it */
	pcfg_lease_rest(lease, purpose, sent == sizeof(rollback));
	lease->owed = lease->idle;
	return lease->owed;
}

void
pcfg_lease_check(const PcfgLease *lease, const PcfgTarget *target)
{
	pcfg_target_check_connection(target, lease->password_used);
}

/* Whether the target is to be a server that can be written to. */
static bool
wants_primary(const PcfgTarget *target)
{
	int			i;

	for (i = 0; i < target->nparams; i++)
	{
		if (strcmp(target->keywords[i], "target_session_attrs") == 0)
			return strcmp(target->values[i], "read-write") == 0 ||
				strcmp(target->values[i], "primary") == 0;
	}
	return false;
}

void
pcfg_lease_note_error(PcfgLease *lease, int sqlstate)
{
	if (sqlstate == ERRCODE_READ_ONLY_SQL_TRANSACTION && wants_primary(lease->target))
		lease->demoted = true;
}

static PcfgReturn
find_return(const PcfgLease *lease, bool clean)
{
	if (!clean)
		return lease->broken ? PCFG_RETURN_LOST : PCFG_RETURN_DOUBT;
	if (lease->owed)
		return PCFG_RETURN_OWED;
	return lease->socket != NULL && !lease->resting ? PCFG_RETURN_ALIVE : PCFG_RETURN_UNTOUCHED;
}

void
pcfg_lease_give_back(PcfgLease *lease, bool clean)
{
	PcfgTarget *target = lease->target;
	int			slot = lease->grant.slot;

	if (slot == PCFG_NONE)
		return;
	PCFG_FAILPOINT(ending);
	unlink_lease(lease);
	if (!clean && (lease->socket != NULL || lease->grant.sent) && !lease->broken &&
		!lease->resting)
		pcfg_channel_cancel(slot, lease->generation, pcfg_word_use(lease->grant.word));

	if (lease->demoted)
		pcfg_steer_recycle_pool(target->pool, target->serial);

	/* our copy is closed before the slot is anybody else's concern */
	if (!clean)
		pcfg_channel_forget(slot, lease->generation);
	target->last.word = pcfg_pool_give_back(&lease->grant, find_return(lease, clean));

	/* what a predecessor left is still there if we came no further than that */
	target->last.slot = target->last.word != 0 && lease->opened ? slot : PCFG_NONE;
	if (clean && target->last.word == 0)
		pcfg_channel_forget(slot, lease->generation);	/* surplus, or too old */
	lease->grant.slot = PCFG_NONE;
	lease->socket = NULL;
	pcfg_target_unpin(target);
}
