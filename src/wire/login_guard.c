/*-------------------------------------------------------------------------
 *
 * wire/login_guard.c
 *	  What a server may say during a login.
 *
 * Floor 0; any process; no I/O, no allocation, no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "wire/login_guard.h"

#include <string.h>

/* AuthenticationSASLContinue; its data is SCRAM's server-first-message. */
#define AUTH_SASL_CONTINUE	11

void
pcfg_login_guard_init(PcfgLoginGuard *guard)
{
	memset(guard, 0, sizeof(*guard));
}

static uint32_t
read_uint32(const unsigned char *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/*
 * A byte of "r=nonce,s=salt,i=count".  Neither nonce nor salt can hold a
 * comma, so what follows ",i=" is the count.
 */
static void
look_at_scram(PcfgLoginGuard *guard, unsigned char c)
{
	static const char sign[] = ",i=";

	if (guard->matched == 3)
	{
		if (c >= '0' && c <= '9')
		{
			if (guard->iterations <= PCFG_LOGIN_ITERATIONS_MAX)
				guard->iterations = guard->iterations * 10 + (uint64_t) (c - '0');
			return;
		}
		guard->matched = 0;
	}
	guard->matched = c == (unsigned char) sign[guard->matched] ? guard->matched + 1 : c == ',' ? 1 : 0;
}

static void
look_at_body(PcfgLoginGuard *guard, unsigned char c)
{
	if (guard->header[0] != 'R')
		return;
	if (guard->body_seen < 4)
		guard->code = guard->code << 8 | c;
	else if (guard->code == AUTH_SASL_CONTINUE)
		look_at_scram(guard, c);
}

/* The header is complete: false when no such message may come. */
static bool
begin_body(PcfgLoginGuard *guard)
{
	uint32_t	len = read_uint32(guard->header + 1);

	if (len < 4 || len > PCFG_LOGIN_MESSAGE_MAX - 1)
		return false;
	guard->body_len = len - 4;
	guard->body_seen = 0;
	guard->code = 0;
	guard->matched = 0;
	guard->iterations = 0;
	return true;
}

PcfgLoginVerdict
pcfg_login_guard_look(PcfgLoginGuard *guard, const char *data, size_t len)
{
	size_t		i;

	guard->total += len;
	if (guard->total > PCFG_LOGIN_TOTAL_MAX)
		return PCFG_LOGIN_TOO_MUCH;
	for (i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) data[i];

		if (guard->header_len < 5)
		{
			guard->header[guard->header_len++] = c;
			if (guard->header_len == 5 && !begin_body(guard))
				return PCFG_LOGIN_TOO_LONG;
		}
		else
		{
			look_at_body(guard, c);
			guard->body_seen++;
			if (guard->iterations > PCFG_LOGIN_ITERATIONS_MAX)
				return PCFG_LOGIN_TOO_COSTLY;
		}
		if (guard->header_len == 5 && guard->body_seen == guard->body_len)
			guard->header_len = 0;
	}
	return PCFG_LOGIN_FINE;
}

const char *
pcfg_login_verdict_text(PcfgLoginVerdict verdict)
{
	switch (verdict)
	{
		case PCFG_LOGIN_TOO_LONG:
			return "the other side sent an over-long message during the login, or does not speak the protocol";
		case PCFG_LOGIN_TOO_MUCH:
			return "the other side sent too much during the login";
		case PCFG_LOGIN_TOO_COSTLY:
			return "the other side asks for more than 100000 SCRAM iterations";
		case PCFG_LOGIN_FINE:
			break;
	}
	return "";
}
