/*-------------------------------------------------------------------------
 *
 * backend/rows.c
 *	  Rows of a remote result into a tuplestore.
 *
 * Floor 6; backends; no network.
 *
 * How a column travels is decided in two steps.  At creation each local type
 * names the format it would like.  At the remote's description, which comes
 * before the first row, each remote column gets a reader that fits what was
 * asked for and what is announced.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/json_rows.h"
#include "backend/rows.h"
#include "backend/values.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A column of the local row type; indexed as in the tuple descriptor. */
typedef struct LocalColumn
{
	bool		dropped;
	bool		found;			/* by name: the remote has it */
	int16		wish;			/* format it would best travel in */
} LocalColumn;

/* A column of the remote result, in its order. */
typedef struct RemoteColumn
{
	int			local;			/* index of the LocalColumn */
	PcfgValueReader reader;
} RemoteColumn;

struct PcfgRows
{
	TupleDesc	desc;
	Tuplestorestate *store;		/* may be NULL */
	TupleDesc	store_desc;		/* of its rows: desc, or one jsonb column */
	bool		by_name;
	bool		as_json;		/* desc is made of what the remote returns */
	PcfgJsonShape *shape;		/* as_json, when described */
	bool		described;
	int			unfit;			/* columns that came instead of nlive; -1 = not so */
	int			nlive;			/* columns of desc that are not dropped */
	LocalColumn *locals;		/* desc->natts of them */
	int16	   *formats;		/* asked for, see pcfg_rows_formats */
	int			nformats;
	int			nremotes;
	RemoteColumn *remotes;
	Datum	   *values;
	bool	   *nulls;
	StringInfoData scratch;		/* one value with a NUL behind it */
	MemoryContext context;		/* of this struct */
	MemoryContext row_context;	/* values of one row */
	int			current;		/* remote column at work, for the context */
	uint64		count;
};

/* ----------------------------------------------------------------
 * formats
 * ----------------------------------------------------------------
 */

/*
 * By position: one code a column, which also makes the remote refuse a
 * statement with another number of columns before it runs.  By name the
 * remote's order is not known, so there is one code for all, and binary only
 * if all wish it: text columns match remote types of any kind by their text.
 */
static void
choose_formats(PcfgRows *rows)
{
	bool		all_binary = true;
	int			i;

	rows->nformats = 0;
	if (rows->as_json)
		return;
	for (i = 0; i < rows->desc->natts; i++)
	{
		if (rows->locals[i].dropped)
			continue;
		if (rows->locals[i].wish == PCFG_FORMAT_TEXT)
			all_binary = false;
		rows->formats[rows->nformats++] = rows->locals[i].wish;
	}
	if (rows->by_name)
	{
		rows->nformats = all_binary ? 1 : 0;
		rows->formats[0] = PCFG_FORMAT_BINARY;
	}
}

/* What depends on the row type; in the context of *rows. */
static void
set_row_type(PcfgRows *rows, TupleDesc desc)
{
	int			natts = desc->natts;
	int			i;

	rows->desc = desc;
	rows->nlive = 0;
	rows->locals = palloc0(sizeof(LocalColumn) * Max(natts, 1));
	rows->formats = palloc0(sizeof(int16) * Max(natts, 1));
	rows->values = palloc0(sizeof(Datum) * Max(natts, 1));
	rows->nulls = palloc(sizeof(bool) * Max(natts, 1));
	memset(rows->nulls, true, sizeof(bool) * Max(natts, 1));
	for (i = 0; i < natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		LocalColumn *local = &rows->locals[i];

		local->dropped = attribute->attisdropped;
		if (local->dropped)
			continue;
		local->wish = pcfg_value_format(attribute->atttypid, attribute->atttypmod, false);
		rows->nlive++;
	}
	choose_formats(rows);
}

static PcfgRows *
create(TupleDesc desc, TupleDesc store_desc, Tuplestorestate *store)
{
	PcfgRows   *rows = palloc0(sizeof(PcfgRows));

	rows->store = store;
	rows->store_desc = store_desc;
	rows->as_json = desc == NULL;
	rows->current = -1;
	rows->unfit = -1;
	rows->context = CurrentMemoryContext;
	initStringInfo(&rows->scratch);
	rows->row_context = AllocSetContextCreate(CurrentMemoryContext, "pool_config row",
											  ALLOCSET_DEFAULT_SIZES);
	if (desc != NULL)
		set_row_type(rows, desc);
	return rows;
}

