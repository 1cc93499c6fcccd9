/*-------------------------------------------------------------------------
 *
 * backend/values.c
 *	  One value as it came over the wire into a Datum.
 *
 * Floor 3; backends; no network.
 *
 * The types that millions of rows are made of are read right here; the
 * others by their own input or receive functions.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "backend/values.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

/* Scratch memory beyond this is given back after the value. */
#define SCRATCH_KEPT	65536

/*
 * What a built-in type is read with when it travels binary.  "blind": also
 * when the remote's type is not known beforehand.  Not so for what a time
 * with its zone can become: that depends on whose zone is used, and it is the
 * remote's, which shows in the text only.
 */
static const struct
{
	Oid			type;
	PcfgDecoder decoder;
	bool		blind;
}			binary_types[] =
{
	{BOOLOID, PCFG_DECODE_BOOL, true},
	{INT2OID, PCFG_DECODE_INT2, true},
	{INT4OID, PCFG_DECODE_INT4, true},
	{INT8OID, PCFG_DECODE_INT8, true},
	{OIDOID, PCFG_DECODE_OID, true},
	{FLOAT4OID, PCFG_DECODE_FLOAT4, true},
	{FLOAT8OID, PCFG_DECODE_FLOAT8, true},
	{DATEOID, PCFG_DECODE_DATE, false},
	{TIMESTAMPOID, PCFG_DECODE_TIMESTAMP, false},
	{TIMESTAMPTZOID, PCFG_DECODE_TIMESTAMP, true},
	{UUIDOID, PCFG_DECODE_UUID, true},
	{BYTEAOID, PCFG_DECODE_BYTEA, true},
	{NUMERICOID, PCFG_DECODE_RECEIVE, true},
	{INTERVALOID, PCFG_DECODE_RECEIVE, true},
	{TIMEOID, PCFG_DECODE_RECEIVE, false},
	{TIMETZOID, PCFG_DECODE_RECEIVE, false},
	{INETOID, PCFG_DECODE_RECEIVE, true},
	{CIDROID, PCFG_DECODE_RECEIVE, true},
	{MACADDROID, PCFG_DECODE_RECEIVE, true}
};

/*
 * How values of a local column would best travel.  A type modifier is the
 * input function's affair, and so is a domain, whose constraints it checks.
 */
static PcfgDecoder
choose_wish(Oid type, int32 typmod)
{
	int			i;

	if (typmod >= 0)
		return PCFG_DECODE_INPUT;
	if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID)
		return PCFG_DECODE_CHARACTERS;
	for (i = 0; i < lengthof(binary_types); i++)
	{
		if (binary_types[i].type == type)
			return binary_types[i].decoder;
	}
	return PCFG_DECODE_INPUT;
}

int16
pcfg_value_format(Oid type, int32 typmod, bool known)
{
	int			i;

	for (i = 0; typmod < 0 && i < lengthof(binary_types); i++)
	{
		if (binary_types[i].type == type)
			return known || binary_types[i].blind ? PCFG_FORMAT_BINARY : PCFG_FORMAT_TEXT;
	}
	return PCFG_FORMAT_TEXT;
}

bool
pcfg_value_is_name_of_object(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGNAMESPACEOID:
		case REGROLEOID:
		case REGCOLLATIONOID:
			return true;
		default:
			return false;
	}
}

/*
 * A type whose values are the same on every server: built-in, no container of
 * types that may differ, no number of an object, nothing that depends on a
 * locale.
 */
static bool
is_common_type(Oid type)
{
	HeapTuple	tuple;
	Form_pg_type form;
	bool		common;

	if (type >= FirstGenbkiObjectId || type == MONEYOID || pcfg_value_is_name_of_object(type))
		return false;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	common = form->typtype == TYPTYPE_BASE && form->typisdefined &&
		OidIsValid(form->typreceive) && OidIsValid(form->typoutput);
	ReleaseSysCache(tuple);
	return common;
}

static void
look_up_input(PcfgValueReader *reader)
{
	Oid			function;

	getTypeInputInfo(reader->type, &function, &reader->input_param);
	fmgr_info_cxt(function, &reader->input, reader->context);
}

static void
look_up_receive(PcfgValueReader *reader, Oid type)
{
	Oid			function;

	getTypeBinaryInputInfo(type, &function, &reader->receive_param);
	fmgr_info_cxt(function, &reader->receive, reader->context);
}

