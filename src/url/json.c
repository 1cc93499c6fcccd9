/*-------------------------------------------------------------------------
 *
 * url/json.c
 *	  JSON objects as users give them for connect_args, types kept.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/json.h"

#include <stdint.h>
#include <string.h>

#define DEPTH_MAX	8

typedef struct Reader
{
	PcfgArena  *arena;
	const char *p;
} Reader;

static PcfgJson *read_value(Reader *r, int depth);

static void
skip_blanks(Reader *r)
{
	r->p += strspn(r->p, " \t\r\n");
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u; -1 when they are none. */
static int
read_hex4(Reader *r)
{
	int			value = 0;
	int			i;

	for (i = 0; i < 4; i++, r->p++)
	{
		int			digit = hex_digit(*r->p);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char *
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80)
		*out++ = (char) c;
	else if (c < 0x800)
	{
		*out++ = (char) (0xc0 | c >> 6);
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else if (c < 0x10000)
	{
		*out++ = (char) (0xe0 | c >> 12);
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else
	{
		*out++ = (char) (0xf0 | c >> 18);
		*out++ = (char) (0x80 | (c >> 12 & 0x3f));
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	return out;
}

/* What stands behind a backslash; false when it means nothing. */
static bool
read_escape(Reader *r, char **out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *known;
	int			c;

	if (*r->p == '\0')
		return false;
	if (*r->p != 'u')
	{
		known = strchr(from, *r->p++);
		if (known == NULL)
			return false;
		*(*out)++ = to[known - from];
		return true;
	}
	r->p++;
	c = read_hex4(r);
	if (c >= 0xd800 && c < 0xdc00 && r->p[0] == '\\' && r->p[1] == 'u')
	{
		int			low;

		r->p += 2;
		low = read_hex4(r);
		c = low >= 0xdc00 && low < 0xe000 ?
			0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : -1;
	}
	if (c <= 0 || (c >= 0xd800 && c < 0xe000))
		return false;
	*out = put_utf8(*out, (uint32_t) c);
	return true;
}

/* A string, from its opening quote; NULL when it is none. */
static const char *
read_string(Reader *r)
{
	const char *end;
	char	   *text;
	char	   *out;

	if (*r->p != '"')
		return NULL;
	end = r->p + 1;
	while (*end != '\0' && *end != '"')
		end += *end == '\\' && end[1] != '\0' ? 2 : 1;
	if (*end != '"')
		return NULL;
	/* an escape is never shorter than what it stands for */
	out = text = pcfg_arena_take(r->arena, (size_t) (end - r->p));
	if (text == NULL)
		return NULL;
	r->p++;
	while (r->p < end)
	{
		if ((unsigned char) *r->p < ' ')
			return NULL;
		if (*r->p != '\\')
			*out++ = *r->p++;
		else
		{
			r->p++;
			if (!read_escape(r, &out))
				return NULL;
		}
	}
	r->p++;
	return text;
}

static PcfgJson *
new_node(Reader *r, PcfgJsonType type)
{
	PcfgJson   *node = pcfg_arena_take(r->arena, sizeof(PcfgJson));

	if (node != NULL)
	{
		node->type = type;
		node->text = node->name = "";
	}
	return node;
}

/* The items of an array or object, behind its bracket. */
static bool
read_items(Reader *r, PcfgJson *parent, char closing, int depth)
{
	PcfgJson  **last = &parent->first;

	skip_blanks(r);
	if (*r->p == closing)
	{
		r->p++;
		return true;
	}
	for (;;)
	{
		const char *name = "";

		skip_blanks(r);
		if (closing == '}')
		{
			name = read_string(r);
			skip_blanks(r);
			if (name == NULL || *r->p != ':')
				return false;
			r->p++;
		}
		*last = read_value(r, depth + 1);
		if (*last == NULL)
			return false;
		(*last)->name = name;
		last = &(*last)->next;
		skip_blanks(r);
		if (*r->p != closing && *r->p != ',')
			return false;
		if (*r->p++ == closing)
			return true;
	}
}

static size_t
number_length(const char *p)
{
	static const char digits[] = "0123456789";
	size_t		n = p[0] == '-';
	size_t		whole = strspn(p + n, digits);

	if (whole == 0 || (p[n] == '0' && whole > 1))
		return 0;
	n += whole;
	if (p[n] == '.')
	{
		size_t		part = strspn(p + n + 1, digits);

		if (part == 0)
			return 0;
		n += 1 + part;
	}
	if (p[n] == 'e' || p[n] == 'E')
	{
		size_t		sign = p[n + 1] == '-' || p[n + 1] == '+';
		size_t		power = strspn(p + n + 1 + sign, digits);

		if (power == 0)
			return 0;
		n += 1 + sign + power;
	}
	return n;
}

static PcfgJson *
read_word(Reader *r, const char *word, PcfgJsonType type)
{
	PcfgJson   *node;

	if (strncmp(r->p, word, strlen(word)) != 0)
		return NULL;
	node = new_node(r, type);
	if (node != NULL && type == PCFG_JSON_BOOL)
		node->text = word;
	r->p += strlen(word);
	return node;
}

static PcfgJson *
read_value(Reader *r, int depth)
{
	PcfgJson   *node;
	size_t		len;

	if (depth > DEPTH_MAX)
		return NULL;
	skip_blanks(r);
	switch (*r->p)
	{
		case '{':
		case '[':
			node = new_node(r, *r->p == '{' ? PCFG_JSON_OBJECT : PCFG_JSON_ARRAY);
			if (node == NULL)
				return NULL;
			return read_items(r, node, *r->p++ == '{' ? '}' : ']', depth) ? node : NULL;
		case '"':
			node = new_node(r, PCFG_JSON_STRING);
			if (node == NULL)
				return NULL;
			node->text = read_string(r);
			return node->text != NULL ? node : NULL;
		case 't':
			return read_word(r, "true", PCFG_JSON_BOOL);
		case 'f':
			return read_word(r, "false", PCFG_JSON_BOOL);
		case 'n':
			return read_word(r, "null", PCFG_JSON_NULL);
		default:
			len = number_length(r->p);
			node = len > 0 ? new_node(r, PCFG_JSON_NUMBER) : NULL;
			if (node == NULL)
				return NULL;
			node->text = pcfg_arena_text(r->arena, r->p, len);
			r->p += len;
			return node;
	}
}

PcfgJson *
pcfg_json_parse(PcfgArena *arena, const char *text)
{
	Reader		r = {arena, text};
	PcfgJson   *root;

	if (strnlen(text, PCFG_JSON_MAX + 1) > PCFG_JSON_MAX)
		return NULL;
	root = read_value(&r, 0);
	skip_blanks(&r);
	return *r.p == '\0' ? root : NULL;
}
