/*
 * test_setting_table.c
 *	  Values of settings as users write them, and names nearly right.
 */
#include <string.h>

#include "shared/setting_table.h"
#include "tap.h"

/* What a text means for a setting; INT64_MIN = refused. */
static int64_t
value(const char *name, const char *text)
{
	const PcfgSetting *s = pcfg_setting_find(name);
	char		errbuf[256];
	const char *why = NULL;
	const char *hint;
	int64_t		v;

	if (s == NULL)
		return INT64_MIN + 1;
	if (pcfg_setting_parse(s, text, &v, errbuf, sizeof(errbuf), &why, &hint))
		return pcfg_setting_in_range(s, v) ? v : INT64_MIN + 2;
	return why != NULL && why[0] != '\0' ? INT64_MIN : INT64_MIN + 3;
}

static bool
refused(const char *name, const char *text)
{
	return value(name, text) == INT64_MIN;
}

static void
test_round_trip(void)
{
	int			wrong = 0;
	int			i;

	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		const PcfgSetting *s = &pcfg_settings[i];
		char		text[64];

		wrong += (int) s->id != i || pcfg_setting_find(s->name) != s;
		if (s->kind == PCFG_KIND_TEXT)
			continue;
		wrong += !pcfg_setting_in_range(s, s->fallback);
		pcfg_setting_format(s, s->fallback, text, sizeof(text));
		wrong += value(s->name, text) != s->fallback;
		pcfg_setting_format(s, s->max, text, sizeof(text));
		wrong += value(s->name, text) != s->max;
	}
	ok(wrong == 0, "each default and maximum is legal, and reads back as it was written");
}

int
main(void)
{
	static const char *const names[] = {"pool_size", "pool_timeout", "max_overflow"};

	test_round_trip();
	ok(value("pool_recycle", "5min") == 300000000 && value("pool_recycle", "300") == 300000000 &&
	   value("pool_recycle", "0.5") == 500000 && value("pool_recycle", "1500ms") == 1500000 &&
	   value("pool_recycle", "1h") == INT64_C(3600000000), "times, with and without unit");
	ok(value("pool_recycle", "-1") == PCFG_NEVER && refused("pool_recycle", "0"), "pool_recycle: -1 is never, 0 nothing");
	ok(refused("pool_size", "0") && refused("pool_size", "-1") && value("pool_size", "1") == 1, "pool_size from 1");
	ok(value("max_overflow", "-1") == -1 && refused("max_overflow", "-2"), "max_overflow: -1 is no limit");
	ok(refused("connect_timeout", "0") && refused("connect_timeout", "-1"), "connect_timeout has to be one");
	ok(value("pool_timeout", "0") == 0 && value("pool_timeout", "-1") == -1, "pool_timeout: 0 and -1 have a meaning");
	ok(value("pool_pre_ping", "off") == 0 && value("pool_pre_ping", "TRUE") == 1 && refused("pool_pre_ping", "maybe"),
	   "booleans");
	ok(value("pool_reset", "ALWAYS") == PCFG_RESET_ALWAYS && refused("pool_reset", "sometimes"), "words");
	ok(refused("pool_recycle", "") && refused("pool_recycle", "nan") && refused("pool_recycle", "inf") &&
	   refused("pool_recycle", "1e999") && refused("pool_recycle", "5 parsecs") &&
	   refused("pool_size", "99999999999999999999") && refused("pool_size", "5x") && refused("pool_size", "1.5"),
	   "nonsense");
	ok(pcfg_setting_find("Pool_Size") == NULL && pcfg_setting_find("") == NULL, "names are exact");
	ok(strcmp(pcfg_nearest_name("pool_sise", names, 3), "pool_size") == 0 &&
	   strcmp(pcfg_nearest_name("pool_tiemout", names, 3), "pool_timeout") == 0 &&
	   pcfg_nearest_name("banana", names, 3) == NULL && pcfg_nearest_name("", names, 3) == NULL,
	   "the nearest name, if one is near");
	return tap_done();
}