static PcfgDecoder
choose_text_decoder(const PcfgValueReader *reader)
{
	if (choose_wish(reader->type, reader->typmod) == PCFG_DECODE_CHARACTERS)
		return PCFG_DECODE_CHARACTERS;
	if (reader->type == INT4OID)
		return PCFG_DECODE_TEXT_INT4;
	if (reader->type == INT8OID)
		return PCFG_DECODE_TEXT_INT8;
	return PCFG_DECODE_INPUT;
}

bool
pcfg_value_plan(PcfgValueReader *reader, Oid remote_type, int16 format)
{
	Oid			function;
	bool		varlena;

	if (format == PCFG_FORMAT_TEXT)
	{
		reader->decoder = choose_text_decoder(reader);
		look_up_input(reader);
		return true;
	}
	if (remote_type == reader->type)
	{
		reader->decoder = choose_wish(reader->type, reader->typmod);
		if (reader->decoder == PCFG_DECODE_RECEIVE)
			look_up_receive(reader, remote_type);
		return reader->decoder != PCFG_DECODE_INPUT;
	}
	if (!is_common_type(remote_type))
		return false;
	reader->decoder = remote_type == FLOAT8OID ? PCFG_DECODE_CONVERT_FLOAT8 :
		remote_type == FLOAT4OID ? PCFG_DECODE_CONVERT_FLOAT4 : PCFG_DECODE_CONVERT;
	look_up_receive(reader, remote_type);
	getTypeOutputInfo(remote_type, &function, &varlena);
	fmgr_info_cxt(function, &reader->output, reader->context);
	look_up_input(reader);
	return true;
}

static inline uint16
get_uint16(const char *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh16(v);
}

static inline uint32
get_uint32(const char *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh32(v);
}

static inline uint64
get_uint64(const char *p)
{
	uint64		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh64(v);
}

static void
raise_length(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("incorrect length of a binary value")));
}

static inline void
require_length(int len, int expected)
{
	if (unlikely(len != expected))
		raise_length();
}

static Datum
decode_date(const char *value)
{
	DateADT		date = (DateADT) get_uint32(value);

	if (!DATE_NOT_FINITE(date) && !IS_VALID_DATE(date))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range")));
	return DateADTGetDatum(date);
}

static Datum
decode_timestamp(const char *value)
{
	Timestamp	ts = (Timestamp) get_uint64(value);

	if (!TIMESTAMP_NOT_FINITE(ts) && !IS_VALID_TIMESTAMP(ts))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return TimestampGetDatum(ts);
}

static Datum
copy_varlena(const char *value, int len)
{
	struct varlena *result = palloc(VARHDRSZ + (Size) len);

	SET_VARSIZE(result, VARHDRSZ + (Size) len);
	memcpy(VARDATA(result), value, len);
	return PointerGetDatum(result);
}

static inline void
verify_text(const char *value, int len)
{
	(void) pg_verify_mbstr(GetDatabaseEncoding(), value, len, false);
}

