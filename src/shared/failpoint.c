/*-------------------------------------------------------------------------
 *
 * shared/failpoint.c
 *	  Named places where a test build fails, dies or stands still.
 *
 * Floor 0; any process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/failpoint.h"

#ifdef PCFG_FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/guc.h"

static const char *const places[] = {
#define PCFG_PLACE(name, what) #name,
#include "shared/failpoints.def"
#undef PCFG_PLACE
};

static char *setting = NULL;
static int	reached = 0;		/* of the place set, since it was set */

static void
start_over(const char *newval, void *extra)
{
	reached = 0;
}

void
pcfg_failpoint_define(void)
{
	DefineCustomStringVariable("pool_config.failpoint",
							   "Place and action of a failure, in a test build.",
							   NULL, &setting, "", PGC_SUSET, 0,
							   NULL, start_over, NULL);
}

static void
act(const char *action, const char *place)
{
	bool		may_raise = IsUnderPostmaster && MyBackendType == B_BACKEND;

	if (strcmp(action, "kill") == 0)
		(void) kill(MyProcPid, SIGKILL);
	else if (strcmp(action, "terminate") == 0)
		(void) kill(MyProcPid, SIGTERM);
	else if (strcmp(action, "cancel") == 0)
		(void) kill(MyProcPid, SIGINT);
	else if (strcmp(action, "wait") == 0)
	{
		while (access("failpoint", F_OK) == 0)
			(void) usleep(10000);
	}
	else if (may_raise)
		ereport(strcmp(action, "fatal") == 0 ? FATAL : ERROR,
				(errcode(ERRCODE_RAISE_EXCEPTION),
				 errmsg("failpoint \"%s\"", place)));
}

/* The action that is set for the place, and at which time; false if none is. */
static bool
find_action(PcfgFailpoint place, char action[16], int *n)
{
	char		name[64];

	*n = 1;
	return setting != NULL && setting[0] != '\0' &&
		sscanf(setting, "%63s %15s %d", name, action, n) >= 2 &&
		strcmp(name, places[place]) == 0;
}

bool
pcfg_failpoint_is_set(PcfgFailpoint place)
{
	char		action[16];
	int			n;

	return find_action(place, action, &n) && reached < n;
}

void
pcfg_failpoint_reach(PcfgFailpoint place)
{
	char		action[16];
	int			n;

	if (find_action(place, action, &n) && ++reached == n)
		act(action, places[place]);
}

/* ----------------------------------------------------------------
 * the worker's memory
 *
 * A test build is linked so that our own allocations, and no library's, come
 * here.  The N-th that the worker makes fails, and no other in the life of
 * the file "failpoint.fired" in the data directory.
 * ----------------------------------------------------------------
 */

#define FIRED	"failpoint.fired"

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t n, size_t size);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t n, size_t size);

static bool
is_denied(void)
{
	char		action[16];
	int			n;
	int			fd;

	if (!IsUnderPostmaster || MyBackendType != B_BG_WORKER ||
		!find_action(PCFG_PLACE_worker_allocates, action, &n) ||
		++reached != n || access(FIRED, F_OK) == 0)
		return false;
	fd = open(FIRED, O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		(void) close(fd);
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return is_denied() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return is_denied() ? NULL : __real_calloc(n, size);
}

#endif
