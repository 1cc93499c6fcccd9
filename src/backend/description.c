/*-------------------------------------------------------------------------
 *
 * backend/description.c
 *	  What the remote says of a statement that it does not run.
 *
 * Floor 12; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/transam.h"
#include "backend/description.h"
#include "backend/params.h"
#include "backend/session.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* The remote's own name of a type that is not the same on every server. */
static char *
ask_type_name(const char *target, Oid type, int32 typmod)
{
	static const char *const query =
		"SELECT * FROM pool_config.query($1, 'select format_type($1, $2)', $2, $3) AS t(name text)";
	Oid			types[] = {TEXTOID, OIDOID, INT4OID};
	Datum		values[] = {
		CStringGetTextDatum(target), ObjectIdGetDatum(type), Int32GetDatum(typmod)
	};

	if (SPI_execute_with_args(query, lengthof(types), types, values, NULL, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not ask target \"%s\" for the name of a type", target);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* A column, with the type here that it can have. */
static PcfgDescribed *
find_column(const char *target, const PcfgColumn *there)
{
	PcfgDescribed *column = palloc0(sizeof(PcfgDescribed));

	column->name = there->name;
	column->type = there->type;
	column->typmod = there->typmod;
	if (there->type < FirstGenbkiObjectId &&
		SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(there->type)))
		return column;
	column->type = InvalidOid;
	column->remote_type = ask_type_name(target, there->type, there->typmod);
	if (column->remote_type == NULL)
		column->remote_type = "???";
	else
		pcfg_parse_type(column->remote_type, &column->type, &column->typmod);
	return column;
}

/* The columns as the remote describes them; NIL when there are none. */
static List *
read_columns(const char *target, const PcfgFrame *columns)
{
	List	   *list = NIL;
	PcfgReader	reader;
	int			n;
	int			i;

	if (columns->body == NULL)
		return NIL;
	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	for (i = 0; i < n; i++)
	{
		PcfgColumn	there;

		if (!pcfg_read_column(&reader, &there) || strlen(there.name) >= NAMEDATALEN ||
			!pg_verify_mbstr(GetDatabaseEncoding(), there.name, (int) strlen(there.name), true))
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the remote server sent a malformed result")));
		list = lappend(list, find_column(target, &there));
	}
	return list;
}

List *
pcfg_describe(const char *target, const char *sql, const Oid *types, int ntypes)
{
	PcfgWireParam *params = palloc0(sizeof(PcfgWireParam) * Max(ntypes, 1));
	PcfgStatement statement = {.sql = sql, .params = params, .nparams = ntypes, .describe = true};
	PcfgOutcome outcome;
	int			i;

	for (i = 0; i < ntypes; i++)
		params[i].type = pcfg_wire_param_type(types[i]);
	pcfg_session_run(pcfg_target_open(target), &statement, NULL, &outcome);
	return read_columns(target, &outcome.columns);
}
