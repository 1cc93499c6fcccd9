/*-------------------------------------------------------------------------
 *
 * worker/cancel.c
 *	  Cancel requests that block nobody.
 *
 * Floor 5; worker.
 *
 * PQcancel of libpq up to 16 blocks, for minutes when packets are swallowed.
 * It runs in helper threads that do nothing else: all signals are blocked in
 * them, they touch no memory of the server's and raise nothing.  They tell
 * the loop through a pipe.  libpq from 17 on has a call that does not block,
 * but it asks for a connection of its own to be kept, so the one way serves
 * all versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "worker/cancel.h"
#include "worker/loop.h"

#define MAX_THREADS		4
#define THREAD_STACK	(256 * 1024)

struct PcfgCancelKey
{
	PGcancel   *cancel;
	PcfgCancelled done;			/* NULL = nobody waits for it */
	void	   *arg;
	PcfgCancelKey *next;
};

static int	pipe_fds[2] = {-1, -1};
static PcfgWatch watch;
static PcfgCancelKey *queue_head = NULL;	/* not yet started */
static PcfgCancelKey *queue_tail = NULL;
static PcfgCancelKey *running[MAX_THREADS];
static int	nrunning = 0;
static int	nqueued = 0;

static void start_some(void);

/* Runs in a thread of its own. */
static void *
run_cancel(void *arg)
{
	PcfgCancelKey *key = arg;
	char		errbuf[256];
	ssize_t		n;

	(void) PQcancel(key->cancel, errbuf, sizeof(errbuf));
	do
		n = write(pipe_fds[1], &key, sizeof(key));
	while (n < 0 && errno == EINTR);
	return NULL;
}

/* Starts a detached thread with all signals blocked. */
static bool
start_thread(PcfgCancelKey *key)
{
	pthread_attr_t attr;
	pthread_t	thread;
	sigset_t	all;
	sigset_t	before;
	bool		ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	sigfillset(&all);
	ok = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
		pthread_attr_setstacksize(&attr, THREAD_STACK) == 0 &&
		pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
	if (ok)
	{
		ok = pthread_create(&thread, &attr, run_cancel, key) == 0;
		(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void) pthread_attr_destroy(&attr);
	return ok;
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

/* Threads have ended. */
static void
pipe_ready(void *arg)
{
	PcfgCancelKey *key;

	while (read(pipe_fds[0], &key, sizeof(key)) == sizeof(key))
	{
		int			i;

		for (i = 0; i < MAX_THREADS; i++)
		{
			if (running[i] == key)
			{
				running[i] = NULL;
				nrunning--;
				finish(key);
				break;
			}
		}
	}
	start_some();
}

static void
start_some(void)
{
	while (queue_head != NULL && nrunning < MAX_THREADS)
	{
		PcfgCancelKey *key = queue_head;
		int			i = 0;

		queue_head = key->next;
		if (queue_head == NULL)
			queue_tail = NULL;
		nqueued--;
		if (key->done == NULL)
		{
			pcfg_cancel_key_free(key);	/* closed meanwhile */
			continue;
		}
		while (running[i] != NULL)
			i++;
		running[i] = key;
		nrunning++;
		if (!start_thread(key))
		{
			running[i] = NULL;
			nrunning--;
			finish(key);
		}
	}
}

bool
pcfg_cancel_create(void)
{
	/* a pipe takes a pointer in one piece, and four of them always fit */
	if (pipe(pipe_fds) != 0 ||
		fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) != 0 ||
		fcntl(pipe_fds[0], F_SETFD, FD_CLOEXEC) != 0 ||
		fcntl(pipe_fds[1], F_SETFD, FD_CLOEXEC) != 0)
		return false;
	pcfg_watch_init(&watch, pipe_ready, NULL);
	return pcfg_watch_set(&watch, pipe_fds[0], PCFG_WATCH_READ);
}

PcfgCancelKey *
pcfg_cancel_key_make(PGconn *conn)
{
	PcfgCancelKey *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	key->cancel = PQgetCancel(conn);
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
	PQfreeCancel(key->cancel);
	free(key);
}

void
pcfg_cancel_send(PcfgCancelKey *key, PcfgCancelled done, void *arg)
{
	key->done = done;
	key->arg = arg;
	key->next = NULL;
	if (queue_tail != NULL)
		queue_tail->next = key;
	else
		queue_head = key;
	queue_tail = key;
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
		if (key->arg == arg)
			key->done = NULL;
	}
	for (i = 0; i < MAX_THREADS; i++)
	{
		if (running[i] != NULL && running[i]->arg == arg)
			running[i]->done = NULL;
	}
}

int
pcfg_cancel_count(void)
{
	return nrunning;
}