/* A value as receive and input functions want it, with a NUL behind it. */
static StringInfo
fill_scratch(PcfgValueReader *reader, const char *value, int len)
{
	if (reader->scratch->maxlen > SCRATCH_KEPT && len < SCRATCH_KEPT / 2)
	{
		MemoryContext old = MemoryContextSwitchTo(reader->context);

		pfree(reader->scratch->data);
		initStringInfo(reader->scratch);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(reader->scratch);
	appendBinaryStringInfo(reader->scratch, value, len);
	return reader->scratch;
}

static Datum
call_receive(PcfgValueReader *reader, int32 typmod, const char *value, int len)
{
	StringInfo	buf = fill_scratch(reader, value, len);
	Datum		result = ReceiveFunctionCall(&reader->receive, buf,
											 reader->receive_param, typmod);

	if (buf->cursor != buf->len)
		raise_length();
	return result;
}

static Datum
call_input(PcfgValueReader *reader, const char *value, int len)
{
	verify_text(value, len);
	return InputFunctionCall(&reader->input, fill_scratch(reader, value, len)->data,
							 reader->input_param, reader->typmod);
}

/*
 * A decimal number of the most common form; false leaves everything else,
 * overflow included, to the input function.
 */
static bool
parse_digits(const char *value, int len, int64 limit, int64 *result)
{
	bool		negative = len > 0 && value[0] == '-';
	int			i = negative ? 1 : 0;
	int64		n = 0;

	if (i == len || len > 19)
		return false;
	for (; i < len; i++)
	{
		if (value[i] < '0' || value[i] > '9')
			return false;
		n = n * 10 + (value[i] - '0');
		if (n < 0 || n > limit)
			return false;
	}
	*result = negative ? -n : n;
	return true;
}

static float4
decode_float4(const char *value, int len)
{
	uint32		bits;
	float4		f;

	require_length(len, 4);
	bits = get_uint32(value);
	memcpy(&f, &bits, sizeof(f));
	return f;
}

static float8
decode_float8(const char *value, int len)
{
	uint64		bits;
	float8		f;

	require_length(len, 8);
	bits = get_uint64(value);
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Digits enough for the exact value, whatever extra_float_digits is here. */
static char *
print_float(PcfgValueReader *reader, const char *value, int len)
{
	char	   *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	if (reader->decoder == PCFG_DECODE_CONVERT_FLOAT8)
		double_to_shortest_decimal_buf(decode_float8(value, len), text);
	else
		float_to_shortest_decimal_buf(decode_float4(value, len), text);
	return text;
}

static Datum
convert(PcfgValueReader *reader, const char *value, int len)
{
	char	   *text = reader->decoder == PCFG_DECODE_CONVERT ?
		OutputFunctionCall(&reader->output, call_receive(reader, -1, value, len)) :
		print_float(reader, value, len);

	return InputFunctionCall(&reader->input, text, reader->input_param, reader->typmod);
}

Datum
pcfg_value_read(PcfgValueReader *reader, const char *value, int len)
{
	int64		number;

	switch (reader->decoder)
	{
		case PCFG_DECODE_BOOL:
			require_length(len, 1);
			return BoolGetDatum(*value != 0);
		case PCFG_DECODE_INT2:
			require_length(len, 2);
			return Int16GetDatum((int16) get_uint16(value));
		case PCFG_DECODE_INT4:
			require_length(len, 4);
			return Int32GetDatum((int32) get_uint32(value));
		case PCFG_DECODE_OID:
			require_length(len, 4);
			return ObjectIdGetDatum((Oid) get_uint32(value));
		case PCFG_DECODE_INT8:
			require_length(len, 8);
			return Int64GetDatum((int64) get_uint64(value));
		case PCFG_DECODE_FLOAT4:
			return Float4GetDatum(decode_float4(value, len));
		case PCFG_DECODE_FLOAT8:
			return Float8GetDatum(decode_float8(value, len));
		case PCFG_DECODE_DATE:
			require_length(len, 4);
			return decode_date(value);
		case PCFG_DECODE_TIMESTAMP:
			require_length(len, 8);
			return decode_timestamp(value);
		case PCFG_DECODE_UUID:
			{
				pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

				require_length(len, UUID_LEN);
				memcpy(uuid->data, value, UUID_LEN);
				return UUIDPGetDatum(uuid);
			}
		case PCFG_DECODE_BYTEA:
			return copy_varlena(value, len);
		case PCFG_DECODE_CHARACTERS:
			verify_text(value, len);
			return copy_varlena(value, len);
		case PCFG_DECODE_RECEIVE:
			return call_receive(reader, reader->typmod, value, len);
		case PCFG_DECODE_TEXT_INT4:
			if (parse_digits(value, len, PG_INT32_MAX, &number))
				return Int32GetDatum((int32) number);
			return call_input(reader, value, len);
		case PCFG_DECODE_TEXT_INT8:
			if (parse_digits(value, len, PG_INT64_MAX / 10, &number))
				return Int64GetDatum(number);
			return call_input(reader, value, len);
		case PCFG_DECODE_INPUT:
			return call_input(reader, value, len);
		case PCFG_DECODE_CONVERT:
		case PCFG_DECODE_CONVERT_FLOAT4:
		case PCFG_DECODE_CONVERT_FLOAT8:
			return convert(reader, value, len);
	}
	pg_unreachable();
}

void
pcfg_value_check_null(PcfgValueReader *reader)
{
	if (reader->decoder == PCFG_DECODE_INPUT && !reader->input.fn_strict)
		(void) InputFunctionCall(&reader->input, NULL, reader->input_param, reader->typmod);
}
