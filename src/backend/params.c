/*-------------------------------------------------------------------------
 *
 * backend/params.c
 *	  Arguments of an SQL call as the parameters of a remote statement.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/transam.h"
#include "backend/params.h"
#include "backend/values.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/* As many as the protocol can count. */
#define PARAMS_MAX	65535

/* How values of a type travel. */
typedef enum Way
{
	WAY_CHARACTERS,				/* a string: its own bytes, untyped */
	WAY_TEXT,					/* text form, untyped */
	WAY_TYPED_TEXT,				/* text form, typed */
	WAY_BINARY					/* binary form, typed */
} Way;

/* Types that are strings; all have text's representation. */
static bool
is_string(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/*
 * A type that is the same on every server, and so are its values' text forms.
 * OIDs below that limit are given by hand, for good.
 */
static bool
is_common(Oid type)
{
	char		typtype = type < FirstGenbkiObjectId ? get_typtype(type) : '\0';

	return typtype == TYPTYPE_BASE || typtype == TYPTYPE_RANGE ||
		typtype == TYPTYPE_MULTIRANGE;
}

static bool
is_string_category(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

/* "type" is no domain. */
static Way
choose_way(Oid type)
{
	Oid			element;

	if (is_string(type))
		return WAY_CHARACTERS;
	if (!is_common(type) || is_string_category(type))
		return WAY_TEXT;
	element = get_element_type(type);
	if (OidIsValid(element) && (!is_common(element) || is_string_category(element)))
		return WAY_TEXT;
	return pcfg_value_format(type, -1, true) == PCFG_FORMAT_BINARY ? WAY_BINARY : WAY_TYPED_TEXT;
}

/*
 * Text forms must not depend on what this session has set: *level is that of
 * the settings, 0 = not made yet.
 */
static void
set_forms(int *level)
{
	static const char *const forms[][2] = {
		{"datestyle", "ISO, YMD"},
		{"intervalstyle", "postgres"},
		{"extra_float_digits", "3"},
		{"search_path", "pg_catalog"}	/* so that names are told in full */
	};
	int			i;

	if (*level != 0)
		return;
	*level = NewGUCNestLevel();
	for (i = 0; i < lengthof(forms); i++)
		(void) set_config_option(forms[i][0], forms[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static void
set_value(PcfgWireParam *param, const char *value, size_t len)
{
	param->value = value;
	param->len = (int32_t) len;
}

static void
take_value(PcfgWireParam *param, Oid type, Datum value, int *level)
{
	Way			way = choose_way(type);
	struct varlena *packed;
	bytea	   *sent;
	char	   *text;
	Oid			function;
	bool		varlena;

	param->type = pcfg_wire_param_type(type);
	param->format = way == WAY_BINARY ? PCFG_FORMAT_BINARY : PCFG_FORMAT_TEXT;
	if (way == WAY_CHARACTERS || type == BYTEAOID)
	{
		packed = PG_DETOAST_DATUM_PACKED(value);
		set_value(param, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	}
	else if (way == WAY_BINARY)
	{
		getTypeBinaryOutputInfo(type, &function, &varlena);
		sent = OidSendFunctionCall(function, value);
		set_value(param, VARDATA(sent), VARSIZE(sent) - VARHDRSZ);
	}
	else
	{
		set_forms(level);
		getTypeOutputInfo(type, &function, &varlena);
		text = OidOutputFunctionCall(function, value);
		set_value(param, text, strlen(text));
	}
}

Oid
pcfg_wire_param_type(Oid type)
{
	Way			way = choose_way(getBaseType(type));

	return way == WAY_TYPED_TEXT || way == WAY_BINARY ? getBaseType(type) : InvalidOid;
}

/* A NULL tells its type as a value would. */
static void
take_null(PcfgWireParam *param, Oid type)
{
	param->type = pcfg_wire_param_type(type);
	param->len = -1;
}

PcfgWireParam *
pcfg_wire_params_make(FunctionCallInfo fcinfo, int first, int *n)
{
	PcfgWireParam *params;
	Datum	   *values;
	Oid		   *types;
	bool	   *nulls;
	int			level = 0;
	int			i;

	*n = extract_variadic_args(fcinfo, first, true, &values, &types, &nulls);
	if (*n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the array of parameters must not be NULL"),
				 errhint("For a statement without parameters leave it out.")));
	if (*n > PARAMS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_ARGUMENTS),
				 errmsg("%d parameters are too many for a remote statement", *n),
				 errdetail("At most %d are possible.", PARAMS_MAX),
				 errhint("Pass an array as one parameter: ... = ANY($1).")));
	params = palloc0(sizeof(PcfgWireParam) * Max(*n, 1));
	for (i = 0; i < *n; i++)
	{
		Oid			type = getBaseType(types[i]);

		if (type == MONEYOID)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("parameter $%d cannot be of type money", i + 1),
					 errdetail("What a value of type money means depends on lc_monetary of each server."),
					 errhint("Cast it to numeric.")));
		if (nulls[i])
			take_null(&params[i], type);
		else
			take_value(&params[i], type, values[i], &level);
	}
	if (level != 0)
		AtEOXact_GUC(true, level);
	return params;
}
