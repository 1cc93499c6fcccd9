/*-------------------------------------------------------------------------
 *
 * worker/main.c
 *	  The background worker: start, loop, end.
 *
 * Floor 12; postmaster (registration) and worker.
 *
 * The worker has no database and no transaction; it never waits but in
 * pcfg_loop_wait.  It ends with status 1, which the postmaster takes as "start
 * it again" unless it shuts down itself; 0 would mean "never again".
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <locale.h>
#include <sys/resource.h>

#include <libpq-fe.h>

#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "shared/control.h"
#include "shared/pool.h"
#include "shared/settings.h"
#include "shared/slots.h"
#include "shared/trace.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "worker/cancel.h"
#include "worker/clients.h"
#include "worker/connection.h"
#include "worker/credentials.h"
#include "worker/loop.h"
#include "worker/main.h"
#include "worker/relay.h"
#include "worker/resolver.h"
#include "worker/upkeep.h"

/*
 * A life shorter than this is followed by a pause, and each further one by one
 * that is twice as long, up to the longest.
 */
#define SHORT_LIFE		(PCFG_SECOND / 10)
#define FIRST_PAUSE		(PCFG_SECOND / 20)
#define LONGEST_PAUSE	PCFG_SECOND

/* Descriptors of the process that are none of ours. */
#define OTHER_FDS		64

static void
at_exit(int code, Datum arg)
{
	pcfg_connection_shutdown_all();
	pcfg_trace_write();
	pg_atomic_write_u32(&pcfg_shared->worker_procno, 0);
	pg_atomic_write_u32(&pcfg_shared->worker_pid, 0);
}

/* login.c reads libpq's words, so they must not be translated. */
static void
speak_plainly(void)
{
	(void) setlocale(LC_MESSAGES, "C");
}

/*
 * Nothing of the environment that the server was started in may reach a
 * connection: neither libpq's variables nor its files.
 */
static void
clean_environment(void)
{
	static const char *const others[] = {
		"PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGREALM", "PGREQUIRESSL",
		"PGTTY", "PGCLIENTENCODING", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGOPTIONS",
		"SSLKEYLOGFILE", "KRB5CCNAME", "LOCALDOMAIN", "RES_OPTIONS"
	};
	PQconninfoOption *options = PQconndefaults();
	PQconninfoOption *option;
	size_t		i;

	for (i = 0; i < lengthof(others); i++)
		(void) unsetenv(others[i]);
	for (option = options; option != NULL && option->keyword != NULL; option++)
	{
		if (option->envvar != NULL)
			(void) unsetenv(option->envvar);
	}
	PQconninfoFree(options);

	/* where "options" cannot be sent, libpq sends this; values are read so */
	(void) setenv("PGDATESTYLE", "ISO", 1);
}

/* Raises the limit of descriptors and says so if it is too low all the same. */
static void
check_descriptors(void)
{
	rlim_t		wanted = (rlim_t) PCFG_RELAY_FDS * pcfg_shared->nslots + pcfg_shared->nwaiters +
		PCFG_CANCEL_MAX + OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < limit.rlim_max)
	{
		limit.rlim_cur = limit.rlim_max;
		(void) setrlimit(RLIMIT_NOFILE, &limit);
		(void) getrlimit(RLIMIT_NOFILE, &limit);
	}
	pg_atomic_write_u32(&pcfg_shared->worker_fd_limit,
						(uint32) Min(limit.rlim_cur, (rlim_t) PG_INT32_MAX));
	if (limit.rlim_cur < wanted)
		ereport(LOG,
				(errmsg("pool_config: at most %llu descriptors are possible, %llu may be needed",
						(unsigned long long) limit.rlim_cur, (unsigned long long) wanted),
				 errhint("Raise the limit of open files of the server's account, or lower pool_config.max_connections or max_connections.")));
}

/*
 * A worker that dies at once must not be started in a tight loop.
 */
static void
pause_after_short_life(void)
{
	PcfgTime	last = (PcfgTime) pg_atomic_read_u64(&pcfg_shared->worker_started);
	PcfgTime	now = pcfg_now();
	PcfgTime	until;
	uint32		in_a_row;

	if (last == 0 || now - last >= SHORT_LIFE)
	{
		pg_atomic_write_u32(&pcfg_shared->worker_short_lives, 0);
		return;
	}
	in_a_row = pg_atomic_fetch_add_u32(&pcfg_shared->worker_short_lives, 1);
	until = now + Min(FIRST_PAUSE << Min(in_a_row, 10), LONGEST_PAUSE);
	while (pcfg_now() < until && !ShutdownRequestPending)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 pcfg_ms_until(until, 1000), pcfg_wait_event(PCFG_WAIT_WORKER_MAIN));
		ResetLatch(MyLatch);
	}
}

/* What postgresql.conf says holds for the pools that there are, too. */
static void
tell_defaults(void)
{
	PcfgPolicy	policy;

	pcfg_settings_defaults(&policy);
	pcfg_pool_set_defaults(&policy);
}

/* What sessions leave to us to be sent. */
static void
send_offered(void)
{
	int			slot;

	while ((slot = pcfg_offer_next()) != PCFG_NONE)
		pcfg_connection_send_offered(slot);
}

static void
start(void)
{
	/* first of all, so that a failure to start counts as a short life */
	pg_atomic_write_u64(&pcfg_shared->worker_started, (uint64) pcfg_now());
	clean_environment();
	speak_plainly();
	check_descriptors();
	if (!pcfg_loop_create() || !pcfg_credentials_create() || !pcfg_cancel_create() ||
		!pcfg_resolver_create() || !pcfg_connection_create() || !pcfg_clients_create())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("pool_config: the worker could not start: %m")));
	pcfg_loop_set_poll(send_offered);
	before_shmem_exit(at_exit, (Datum) 0);
	pg_atomic_write_u64(&pcfg_shared->worker_beat, (uint64) pcfg_now());
	pg_atomic_write_u32(&pcfg_shared->worker_pid, (uint32) MyProcPid);
	pg_atomic_fetch_add_u32(&pcfg_shared->worker_life, 1);
	pg_atomic_write_u32(&pcfg_shared->worker_procno, (uint32) PCFG_MY_PROCNO + 1);
	pcfg_pool_worker_started();
	tell_defaults();
}

static PcfgTime
one_turn(void)
{
	PcfgTime	now = pcfg_now();
	PcfgTime	next;

	pg_atomic_write_u64(&pcfg_shared->worker_beat, (uint64) now);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		speak_plainly();
		tell_defaults();
	}
	next = pcfg_connection_tick(now);
	next = Min(next, pcfg_upkeep_tick(now));	/* knows by then what failed */
	next = Min(next, pcfg_resolver_tick(now));
	pg_atomic_write_u32(&pcfg_shared->worker_fds,
						(uint32) (pcfg_loop_count() + pcfg_cancel_count() + OTHER_FDS / 8));
	return next;
}

void
pcfg_worker_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	pause_after_short_life();
	context = AllocSetContextCreate(TopMemoryContext, "pool_config worker",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	if (!ShutdownRequestPending)
		start();
	while (!ShutdownRequestPending)
	{
		pcfg_loop_wait(one_turn());
		MemoryContextReset(context);
	}
	proc_exit(1);
}

void
pcfg_worker_register(void)
{
	BackgroundWorker worker = {0};

	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = 0;
	strlcpy(worker.bgw_library_name, "pool_config", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pcfg_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pool_config worker", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pool_config worker", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}
