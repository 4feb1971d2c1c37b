/* One pass over JSON text before the library sees it: syntax, encoding and limits. */
#include "wire/json_priv.h"

#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
  HARD_DEPTH = 256, /* the check recurses once a level, whatever the limits say */
  MAX_NUMBER = 128, /* bytes; the longest exact double of common size has 57 */
  FEW_KEYS = 64,    /* keys that are remembered without an allocation */
};

const MnkJsonLimits mnk_json_limits_default = {
    .max_bytes = 1 << 20, .max_depth = 32, .max_values = 65536, .max_string = 1 << 20};

/* One member's key. Keys that are equal have equal object and hash, so that sorting by those two
 * brings duplicates together without looking at the text. */
typedef struct {
  guint32 object; /* number of its object, in order of appearance */
  guint32 hash;   /* of the unescaped text */
  guint32 at, length;
} Key;

typedef struct {
  const char *bytes;
  gsize length;
  gsize at;
  const MnkJsonLimits *limits;
  guint depth, values;
  guint32 objects;
  Key few_keys[FEW_KEYS];
  Key *keys; /* few_keys or allocated */
  gsize n_keys, keys_room;
  MnkJsonMemberFunc told; /* of each member of the outermost object; may be NULL */
  gpointer user;
  GError **error;
} Check;

static gboolean G_GNUC_PRINTF(4, 5)
    fail(Check *c, MnkErrorCode code, gsize at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(c->error, MNK_ERROR, (gint)code, "JSON: %s at byte %" G_GSIZE_FORMAT, what, at);
  return FALSE;
}

static gboolean bad(Check *c, const char *what) {
  if (c->at >= c->length)
    return fail(c, MNK_ERROR_BAD_INPUT, c->at, "the text ends where %s", what);
  return fail(c, MNK_ERROR_BAD_INPUT, c->at, "%s", what);
}

static int peek(const Check *c) {
  return c->at < c->length ? (guchar)c->bytes[c->at] : -1;
}

static void skip_space(Check *c) {
  for (int b = peek(c); b == ' ' || b == '\n' || b == '\t' || b == '\r'; b = peek(c))
    c->at++;
}

static gboolean count_value(Check *c) {
  if (++c->values > c->limits->max_values)
    return fail(c, MNK_ERROR_LIMIT, c->at, "more than %u values", c->limits->max_values);
  return TRUE;
}

/* ---- Strings ---- */

/* TRUE when none of the eight bytes is a quote, a backslash, a control character or above 0x7f. */
static gboolean eight_plain(const char *bytes) {
  const guint64 ones = G_GUINT64_CONSTANT(0x0101010101010101);
  const guint64 tops = ones << 7;
  guint64 w;
  memcpy(&w, bytes, sizeof w);
  guint64 quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
  guint64 found = w | (w - ones * 0x20) | (quote - ones) | (backslash - ones);
  return (found & tops) == 0;
}

static gboolean read_hex4(Check *c, gsize at, guint *unit) {
  *unit = 0;
  for (gsize i = at; i < at + 4; i++) {
    int digit = i < c->length ? g_ascii_xdigit_value(c->bytes[i]) : -1;
    if (digit < 0)
      return fail(c, MNK_ERROR_BAD_INPUT, at, "\\u without four hexadecimal digits");
    *unit = *unit << 4 | (guint)digit;
  }
  return TRUE;
}

/* At the backslash; moves behind the escape and gives its character. */
static gboolean check_escape(Check *c, gunichar *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  gsize start = c->at++;
  int b = peek(c);
  const char *simple = b > 0 ? strchr(from, b) : NULL;
  if (simple) {
    *out = (guchar)to[simple - from];
    c->at++;
    return TRUE;
  }
  if (b != 'u')
    return fail(c, MNK_ERROR_BAD_INPUT, start, "unknown escape");
  guint unit, low;
  if (!read_hex4(c, c->at + 1, &unit))
    return FALSE;
  c->at += 5;
  if (unit == 0)
    return fail(c, MNK_ERROR_BAD_INPUT, start, "NUL in a string");
  *out = unit;
  if (unit < 0xd800 || unit > 0xdfff)
    return TRUE;
  if (unit > 0xdbff || c->at + 6 > c->length || memcmp(c->bytes + c->at, "\\u", 2) != 0)
    return fail(c, MNK_ERROR_BAD_INPUT, start, "lone surrogate");
  if (!read_hex4(c, c->at + 2, &low))
    return FALSE;
  if (low < 0xdc00 || low > 0xdfff)
    return fail(c, MNK_ERROR_BAD_INPUT, start, "lone surrogate");
  c->at += 6;
  *out = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  return TRUE;
}