PcfgRows *
pcfg_rows_create(TupleDesc desc, Tuplestorestate *store, bool by_name)
{
	PcfgRows   *rows = create(desc, desc, store);

	rows->by_name = by_name;
	choose_formats(rows);
	return rows;
}

PcfgRows *
pcfg_rows_create_json(TupleDesc store_desc, Tuplestorestate *store)
{
	return create(NULL, store_desc, store);
}

const int16 *
pcfg_rows_formats(PcfgRows *rows, int *n)
{
	*n = rows->nformats;
	return rows->formats;
}

uint64
pcfg_rows_count(const PcfgRows *rows)
{
	return rows->count;
}

/* ----------------------------------------------------------------
 * the remote's description
 * ----------------------------------------------------------------
 */

/* A remote column as errors name it: its words may be of any encoding. */
static const char *
printable_name(const char *name, int position)
{
	if (strlen(name) < NAMEDATALEN && pg_verify_mbstr(GetDatabaseEncoding(), name,
													  (int) strlen(name), true))
		return psprintf("\"%s\"", name);
	return psprintf("number %d", position);
}

static void
raise_count(int remote, int declared, const char *tag)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg_plural("remote query returned %d column, %d are declared",
						   "remote query returned %d columns, %d are declared",
						   remote, remote, declared),
			 tag == NULL ?
			 errdetail("Whether it took effect is not known; the connection was closed.") :
			 tag[0] != '\0' && strncmp(tag, "SELECT", 6) != 0 ?
			 errdetail("It was run, and the remote server answered: %s.", tag) : 0,
			 errhint("Declare as many columns as the remote query returns: ... AS t(a int, b text).")));
}

/* The local column of that name, or -1. */
static int
find_name(const PcfgRows *rows, const char *name)
{
	int			i;

	for (i = 0; i < rows->desc->natts; i++)
	{
		if (!rows->locals[i].dropped &&
			strcmp(NameStr(TupleDescAttr(rows->desc, i)->attname), name) == 0)
			return i;
	}
	return -1;
}

/* The local column of that name; each serves once. */
static int
match_name(PcfgRows *rows, const char *name, int position)
{
	int			i = find_name(rows, name);

	if (i >= 0)
	{
		if (rows->locals[i].found)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("remote query returned column %s twice",
							printable_name(name, position)),
					 errhint("Give the columns of the remote query different names.")));
		rows->locals[i].found = true;
		return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("remote query returned column %s, which the row type does not have",
					printable_name(name, position)),
			 errhint("Name the wanted columns in the remote query.")));
}

static int
next_live(const PcfgRows *rows, int i)
{
	while (rows->locals[i].dropped)
		i++;
	return i;
}

static void
require_all_found(const PcfgRows *rows)
{
	int			i;

	for (i = 0; i < rows->desc->natts; i++)
	{
		if (!rows->locals[i].dropped && !rows->locals[i].found)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("remote query did not return column \"%s\" of the row type",
							NameStr(TupleDescAttr(rows->desc, i)->attname)),
					 errhint("Return it, if need be as NULL AS %s.",
							 quote_identifier(NameStr(TupleDescAttr(rows->desc, i)->attname)))));
	}
}

/* Decides how the column's values will be read. */
static void
plan_column(PcfgRows *rows, RemoteColumn *remote, Oid type, int16 format,
			const char *name, int position)
{
	Form_pg_attribute attribute = TupleDescAttr(rows->desc, remote->local);
	PcfgValueReader *reader = &remote->reader;
	char	   *wanted;

	reader->type = attribute->atttypid;
	reader->typmod = attribute->atttypmod;
	reader->context = rows->context;
	reader->scratch = &rows->scratch;
	if (getBaseType(reader->type) == MONEYOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("remote column %s cannot be read as money", printable_name(name, position)),
				 errdetail("What a value of type money means depends on lc_monetary of each server."),
				 errhint("Cast it in the remote query to numeric; or declare it as text.")));
	if (pcfg_value_plan(reader, type, format))
		return;
	wanted = format_type_with_typemod(reader->type, reader->typmod);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("remote column %s cannot be read as %s",
					printable_name(name, position), wanted),
			 errdetail("Its type (OID %u on the remote server) may be another one here.", type),
			 errhint("Cast it in the remote query: CAST(... AS %s); or declare it as text.", wanted)));
}

