/*-------------------------------------------------------------------------
 *
 * shared/stats.c
 *	  Counters and histograms, and why connections are closed, as plain data.
 *
 * Floor 1; any process; no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/stats.h"

const PcfgTime pcfg_bucket_bounds[PCFG_BUCKETS - 1] = {
	100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	500000, 1000000, 2500000, 5000000, 10000000, 30000000
};

const char *
pcfg_close_reason_name(PcfgCloseReason reason)
{
	static const char *const names[PCFG_CLOSE_REASONS] = {
		"unknown", "age", "idle", "surplus", "retired", "recycle", "evicted",
		"disconnect", "pause", "remote", "ping", "lost", "doubt", "died", "reset",
		"unused"
	};

	return (int) reason >= 0 && reason < PCFG_CLOSE_REASONS ? names[reason] : names[0];
}

void
pcfg_histogram_add(PcfgHistogram *histogram, PcfgTime duration)
{
	int			i = 0;

	if (duration < 0)
		duration = 0;
	while (i < PCFG_BUCKETS - 1 && duration > pcfg_bucket_bounds[i])
		i++;
	histogram->count[i]++;
	histogram->sum += (uint64_t) duration;
}

uint64_t
pcfg_histogram_total(const PcfgHistogram *histogram)
{
	uint64_t	total = 0;
	int			i;

	for (i = 0; i < PCFG_BUCKETS; i++)
		total += histogram->count[i];
	return total;
}

static void
add_histogram(PcfgHistogram *total, const PcfgHistogram *part)
{
	int			i;

	for (i = 0; i < PCFG_BUCKETS; i++)
		total->count[i] += part->count[i];
	total->sum += part->sum;
}

void
pcfg_stats_add(PcfgStats *total, const PcfgStats *part)
{
	int			i;

	total->leases += part->leases;
	total->queued += part->queued;
	total->timeouts += part->timeouts;
	total->refused += part->refused;
	total->connects += part->connects;
	total->connect_failures += part->connect_failures;
	total->pings += part->pings;
	total->bytes_in += part->bytes_in;
	total->bytes_out += part->bytes_out;
	for (i = 0; i < PCFG_CLOSE_REASONS; i++)
		total->closes[i] += part->closes[i];
	add_histogram(&total->wait, &part->wait);
	add_histogram(&total->connect, &part->connect);
	add_histogram(&total->statement, &part->statement);
}