/* A byte above 0x7f: moves behind its character. */
static gboolean check_utf8(Check *c) {
  gsize left = MIN(c->length - c->at, 4);
  gunichar character = g_utf8_get_char_validated(c->bytes + c->at, (gssize)left);
  if (character >= (gunichar)-2)
    return fail(c, MNK_ERROR_BAD_INPUT, c->at, "invalid UTF-8");
  c->at += (gsize)g_unichar_to_utf8(character, NULL);
  return TRUE;
}

/* At the opening quote; moves behind the closing one. */
static gboolean check_string(Check *c) {
  gsize start = ++c->at;
  for (;;) {
    while (c->at + 8 <= c->length && eight_plain(c->bytes + c->at))
      c->at += 8;
    int b = peek(c);
    gunichar ignored;
    if (b == '"')
      break;
    if (b < 0)
      return fail(c, MNK_ERROR_BAD_INPUT, start - 1, "string without an end");
    if (b < 0x20)
      return fail(c, MNK_ERROR_BAD_INPUT, c->at, "control character in a string");
    if (b == '\\' ? !check_escape(c, &ignored) : b > 0x7f && !check_utf8(c))
      return FALSE;
    if (b != '\\' && b <= 0x7f)
      c->at++;
  }
  if (c->at - start > c->limits->max_string)
    return fail(c, MNK_ERROR_LIMIT, start - 1, "string of more than %" G_GSIZE_FORMAT " bytes",
                c->limits->max_string);
  c->at++;
  return TRUE;
}

/* ---- Keys ---- */

GString *mnk_json_unescape(const char *text, gsize length) {
  Check walk = {.bytes = text, .length = length};
  GString *out = g_string_sized_new(length);
  while (walk.at < length) {
    const char *from = text + walk.at;
    const char *backslash = memchr(from, '\\', length - walk.at);
    gsize plain = backslash ? (gsize)(backslash - from) : length - walk.at;
    gunichar character = 0;
    g_string_append_len(out, from, (gssize)plain);
    walk.at += plain;
    if (backslash && check_escape(&walk, &character))
      g_string_append_unichar(out, character);
  }
  return out;
}

gboolean mnk_json_text_is(const char *text, gsize length, const char *expected) {
  gsize wanted = strlen(expected);
  if (!memchr(text, '\\', length))
    return length == wanted && memcmp(text, expected, wanted) == 0;
  g_autoptr(GString) plain = mnk_json_unescape(text, length);
  return strcmp(plain->str, expected) == 0;
}

static GString *key_text(const Check *c, const Key *key) {
  return mnk_json_unescape(c->bytes + key->at, key->length);
}

/* FNV-1a. Colliding keys made on purpose cost comparisons in the sort, no more. */
static guint32 hash_bytes(const char *bytes, gsize length) {
  guint32 hash = 2166136261u;
  for (gsize i = 0; i < length; i++)
    hash = (hash ^ (guchar)bytes[i]) * 16777619u;
  return hash;
}

static gboolean remember_key(Check *c, guint32 object, gsize at, gsize length) {
  if (c->n_keys == c->keys_room) {
    gsize room = c->keys_room * 2;
    Key *keys = g_try_new(Key, room);
    if (!keys)
      return fail(c, MNK_ERROR_LIMIT, at, "no memory for %" G_GSIZE_FORMAT " keys", room);
    memcpy(keys, c->keys, c->n_keys * sizeof *keys);
    if (c->keys != c->few_keys)
      g_free(c->keys);
    c->keys = keys;
    c->keys_room = room;
  }
  Key *key = &c->keys[c->n_keys++];
  *key = (Key){.object = object, .at = (guint32)at, .length = (guint32)length};
  if (!memchr(c->bytes + at, '\\', length)) {
    key->hash = hash_bytes(c->bytes + at, length);
    return TRUE;
  }
  GString *text = key_text(c, key);
  key->hash = hash_bytes(text->str, text->len);
  g_string_free(text, TRUE);
  return TRUE;
}

