/*-------------------------------------------------------------------------
 *
 * worker/cancel.c
 *	  Cancel requests that block nobody.
 *
 * Floor 7; worker.
 *
 * PQcancel of libpq blocks, for minutes when packets are swallowed and for
 * ever when the remote takes the request and says nothing.  So it runs in
 * helper processes that do nothing else and live for a moment: they have left
 * the shared memory, hold no descriptor of ours, and end by an alarm.  A
 * thread could not be ended without leaving its socket behind.  One way for
 * all versions of libpq; from 17 on the request is encrypted where its
 * connection is.
 *
 * A helper may outlive us, and then its end is told to process 1, which in a
 * container is the postmaster: to that, a child that died of a signal is a
 * crash of the server.  So it ends with status 0 in every case, and what is
 * sent to our process group does not end it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/pg_shmem.h"
#include "worker/cancel.h"
#include "worker/loop.h"

/* So many requests of one pool are under way at once; others wait. */
#define POOL_HELPERS	16

/* Seconds that a request may take. */
#define HELPER_LIFE		2

/* Without close_range, descriptors up to here are closed in a helper. */
#define LAST_FD			65535

struct PcfgCancelKey
{
	PcfgLibpqCancel *cancel;
	uint32		pool;			/* its serial */
	bool		dropped;		/* while it was queued */
	PcfgCancelled done;			/* NULL = nobody waits for it */
	void	   *arg;
	PcfgCancelKey *next;
};

/* A process; its end of the pipe closes when it ends, however it does. */
typedef struct Helper
{
	pid_t		pid;			/* 0 = none */
	int			pipe;
	PcfgWatch	watch;
	PcfgCancelKey *key;
} Helper;

static PcfgCancelKey *queue_head = NULL;	/* not yet started */
static PcfgCancelKey **queue_end = &queue_head;	/* where the next is put */
static int	nqueued = 0;
static Helper helpers[PCFG_CANCEL_MAX];
static int	nrunning = 0;

/* Closes what was inherited, but for standard streams and the one at 3. */
static void
close_inherited(void)
{
	int			fd;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, 4U, ~0U, 0U) == 0)
		return;
#endif
	for (fd = 4; fd <= LAST_FD; fd++)
		(void) close(fd);
}

static void
end_helper(int signo)
{
	_exit(0);
}

/*
 * The life of a helper; all signals are blocked when it begins.  Its end of
 * the pipe becomes descriptor 3; -1 = none.
 */
static void
run_helper(const PcfgCancelKey *key, int pipe_end)
{
	static const int ours[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGURG};
	struct itimerval limit = {{0, 0}, {HELPER_LIFE, 0}};
	sigset_t	none;
	int			i;

	for (i = 0; i < lengthof(ours); i++)
		(void) signal(ours[i], SIG_IGN);
	(void) signal(SIGALRM, end_helper);
	(void) setitimer(ITIMER_REAL, &limit, NULL);
	sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	if (pipe_end < 0)
		(void) close(3);
	else if (pipe_end != 3)
		(void) dup2(pipe_end, 3);
	close_inherited();
	PGSharedMemoryDetach();
	pcfg_libpq_cancel_send(key->cancel);
	_exit(0);
}

static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, before);
}

/* False when the system refuses. */
static bool
start_helper(Helper *helper, PcfgCancelKey *key)
{
	int			ends[2];
	sigset_t	before;
	pid_t		pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	if (!pcfg_watch_set(&helper->watch, ends[0], PCFG_WATCH_READ))
	{
		(void) close(ends[0]);
		(void) close(ends[1]);
		return false;
	}
	block_signals(&before);
	pid = fork();
	if (pid == 0)
		run_helper(key, ends[1]);
	(void) sigprocmask(SIG_SETMASK, &before, NULL);
	(void) close(ends[1]);
	if (pid < 0)
	{
		pcfg_watch_remove(&helper->watch);
		(void) close(ends[0]);
		return false;
	}
	helper->pid = pid;
	helper->pipe = ends[0];
	helper->key = key;
	nrunning++;
	return true;
}

static void
finish(PcfgCancelKey *key)
{
	PcfgCancelled done = key->done;
	void	   *arg = key->arg;

	pcfg_cancel_key_free(key);
	if (done != NULL)
		done(arg);
}

