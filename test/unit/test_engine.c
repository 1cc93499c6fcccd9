/*
 * test_engine.c
 *	  Settings as users write them, SQLAlchemy's words among them.
 */
#include <string.h>

#include "tap.h"
#include "url/engine.h"

static const struct
{
	const char *json;
	const char *expected;		/* name=value; in the table's order, options; or
								 * the SQLSTATEs of errors */
	const char *says;			/* in some message or hint */
	bool		sized;
}			cases[] =
{
	{"{\"pool_size\": 5, \"max_overflow\": 10, \"pool_recycle\": 300, \"pool_pre_ping\": true}", "pool_size=5;max_overflow=10;pool_recycle=5min;pool_pre_ping=on;"},
	{"{\"pool_size\": \"5\", \"pool_pre_ping\": \"yes\", \"pool_use_lifo\": \"0\"}", "pool_size=5;pool_pre_ping=on;pool_use_lifo=off;"},
	{"{\"pool_pre_ping\": \"maybe\"}", "HV024;"},
	{"{\"pool_size\": 0}", "HV024;", "unlimited"},
	{"{\"pool_size\": -1}", "HV024;"},
	{"{\"pool_size\": 2.5}", "HV024;"},
	{"{\"pool_size\": [5]}", "HV024;", "single value"},
	{"{\"pool_size\": null}", ""},
	{"{\"max_overflow\": -1}", "max_overflow=-1;"},
	{"{\"max_overflow\": -2}", "HV024;"},
	{"{\"pool_timeout\": 0}", "pool_timeout=0;"},
	{"{\"pool_timeout\": null}", "22023;", "-1"},
	{"{\"pool_timeout\": -2}", "HV024;"},
	{"{\"pool_recycle\": -1}", "pool_recycle=-1;"},
	{"{\"pool_recycle\": 0}", "HV024;", "too old"},
	{"{\"pool_reset_on_return\": \"rollback\"}", "pool_reset=rollback;"},
	{"{\"pool_reset_on_return\": true}", "pool_reset=rollback;"},
	{"{\"pool_reset_on_return\": null}", "pool_reset=none;"},
	{"{\"pool_reset_on_return\": false}", "pool_reset=none;"},
	{"{\"pool_reset_on_return\": \"commit\"}", "22023;", "commits by itself"},
	{"{\"pool_reset_on_return\": 7}", "22023;"},
	{"{\"pool_reset_on_return\": \"rollback\", \"pool_reset\": \"always\"}", "22023;", "twice"},
	{"{\"poolclass\": \"QueuePool\", \"pool_size\": 3}", "pool_size=3;"},
	{"{\"poolclass\": \"sqlalchemy.pool.AsyncAdaptedQueuePool\"}", ""},
	{"{\"poolclass\": \"NullPool\"}", "min_idle=0;idle_timeout=1ms;"},
	{"{\"poolclass\": \"StaticPool\"}", "pool_size=1;max_overflow=0;"},
	{"{\"poolclass\": \"StaticPool\", \"pool_size\": 3}", "22023;", "takes no pool_size"},
	{"{\"poolclass\": \"NullPool\"}", "22023;", "takes no pool_size", true},
	{"{\"poolclass\": \"AssertionPool\"}", "22023;", "QueuePool"},
	{"{\"isolation_level\": \"REPEATABLE READ\"}", "options=-c default_transaction_isolation=repeatable\\ read;"},
	{"{\"isolation_level\": \"repeatable_read\"}", "options=-c default_transaction_isolation=repeatable\\ read;"},
	{"{\"isolation_level\": \"AUTOCOMMIT\"}", ""},
	{"{\"isolation_level\": \"chaos\"}", "22023;", "SERIALIZABLE"},
	{"{\"echo_pool\": \"debug\", \"echo\": true, \"future\": true}", "", "no meaning"},
	{"{\"creator\": \"f\"}", "HV00D;", "object"},
	{"{\"max_size\": 5}", "HV00D;", "pool_size and max_overflow"},
	{"{\"max_lifetime\": 5}", "HV00D;", "pool_recycle"},
	{"{\"connect_args\": {}}", "HV00D;", "argument of its own"},
	{"{\"pool_sise\": 3}", "HV00D;", "Perhaps you meant the setting \"pool_size\""},
	{"{\"pool_resett_on_return\": 3}", "HV00D;", "pool_reset_on_return"},
	{"{\"nothing of the kind\": 3}", "HV00D;", "pool_config.targets"},
	{"{\"pool_sise\": 3, \"pool_size\": 0, \"creator\": 1}", "HV00D;HV024;HV00D;"},
	{"{\"init_sql\": \"set x = 1\", \"idle_timeout\": \"5min\"}", "idle_timeout=5min;init_sql=set x = 1;"},
	{"[]", "22023;"},
	{"{", "22023;"},
};

int
main(void)
{
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		PcfgEngine	e;
		char		out[512] = "";
		bool		says = cases[i].says == NULL;
		int			j;

		pcfg_engine_parse(&e, cases[i].json, cases[i].sized);
		for (j = 0; j < e.findings.n; j++)
		{
			const PcfgFinding *f = &e.findings.items[j];

			if (f->kind < PCFG_ERRORS)
				snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s;", pcfg_kind_sqlstate(f->kind));
			says |= cases[i].says != NULL && (strstr(f->message, cases[i].says) != NULL ||
											  (f->hint != NULL && strstr(f->hint, cases[i].says) != NULL));
		}
		for (j = 0; j < PCFG_SETTING_COUNT && e.findings.nerrors == 0; j++)
		{
			char		text[64];

			if (!e.given[j])
				continue;
			if (j != PCFG_INIT_SQL)
				pcfg_setting_format(&pcfg_settings[j], e.value[j], text, sizeof(text));
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s=%s;", pcfg_settings[j].name,
					 j == PCFG_INIT_SQL ? e.init_sql : text);
		}
		if (e.options != NULL)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "options=%s;", e.options);
		ok(strcmp(out, cases[i].expected) == 0 && says, "%s is %s", cases[i].json, out);
		pcfg_engine_free(&e);
	}
	return tap_done();
}
