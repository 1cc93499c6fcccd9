/* What a server may say during a login. */
#include <arpa/inet.h>
#include <string.h>

#include "tap.h"
#include "wire/login_guard.h"

static char message[70000];

/* A message of that type; an authentication message has a code in front. */
static size_t
build(char type, int code, const char *text, size_t len)
{
	size_t		extra = code >= 0 ? 4 : 0;
	uint32_t	n = htonl((uint32_t) (len + extra + 4));
	uint32_t	c = htonl((uint32_t) code);

	message[0] = type;
	memcpy(message + 1, &n, 4);
	if (extra != 0)
		memcpy(message + 5, &c, 4);
	memcpy(message + 5 + extra, text, len);
	return len + extra + 5;
}

/* The verdict when the message comes in pieces of that size. */
static PcfgLoginVerdict
look(size_t len, size_t piece)
{
	PcfgLoginGuard guard;
	size_t		done;

	pcfg_login_guard_init(&guard);
	for (done = 0; done < len; done += piece)
	{
		PcfgLoginVerdict v = pcfg_login_guard_look(&guard, message + done,
												   len - done < piece ? len - done : piece);

		if (v != PCFG_LOGIN_FINE)
			return v;
	}
	return guard.header_len == 0 ? PCFG_LOGIN_FINE : PCFG_LOGIN_TOO_LONG;
}

static PcfgLoginVerdict
scram(const char *text, int code)
{
	PcfgLoginVerdict first = look(build('R', code, text, strlen(text)), 1000);
	size_t		piece;

	for (piece = 1; piece < 8; piece++)
	{
		if (look(build('R', code, text, strlen(text)), piece) != first)
			return (PcfgLoginVerdict) -1;
	}
	return first;
}

int
main(void)
{
	static char text[66000];
	PcfgLoginGuard guard;
	int			n;

	ok(scram("r=abc,s=QUJD,i=4096", 11) == PCFG_LOGIN_FINE, "an ordinary SCRAM login");
	ok(scram("r=abc,s=QUJD,i=100000", 11) == PCFG_LOGIN_FINE, "as many iterations as are allowed");
	ok(scram("r=abc,s=QUJD,i=100001", 11) == PCFG_LOGIN_TOO_COSTLY, "one more");
	ok(scram("r=abc,s=QUJD,i=5000000", 11) == PCFG_LOGIN_TOO_COSTLY, "five million");
	ok(scram("r=abc,s=QUJD,i=18446744073709551617", 11) == PCFG_LOGIN_TOO_COSTLY, "more than fit in 64 bits");
	ok(scram("r=abc,s=QUJD,i=0004096", 11) == PCFG_LOGIN_FINE, "zeros in front");
	ok(scram("r=i=5000000,s=QUJD,i=4096", 11) == PCFG_LOGIN_FINE, "a nonce that looks like a count");
	ok(scram("r=abc,,i=5000000", 11) == PCFG_LOGIN_TOO_COSTLY, "commas in a row");
	ok(scram("r=abc,s=QUJD,i=5000000", 12) == PCFG_LOGIN_FINE, "another authentication message");
	memset(text, 'x', sizeof(text));
	ok(look(build('N', -1, text, 60000), 777) == PCFG_LOGIN_FINE, "a long notice");
	ok(look(build('N', -1, text, 65531), 777) == PCFG_LOGIN_FINE, "as long as is allowed");
	ok(look(build('N', -1, text, 65532), 777) == PCFG_LOGIN_TOO_LONG, "one longer");
	message[0] = 'E';
	memcpy(message + 1, "FATAL: old", 10);
	ok(look(11, 3) == PCFG_LOGIN_TOO_LONG, "an error of an old protocol");
	message[0] = 'R';
	memset(message + 1, 0, 4);
	ok(look(5, 1) == PCFG_LOGIN_TOO_LONG, "a length below four");

	pcfg_login_guard_init(&guard);
	n = 0;
	while (pcfg_login_guard_look(&guard, message, build('S', -1, text, 1000)) == PCFG_LOGIN_FINE && n < 10000)
		n++;
	ok(n >= 250 && n <= 262, "parameters without end");
	return tap_done();
}