static Helper *
find_idle_helper(void)
{
	int			i;

	for (i = 0; i < PCFG_CANCEL_MAX; i++)
	{
		if (helpers[i].pid == 0)
			return &helpers[i];
	}
	return NULL;
}

static bool
has_its_share(uint32 pool)
{
	int			n = 0;
	int			i;

	for (i = 0; i < PCFG_CANCEL_MAX; i++)
	{
		if (helpers[i].pid != 0 && helpers[i].key->pool == pool)
			n++;
	}
	return n >= POOL_HELPERS;
}

static void
start_some(void)
{
	PcfgCancelKey **link = &queue_head;
	PcfgCancelKey *key;
	Helper	   *helper;

	while ((key = *link) != NULL && (helper = find_idle_helper()) != NULL)
	{
		if (!key->dropped && has_its_share(key->pool))
		{
			link = &key->next;
			continue;
		}
		*link = key->next;
		if (*link == NULL)
			queue_end = link;
		nqueued--;
		if (key->dropped)
			pcfg_cancel_key_free(key);
		else if (!start_helper(helper, key))
			finish(key);
	}
}

/* A helper ended: its end of the pipe is closed, or about to be. */
static void
helper_ended(void *arg)
{
	Helper	   *helper = arg;
	PcfgCancelKey *key = helper->key;

	pcfg_watch_remove(&helper->watch);
	(void) close(helper->pipe);

	/* it has closed its descriptors, which is the last it does but to end */
	while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	helper->pid = 0;
	helper->key = NULL;
	nrunning--;
	finish(key);
	start_some();
}

bool
pcfg_cancel_create(void)
{
	int			i;

	for (i = 0; i < PCFG_CANCEL_MAX; i++)
		pcfg_watch_init(&helpers[i].watch, helper_ended, &helpers[i]);
	return true;
}

PcfgCancelKey *
pcfg_cancel_key_make(PGconn *conn)
{
	PcfgCancelKey *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	key->cancel = pcfg_libpq_cancel_make(conn);
	if (key->cancel == NULL)
	{
		free(key);
		return NULL;
	}
	return key;
}

void
pcfg_cancel_key_free(PcfgCancelKey *key)
{
	if (key == NULL)
		return;
	pcfg_libpq_cancel_free(key->cancel);
	free(key);
}

void
pcfg_cancel_send(PcfgCancelKey *key, uint32 pool, PcfgCancelled done, void *arg)
{
	key->pool = pool;
	key->done = done;
	key->arg = arg;
	key->next = NULL;
	if (done == NULL && nqueued >= PCFG_CANCEL_MAX)
	{
		/* many wait already, and for this one nobody does */
		pcfg_cancel_key_free(key);
		return;
	}
	*queue_end = key;
	queue_end = &key->next;
	nqueued++;
	start_some();
}

void
pcfg_cancel_forget(void *arg)
{
	PcfgCancelKey *key;
	int			i;

	for (key = queue_head; key != NULL; key = key->next)
	{
		if (key->done != NULL && key->arg == arg)
			key->dropped = true;
	}
	for (i = 0; i < PCFG_CANCEL_MAX; i++)
	{
		if (helpers[i].key != NULL && helpers[i].key->arg == arg)
			helpers[i].key->done = NULL;
	}
}

/*
 * One process starts the others, so that our end does not take longer.
 */
void
pcfg_cancel_leave(PcfgCancelKey *const *keys, int n)
{
	const PcfgCancelKey *key;
	sigset_t	before;
	int			i;

	if (n == 0 && queue_head == NULL)
		return;
	block_signals(&before);
	if (fork() == 0)
	{
		for (i = 0; i < n; i++)
		{
			if (fork() == 0)
				run_helper(keys[i], -1);
		}
		for (key = queue_head; key != NULL; key = key->next)
		{
			if (!key->dropped && fork() == 0)
				run_helper(key, -1);
		}
		_exit(0);
	}
	(void) sigprocmask(SIG_SETMASK, &before, NULL);
}

int
pcfg_cancel_count(void)
{
	return nrunning;
}
