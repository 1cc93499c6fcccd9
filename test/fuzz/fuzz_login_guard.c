/*
 * fuzz_login_guard.c
 *	  Whatever a server says during a login, in pieces of any size: the verdict
 *	  depends on the bytes, not on how they are cut, and what is fine holds no
 *	  SCRAM message with a large count.
 *
 * The first byte of the input says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/login_guard.h"

#define MUST(condition)		do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PcfgLoginVerdict
look(const char *data, size_t size, size_t piece)
{
	PcfgLoginGuard guard;
	PcfgLoginVerdict verdict = PCFG_LOGIN_FINE;
	size_t		done;

	pcfg_login_guard_init(&guard);
	for (done = 0; done < size && verdict == PCFG_LOGIN_FINE; done += piece)
		verdict = pcfg_login_guard_look(&guard, data + done, size - done < piece ? size - done : piece);
	MUST(pcfg_login_verdict_text(verdict) != NULL);
	return verdict;
}

/* The same rule, written the simple way, over messages that are whole. */
static bool
has_costly_scram(const unsigned char *p, size_t size)
{
	while (size >= 5)
	{
		size_t		len = (size_t) p[1] << 24 | (size_t) p[2] << 16 | (size_t) p[3] << 8 | p[4];

		if (len < 4 || len > size - 1)
			return false;
		if (p[0] == 'R' && len >= 8 && memcmp(p + 5, "\0\0\0\013", 4) == 0)
		{
			size_t		i;

			for (i = 9; i + 3 < len + 1; i++)
			{
				uint64_t	n = 0;
				size_t		j;

				if (memcmp(p + i, ",i=", 3) != 0)
					continue;
				for (j = i + 3; j < len + 1 && p[j] >= '0' && p[j] <= '9'; j++)
					n = n > PCFG_LOGIN_ITERATIONS_MAX ? n : n * 10 + (uint64_t) (p[j] - '0');
				if (n > PCFG_LOGIN_ITERATIONS_MAX)
					return true;
			}
		}
		p += len + 1;
		size -= len + 1;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PcfgLoginVerdict whole;

	if (size < 2)
		return 0;
	whole = look((const char *) data + 1, size - 1, size - 1);
	MUST(look((const char *) data + 1, size - 1, 1 + data[0] % 16) == whole);
	if (whole == PCFG_LOGIN_FINE)
		MUST(!has_costly_scram(data + 1, size - 1));
	return 0;
}