static int16
asked_format(const PcfgRows *rows, int position)
{
	if (rows->nformats == 0)
		return PCFG_FORMAT_TEXT;
	return rows->formats[rows->nformats == 1 ? 0 : position];
}

static void
raise_malformed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("the remote server sent a malformed result")));
}

static PcfgColumn
read_column(PcfgReader *reader)
{
	PcfgColumn	column;

	if (!pcfg_read_column(reader, &column))
		raise_malformed();
	return column;
}

static void
require_key(const char *name, int position, TupleDesc desc)
{
	int			i;

	if (strlen(name) >= NAMEDATALEN ||
		!pg_verify_mbstr(GetDatabaseEncoding(), name, (int) strlen(name), true))
		raise_malformed();
	for (i = 0; i < position; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("remote query returned column %s twice",
							printable_name(name, position + 1)),
					 errhint("Give the columns of the remote query different names.")));
	}
}

/* The row type is what the remote returns. */
static void
adopt_row_type(PcfgRows *rows, const PcfgFrame *columns)
{
	PcfgReader	reader;
	TupleDesc	desc;
	int			n;
	int			i;

	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	if (n > MaxTupleAttributeNumber)
		raise_malformed();
	desc = CreateTemplateTupleDesc(n);
	for (i = 0; i < n; i++)
	{
		PcfgColumn	column = read_column(&reader);

		require_key(column.name, i, desc);
		TupleDescInitEntry(desc, (AttrNumber) (i + 1), column.name,
						   pcfg_json_column_type(column.type), -1, 0);
	}
	set_row_type(rows, desc);
	rows->shape = pcfg_json_shape_create(desc);
}

static void
read_description(PcfgRows *rows, const PcfgFrame *columns)
{
	PcfgReader	reader;
	int			n;
	int			local = -1;
	int			i;

	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	if (rows->as_json)
		adopt_row_type(rows, columns);
	else if (!rows->by_name && n != rows->nlive)
	{
		rows->unfit = n;
		return;
	}
	rows->remotes = palloc0(sizeof(RemoteColumn) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		PcfgColumn	column = read_column(&reader);

		local = rows->by_name ? match_name(rows, column.name, i + 1) :
			next_live(rows, local + 1);
		rows->remotes[i].local = local;
		plan_column(rows, &rows->remotes[i], column.type, asked_format(rows, i),
					column.name, i + 1);
	}
	if (!pcfg_reader_done(&reader))
		raise_malformed();
	rows->nremotes = n;
	if (rows->by_name)
		require_all_found(rows);
}

void
pcfg_rows_require_fit(const PcfgRows *rows, const char *tag)
{
	if (rows->unfit >= 0)
		raise_count(rows->unfit, rows->nlive, tag);
}

bool
pcfg_rows_are_unfit(const PcfgRows *rows)
{
	return rows->unfit >= 0;
}

void
pcfg_rows_describe(PcfgRows *rows, const PcfgFrame *columns)
{
	MemoryContext old;

	if (columns == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the remote statement returns no columns"),
				 errhint("Use pool_config.exec() for statements without a result.")));
	old = MemoryContextSwitchTo(rows->context);
	read_description(rows, columns);
	MemoryContextSwitchTo(old);
	rows->described = true;
}

static void
forget_found(PcfgRows *rows)
{
	int			i;

	for (i = 0; rows->desc != NULL && i < rows->desc->natts; i++)
		rows->locals[i].found = false;
}

/*
 * By name, too, the order is known here.  Binary is asked for only where it
 * is read as the type that it is; false when the columns do not fit.
 */
