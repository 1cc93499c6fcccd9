/*-------------------------------------------------------------------------
 *
 * backend/json_rows.c
 *	  A row of values as one jsonb object.
 *
 * Floor 3; backends; no network.
 *
 * The server's jsonb_build_object() does the work.  It learns the types of
 * its arguments from the expression that calls it, so one is made up.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/htup_details.h"
#include "backend/json_rows.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

struct PcfgJsonShape
{
	int			ncolumns;
	FmgrInfo	build;
	FunctionCallInfo call;		/* name, value, name, value ... */
};

/* What is more than a string in JSON, or has a form of its own there. */
static bool
has_json_form(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case JSONOID:
		case JSONBOID:
			return true;
		default:
			return false;
	}
}

Oid
pcfg_json_column_type(Oid remote_type)
{
	switch (remote_type)
	{
		case BOOLARRAYOID:
		case INT2ARRAYOID:
		case INT4ARRAYOID:
		case INT8ARRAYOID:
		case FLOAT4ARRAYOID:
		case FLOAT8ARRAYOID:
		case NUMERICARRAYOID:
		case DATEARRAYOID:
		case TIMESTAMPARRAYOID:
		case TIMESTAMPTZARRAYOID:
		case JSONARRAYOID:
		case JSONBARRAYOID:
		case TEXTARRAYOID:
		case VARCHARARRAYOID:
		case BPCHARARRAYOID:
		case NAMEARRAYOID:
		case UUIDARRAYOID:
			return remote_type;
		default:
			return has_json_form(remote_type) ? remote_type : TEXTOID;
	}
}

/* A stand-in for an argument: only its type is looked at. */
static Expr *
make_argument(Oid type)
{
	int16		len;
	bool		by_value;

	get_typlenbyval(type, &len, &by_value);
	return (Expr *) makeConst(type, -1, InvalidOid, len, (Datum) 0, true, by_value);
}

PcfgJsonShape *
pcfg_json_shape_create(TupleDesc desc)
{
	PcfgJsonShape *shape = palloc0(sizeof(PcfgJsonShape));
	int			nargs = 2 * desc->natts;
	List	   *args = NIL;
	int			i;

	shape->ncolumns = desc->natts;
	shape->call = palloc0(SizeForFunctionCallInfo(nargs));
	fmgr_info(F_JSONB_BUILD_OBJECT_ANY, &shape->build);
	InitFunctionCallInfoData(*shape->call, &shape->build, nargs, InvalidOid, NULL, NULL);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		args = lappend(args, make_argument(TEXTOID));
		args = lappend(args, make_argument(attribute->atttypid));
		shape->call->args[2 * i].value = CStringGetTextDatum(NameStr(attribute->attname));
	}
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_BUILD_OBJECT_ANY, JSONBOID, args,
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &shape->build);
	return shape;
}

Datum
pcfg_json_row(PcfgJsonShape *shape, const Datum *values, const bool *nulls)
{
	FunctionCallInfo call = shape->call;
	int			i;

	for (i = 0; i < shape->ncolumns; i++)
	{
		call->args[2 * i + 1].value = values[i];
		call->args[2 * i + 1].isnull = nulls[i];
	}
	call->isnull = false;
	return FunctionCallInvoke(call);
}