static int compare_text(const Check *c, const Key *a, const Key *b) {
  g_autoptr(GString) x = key_text(c, a);
  g_autoptr(GString) y = key_text(c, b);
  return strcmp(x->str, y->str);
}

static int compare_keys(const void *first, const void *second, void *check) {
  const Key *a = first, *b = second;
  if (a->object != b->object)
    return a->object < b->object ? -1 : 1;
  if (a->hash != b->hash)
    return a->hash < b->hash ? -1 : 1;
  int order = compare_text(check, a, b);
  return order ? order : (a->at > b->at) - (a->at < b->at);
}

static gboolean check_duplicates(Check *c) {
  if (c->n_keys < 2)
    return TRUE;
  qsort_r(c->keys, c->n_keys, sizeof *c->keys, compare_keys, c);
  for (gsize i = 1; i < c->n_keys; i++) {
    const Key *a = &c->keys[i - 1], *b = &c->keys[i];
    if (a->object == b->object && a->hash == b->hash && compare_text(c, a, b) == 0)
      return fail(c, MNK_ERROR_BAD_INPUT, b->at, "duplicate key");
  }
  return TRUE;
}

/* ---- Numbers ---- */

static gboolean skip_digits(Check *c) {
  gsize start = c->at;
  while (c->at < c->length && g_ascii_isdigit(c->bytes[c->at]))
    c->at++;
  return c->at > start || bad(c, "a digit is expected");
}

/* The syntax is right: is the value one that a gint64 or a double can hold? */
static gboolean check_number_range(Check *c, gsize start, gboolean whole) {
  char text[MAX_NUMBER + 1];
  gsize length = c->at - start;
  if (length > MAX_NUMBER)
    return fail(c, MNK_ERROR_LIMIT, start, "number of more than %d bytes", MAX_NUMBER);
  if (length < 19 && whole)
    return TRUE;
  memcpy(text, c->bytes + start, length);
  text[length] = '\0';
  errno = 0;
  if (whole) {
    (void)g_ascii_strtoll(text, NULL, 10);
    return errno != ERANGE || fail(c, MNK_ERROR_LIMIT, start, "whole number of more than 64 bits");
  }
  return isfinite(g_ascii_strtod(text, NULL)) ||
         fail(c, MNK_ERROR_LIMIT, start, "number beyond the range of a double");
}

static gboolean check_number(Check *c) {
  gsize start = c->at;
  gboolean exponent = FALSE, whole = TRUE;
  if (peek(c) == '-')
    c->at++;
  if (peek(c) == '0')
    c->at++;
  else if (!skip_digits(c))
    return FALSE;
  if (peek(c) == '.') {
    whole = FALSE;
    c->at++;
    if (!skip_digits(c))
      return FALSE;
  }
  if (peek(c) == 'e' || peek(c) == 'E') {
    exponent = TRUE;
    c->at++;
    if (peek(c) == '+' || peek(c) == '-')
      c->at++;
    if (!skip_digits(c))
      return FALSE;
  }
  /* Without an exponent, MAX_NUMBER digits cannot leave the range of a double. */
  if (!whole && !exponent && c->at - start <= MAX_NUMBER)
    return TRUE;
  return check_number_range(c, start, whole && !exponent);
}

/* ---- Values ---- */

static gboolean check_value(Check *c);

static gboolean check_literal(Check *c, const char *word) {
  gsize length = strlen(word);
  if (c->length - c->at < length || memcmp(c->bytes + c->at, word, length) != 0)
    return bad(c, "a value is expected");
  c->at += length;
  return TRUE;
}

/* The type of a value that has passed, by how it begins. */
static MnkJsonType type_of(const char *value, gsize length) {
  switch (value[0]) {
  case '{':
    return MNK_JSON_OBJECT;
  case '[':
    return MNK_JSON_ARRAY;
  case '"':
    return MNK_JSON_STRING;
  case 'n':
    return MNK_JSON_NULL;
  case 't':
  case 'f':
    return MNK_JSON_BOOL;
  default:
    for (gsize i = 0; i < length; i++)
      if (strchr(".eE", value[i]))
        return MNK_JSON_DOUBLE;
    return MNK_JSON_INT;
  }
}

