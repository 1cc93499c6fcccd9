/*
 * test_backoff.c
 *	  When the next connect is tried.
 */
#include "shared/backoff.h"
#include "tap.h"

int
main(void)
{
	PcfgTime	now = 1000 * PCFG_SECOND;
	PcfgTime	before = 0;
	bool		rising = true;
	int			i;

	ok(pcfg_failure_class("28P01", "") == PCFG_FAILURE_LASTING &&
	   pcfg_failure_class("28000", "") == PCFG_FAILURE_LASTING &&
	   pcfg_failure_class("3D000", "") == PCFG_FAILURE_LASTING, "a refusal lasts");
	ok(pcfg_failure_class("08001", "") == PCFG_FAILURE_TRANSIENT &&
	   pcfg_failure_class("57P03", "") == PCFG_FAILURE_TRANSIENT &&
	   pcfg_failure_class("53300", "") == PCFG_FAILURE_TRANSIENT, "an absence passes");
	ok(pcfg_failure_class("08001", "server certificate for \"a\" does not match host name \"b\"") == PCFG_FAILURE_LASTING &&
	   pcfg_failure_class("08P01", "unsupported startup parameter: options") == PCFG_FAILURE_LASTING &&
	   pcfg_failure_class("XX000", "Tenant or user not found") == PCFG_FAILURE_LASTING,
	   "what has no code of its own is known by its words");
	ok(pcfg_failure_class("08001", "connection to server at \"a\" failed: Connection refused") == PCFG_FAILURE_TRANSIENT &&
	   pcfg_failure_class("53300", "remaining slots for password authentication failed") == PCFG_FAILURE_TRANSIENT,
	   "and only then");
	ok(pcfg_backoff_next(PCFG_FAILURE_TRANSIENT, 1, now, 0.5) == now, "the first retry is at once");
	ok(pcfg_backoff_next(PCFG_FAILURE_TRANSIENT, 2, now, 0) == now + PCFG_SECOND / 20,
	   "the second after 50 ms");
	for (i = 2; i < 100; i++)
	{
		PcfgTime	delay = pcfg_backoff_next(PCFG_FAILURE_TRANSIENT, i, now, 0) - now;

		rising &= delay >= before && delay <= PCFG_SECOND;
		before = delay;
	}
	ok(rising && before == PCFG_SECOND, "the delay doubles up to one second and stays there");
	ok(pcfg_backoff_next(PCFG_FAILURE_TRANSIENT, 50, now, 1) == now + PCFG_SECOND * 3 / 4,
	   "jitter takes off a quarter at most");
	ok(pcfg_backoff_next(PCFG_FAILURE_LASTING, 1, now, 0.5) == now + 60 * PCFG_SECOND,
	   "a refusal is tried once a minute");
	return tap_done();
}
