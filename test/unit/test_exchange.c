/*
 * test_exchange.c
 *	  The worker's own series: a remote that never stops talking does not keep
 *	  it from others.
 */
#include "worker/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

static ssize_t endless_recv(int fd, void *buf, size_t len, int flags);
static ssize_t deaf_send(int fd, const void *buf, size_t len, int flags);

#define recv endless_recv
#define send deaf_send
#include "worker/exchange.c"
#undef recv
#undef send

/* the server has its own */
#undef printf
#undef snprintf
#undef vsnprintf
#include "tap.h"

#if !HAVE_DECL_STRLCPY
size_t
strlcpy(char *to, const char *from, size_t size)
{
	return (size_t) snprintf(to, size, "%s", from);
}
#endif

/* ---- the loop */

static PcfgWatch *watched = NULL;

void
pcfg_watch_init(PcfgWatch *watch, PcfgWatchHandler handler, void *arg)
{
	watch->handler = handler;
	watch->arg = arg;
}

bool
pcfg_watch_set(PcfgWatch *watch, int fd, int events)
{
	watched = watch;
	watch->events = events;
	return true;
}

void
pcfg_watch_remove(PcfgWatch *watch)
{
	watched = NULL;
}

/* ---- the remote: notices, as long as there are to be some, and the answer */

static const char notice[] = "N\0\0\0\x06" "a";	/* and a zero byte */
static const char answer[] = "1\0\0\0\4" "2\0\0\0\4" "C\0\0\0\6O\0" "Z\0\0\0\5I";
static long	notices_left;
static size_t place;			/* within a message */
static int	reads;

static ssize_t
endless_recv(int fd, void *buf, size_t len, int flags)
{
	char	   *to = buf;
	size_t		n = 0;

	reads++;
	while (n < len && notices_left > 0)
	{
		to[n++] = notice[place++];
		if (place == 7)
		{
			place = 0;
			notices_left--;
		}
	}
	if (n > 0)
		return (ssize_t) n;
	while (n < len && place < sizeof(answer) - 1)
		to[n++] = answer[place++];
	if (n > 0)
		return (ssize_t) n;
	errno = EAGAIN;
	return -1;
}

static ssize_t
deaf_send(int fd, const void *buf, size_t len, int flags)
{
	return (ssize_t) len;
}

static int	ended = 0;
static PcfgExchangeResult outcome;

static void
done(void *arg, const PcfgExchangeResult *result)
{
	ended++;
	outcome = *result;
}

int
main(void)
{
	static const char *const reset = "DISCARD ALL";
	PcfgExchange *x;
	int			turns = 0;
	int			most = 0;

	notices_left = 10L * 1000 * 1000;
	x = pcfg_exchange_start(0, false, &reset, 1, NULL, PG_UTF8, done, NULL);
	ok(x != NULL, "a series begins");
	while (watched != NULL && turns < 100000)
	{
		reads = 0;
		watched->handler(watched->arg);
		turns++;
		if (reads > most)
			most = reads;
		if (reads > 1000)
			break;
	}
	ok(most <= READS_A_TURN, "a turn reads so often, and then others have theirs");
	ok(turns > 10, "so it takes many turns");
	ok(ended == 1 && outcome.ok, "the answer behind ten million notices is understood");
	return tap_done();
}
