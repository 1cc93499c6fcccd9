/*
 * test_stats.c
 *	  Histograms, sums and the names of reasons.
 */
#include <string.h>

#include "shared/stats.h"
#include "tap.h"

int
main(void)
{
	PcfgHistogram h = {{0}, 0};
	PcfgStats	a;
	PcfgStats	b;
	uint64_t   *words = (uint64_t *) &b;
	bool		rising = true;
	bool		named = true;
	bool		doubled = true;
	size_t		n;
	int			i;
	int			j;

	for (i = 1; i < PCFG_BUCKETS - 1; i++)
		rising &= pcfg_bucket_bounds[i] > pcfg_bucket_bounds[i - 1];
	ok(rising, "the bounds rise");

	pcfg_histogram_add(&h, 0);
	pcfg_histogram_add(&h, pcfg_bucket_bounds[0]);
	ok(h.count[0] == 2, "a bound belongs to its bucket");
	pcfg_histogram_add(&h, pcfg_bucket_bounds[0] + 1);
	ok(h.count[1] == 1, "what is longer to the next");
	pcfg_histogram_add(&h, 24 * 3600 * PCFG_SECOND);
	ok(h.count[PCFG_BUCKETS - 1] == 1, "what is longest to the last");
	pcfg_histogram_add(&h, -5);
	ok(h.count[0] == 3, "a clock that stepped back counts as nothing");
	ok(pcfg_histogram_total(&h) == 5, "each is counted once");
	ok(h.sum == (uint64_t) (2 * pcfg_bucket_bounds[0] + 1 + 24 * 3600 * PCFG_SECOND),
	   "and the sum is theirs");

	/* every field is added, those to come too */
	memset(&a, 0, sizeof(a));
	for (n = 0; n < sizeof(b) / sizeof(*words); n++)
		words[n] = n + 1;
	pcfg_stats_add(&a, &b);
	pcfg_stats_add(&a, &b);
	for (n = 0; n < sizeof(b) / sizeof(*words); n++)
		doubled &= ((uint64_t *) &a)[n] == 2 * (n + 1);
	ok(doubled, "all numbers are added");

	for (i = 0; i < PCFG_CLOSE_REASONS; i++)
	{
		named &= pcfg_close_reason_name((PcfgCloseReason) i) != NULL;
		for (j = 0; j < i && named; j++)
			named &= strcmp(pcfg_close_reason_name((PcfgCloseReason) i),
							pcfg_close_reason_name((PcfgCloseReason) j)) != 0;
	}
	ok(named, "every reason has a name of its own");
	return tap_done();
}