static bool
choose_expected_formats(PcfgRows *rows, const PcfgFrame *columns)
{
	PcfgReader	reader;
	int			n;
	int			local = -1;
	int			i;

	if (rows->as_json)
		return true;
	pcfg_reader_init(&reader, columns->body, columns->len);
	n = (uint16) pcfg_read_int16(&reader);
	if (n != rows->nlive)
		return false;
	for (i = 0; i < n; i++)
	{
		PcfgColumn	column = read_column(&reader);
		Form_pg_attribute attribute;

		local = rows->by_name ? find_name(rows, column.name) : next_live(rows, local + 1);
		if (local < 0 || rows->locals[local].found)
			return false;
		rows->locals[local].found = rows->by_name;
		attribute = TupleDescAttr(rows->desc, local);
		rows->formats[i] = column.type == attribute->atttypid ?
			pcfg_value_format(column.type, attribute->atttypmod, true) : PCFG_FORMAT_TEXT;
	}
	rows->nformats = n;
	return true;
}

bool
pcfg_rows_expect(PcfgRows *rows, const PcfgFrame *columns)
{
	bool		fit;

	if (columns->body == NULL)
		return false;
	fit = choose_expected_formats(rows, columns);
	forget_found(rows);
	if (fit)
		pcfg_rows_describe(rows, columns);
	else
		choose_formats(rows);
	return fit;
}

void
pcfg_rows_restart(PcfgRows *rows)
{
	forget_found(rows);
	rows->described = false;
	rows->nremotes = 0;
	rows->current = -1;
	rows->unfit = -1;
	choose_formats(rows);
}

/* ----------------------------------------------------------------
 * rows
 * ----------------------------------------------------------------
 */

static void
name_column(void *arg)
{
	PcfgRows   *rows = arg;

	if (rows->current >= 0)
		errcontext("column \"%s\" of row " UINT64_FORMAT,
				   NameStr(TupleDescAttr(rows->desc,
										 rows->remotes[rows->current].local)->attname),
				   rows->count + 1);
}

/* Bounds are the caller's affair. */
static inline uint32
get_uint32(const char *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh32(v);
}

static inline uint16
get_uint16(const char *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh16(v);
}

/*
 * The reply machine has checked that the message is a count and that many
 * lengths which fit in it exactly; the bounds are tested here all the same.
 */
static void
decode_row(PcfgRows *rows, const PcfgFrame *row)
{
	const char *p = row->body;
	const char *end = row->body + row->len;
	int			i;

	if (row->len < 2 || get_uint16(p) != rows->nremotes)
		raise_malformed();
	p += 2;
	for (i = 0; i < rows->nremotes; i++)
	{
		RemoteColumn *remote = &rows->remotes[i];
		int			len;

		rows->current = i;
		if (end - p < 4)
			raise_malformed();
		len = (int) get_uint32(p);
		p += 4;
		if (len < 0)
		{
			if (len != -1)
				raise_malformed();
			pcfg_value_check_null(&remote->reader);
			rows->nulls[remote->local] = true;
			continue;
		}
		if (end - p < len)
			raise_malformed();
		rows->values[remote->local] = pcfg_value_read(&remote->reader, p, len);
		rows->nulls[remote->local] = false;
		p += len;
	}
	if (p != end)
		raise_malformed();
}

/* Puts the decoded row where it belongs; the scratch context is current. */
static void
store_row(PcfgRows *rows)
{
	if (rows->as_json)
	{
		Datum		object = pcfg_json_row(rows->shape, rows->values, rows->nulls);
		bool		null = false;

		tuplestore_putvalues(rows->store, rows->store_desc, &object, &null);
	}
	else if (rows->store != NULL)
		tuplestore_putvalues(rows->store, rows->store_desc, rows->values, rows->nulls);
}

void
pcfg_rows_add(PcfgRows *rows, const PcfgFrame *row)
{
	ErrorContextCallback callback;
	MemoryContext old;

	if (!rows->described)
		raise_malformed();
	if (rows->unfit >= 0)
		return;
	callback.callback = name_column;
	callback.arg = rows;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	old = MemoryContextSwitchTo(rows->row_context);

	decode_row(rows, row);
	rows->current = -1;
	error_context_stack = callback.previous;
	store_row(rows);

	MemoryContextSwitchTo(old);
	MemoryContextReset(rows->row_context);
	rows->count++;
}