static void tell_member(const Check *c, gsize key, gsize key_length, gsize value) {
  MnkJsonMember member = {.key = c->bytes + key, .key_length = key_length};
  member.value = c->bytes + value;
  member.value_length = c->at - value;
  member.type = type_of(member.value, member.value_length);
  if (member.type == MNK_JSON_STRING) {
    member.value++;
    member.value_length -= 2;
  }
  c->told(&member, c->user);
}

static gboolean check_member(Check *c, guint32 object) {
  skip_space(c);
  if (peek(c) != '"')
    return bad(c, "a key is expected");
  gsize start = c->at + 1;
  if (!count_value(c) || !check_string(c))
    return FALSE;
  gsize length = c->at - start - 1;
  if (!remember_key(c, object, start, length))
    return FALSE;
  skip_space(c);
  if (peek(c) != ':')
    return bad(c, "':' is expected");
  c->at++;
  skip_space(c);
  gsize value = c->at;
  if (!check_value(c))
    return FALSE;
  if (object == 0 && c->told)
    tell_member(c, start, length, value);
  return TRUE;
}

/* At the opening bracket; moves behind the closing one. */
static gboolean check_container(Check *c, gboolean is_object) {
  guint32 object = c->objects++;
  int end = is_object ? '}' : ']';
  if (++c->depth > MIN(c->limits->max_depth, HARD_DEPTH))
    return fail(c, MNK_ERROR_LIMIT, c->at, "more than %u levels",
                MIN(c->limits->max_depth, HARD_DEPTH));
  c->at++;
  skip_space(c);
  if (peek(c) != end)
    for (;;) {
      if (!(is_object ? check_member(c, object) : check_value(c)))
        return FALSE;
      skip_space(c);
      if (peek(c) == end)
        break;
      if (peek(c) != ',')
        return bad(c, is_object ? "',' or '}' is expected" : "',' or ']' is expected");
      c->at++;
    }
  c->at++;
  c->depth--;
  return TRUE;
}

static gboolean check_value(Check *c) {
  skip_space(c);
  if (!count_value(c))
    return FALSE;
  switch (peek(c)) {
  case '{':
    return check_container(c, TRUE);
  case '[':
    return check_container(c, FALSE);
  case '"':
    return check_string(c);
  case 't':
    return check_literal(c, "true");
  case 'f':
    return check_literal(c, "false");
  case 'n':
    return check_literal(c, "null");
  case '-':
  case '0' ... '9':
    return check_number(c);
  default:
    return bad(c, "a value is expected");
  }
}

gboolean mnk_json_scan(const char *bytes, gsize length, const MnkJsonLimits *limits,
                       MnkJsonMemberFunc func, gpointer user, MnkJsonType *type, GError **error) {
  Check c = {.bytes = bytes, .length = length, .told = func, .user = user, .error = error};
  c.limits = limits ? limits : &mnk_json_limits_default;
  c.keys = c.few_keys;
  c.keys_room = FEW_KEYS;
  gsize max_bytes = MIN(c.limits->max_bytes, G_MAXINT); /* the library counts in int */
  if (length > max_bytes)
    return fail(&c, MNK_ERROR_LIMIT, max_bytes, "more than %" G_GSIZE_FORMAT " bytes", max_bytes);
  skip_space(&c);
  gsize start = c.at;
  gboolean ok = check_value(&c);
  if (ok && type)
    *type = type_of(bytes + start, c.at - start);
  if (ok) {
    skip_space(&c);
    ok = c.at == length || bad(&c, "the end is expected");
  }
  ok = ok && check_duplicates(&c);
  if (c.keys != c.few_keys)
    g_free(c.keys);
  return ok;
}

gboolean mnk_json_check(const char *bytes, gsize length, const MnkJsonLimits *limits,
                        GError **error) {
  return mnk_json_scan(bytes, length, limits, NULL, NULL, NULL, error);
}
