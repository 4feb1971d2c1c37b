/* Values: text to typed and range-checked values, and back. */
#include "base/error.h"
#include "base/log.h"
#include "base/options_priv.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *suffix;
  guint shift;
} size_units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}, {"", 0}};

void mnk_option_value_clear(MnkOptionValue *value) {
  g_clear_pointer(&value->text, g_free);
}

/* Reads decimal digits and moves *text behind them. FALSE: no digit, or more than a gint64. */
static gboolean read_digits(const char **text, gint64 *number) {
  const char *p = *text;
  guint64 sum = 0;
  for (; g_ascii_isdigit(*p); p++)
    if (!g_uint64_checked_mul(&sum, sum, 10) || !g_uint64_checked_add(&sum, sum, *p - '0'))
      return FALSE;
  if (p == *text || sum > G_MAXINT64)
    return FALSE;
  *text = p;
  *number = (gint64)sum;
  return TRUE;
}

/* The ".25" of seconds, rounded to whole milliseconds; nothing is 0. */
static gboolean read_fraction_ms(const char **text, gint64 *ms) {
  *ms = 0;
  if (**text != '.')
    return TRUE;
  const char *first = ++*text;
  gint64 unit = 100;
  for (; g_ascii_isdigit(**text); (*text)++, unit /= 10) {
    *ms += (**text - '0') * unit;
    if (*text - first == 3 && **text >= '5')
      *ms += 1;
  }
  return *text > first;
}

/* sum * factor + part, checked. */
static gboolean append_field(gint64 *sum, gint64 factor, gint64 part) {
  return !__builtin_mul_overflow(*sum, factor, sum) && !__builtin_add_overflow(*sum, part, sum);
}

gboolean mnk_parse_time_ms(const char *text, gint64 *ms) {
  enum { MAX_FIELDS = 3 };
  gint64 total = 0, field, fraction;
  guint fields = 0;
  const char *p = text;
  for (;;) {
    const char *start = p;
    if (!read_digits(&p, &field))
      return FALSE;
    if (fields > 0 && (field >= 60 || p - start > 2))
      return FALSE;
    if (!append_field(&total, 60, field))
      return FALSE;
    fields++;
    if (*p != ':' || fields == MAX_FIELDS)
      break;
    p++;
  }
  if (fields == 1 && strcmp(p, "ms") == 0) {
    *ms = total;
    return TRUE;
  }
  if (!read_fraction_ms(&p, &fraction) || !append_field(&total, 1000, fraction))
    return FALSE;
  if (*p != '\0' && !(fields == 1 && strcmp(p, "s") == 0))
    return FALSE;
  *ms = total;
  return TRUE;
}

char *mnk_format_time_ms(gint64 ms) {
  guint64 rest = ms < 0 ? (guint64) - (ms + 1) + 1 : (guint64)ms;
  guint milli = rest % 1000, second = rest / 1000 % 60, minute = rest / 60000 % 60;
  guint64 hour = rest / 3600000;

  GString *out = g_string_new(ms < 0 ? "-" : "");
  if (hour > 0)
    g_string_append_printf(out, "%" G_GUINT64_FORMAT ":%02u:%02u", hour, minute, second);
  else
    g_string_append_printf(out, "%u:%02u", minute, second);
  if (milli > 0) {
    g_string_append_printf(out, ".%03u", milli);
    while (out->str[out->len - 1] == '0')
      g_string_truncate(out, out->len - 1);
  }
  return g_string_free(out, FALSE);
}

static gboolean parse_size(const char *text, gint64 *bytes) {
  const char *p = text;
  gint64 number;
  if (!read_digits(&p, &number))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(size_units); i++)
    if (strcmp(p, size_units[i].suffix) == 0)
      return !__builtin_mul_overflow(number, G_GINT64_CONSTANT(1) << size_units[i].shift, bytes);
  return FALSE;
}

static gboolean parse_bool(const char *text, gint64 *value) {
  static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
  for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
    if (g_ascii_strcasecmp(text, words[i]) != 0)
      continue;
    *value = i % 2;
    return TRUE;
  }
  return FALSE;
}

static gboolean parse_double(const char *text, double *value) {
  char *end;
  if (text[strspn(text, "0123456789.eE+-")] != '\0' || strpbrk(text, "0123456789") == NULL)
    return FALSE;
  *value = g_ascii_strtod(text, &end);
  return *end == '\0' && isfinite(*value);
}

/* Case does not matter; the table's word is what is kept. */
static gboolean parse_enum(const MnkOption *option, const char *text, MnkOptionValue *value) {
  g_auto(GStrv) choices = g_strsplit(option->choices, "|", -1);
  for (guint i = 0; choices[i] != NULL; i++) {
    if (g_ascii_strcasecmp(text, choices[i]) != 0)
      continue;
    value->integer = i;
    g_free(value->text);
    value->text = g_strdup(choices[i]);
    return TRUE;
  }
  return FALSE;
}

gboolean mnk_option_has_range(const MnkOption *option) {
  return option->type == MNK_OPTION_INT || option->type == MNK_OPTION_DOUBLE ||
         option->type == MNK_OPTION_TIME || option->type == MNK_OPTION_SIZE;
}

char *mnk_option_format_bound(const MnkOption *option, double bound) {
  if (option->type == MNK_OPTION_DOUBLE)
    return g_strdup_printf("%.10g", bound);
  gint64 whole = (gint64)bound;
  if (option->type == MNK_OPTION_TIME)
    return whole % 1000 == 0 ? g_strdup_printf("%" G_GINT64_FORMAT "s", whole / 1000)
                             : g_strdup_printf("%" G_GINT64_FORMAT "ms", whole);
  for (guint i = 0; option->type == MNK_OPTION_SIZE && whole != 0 && size_units[i].shift > 0; i++)
    if (whole % (G_GINT64_CONSTANT(1) << size_units[i].shift) == 0)
      return g_strdup_printf("%" G_GINT64_FORMAT "%s", whole >> size_units[i].shift,
                             size_units[i].suffix);
  return g_strdup_printf("%" G_GINT64_FORMAT, whole);
}

/* What the user wrote, fit for a message. */
static char *quote(const MnkOption *option, const char *text) {
  enum { LONGEST = 64 };
  if (option->flags & MNK_OPTION_SECRET)
    return g_strdup("the value");
  g_autofree char *start = g_strndup(text, LONGEST);
  g_autofree char *safe = mnk_text_escape(start);
  return g_strdup_printf("'%s'%s", safe, strlen(text) > LONGEST ? "..." : "");
}

static gboolean check_range(const MnkOption *option, const char *text, double number,
                            GError **error) {
  gboolean above = number > option->max;
  if (!above && number >= option->min)
    return TRUE;
  g_autofree char *bound = mnk_option_format_bound(option, above ? option->max : option->min);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%.64s is %s %s",
              option->flags & MNK_OPTION_SECRET ? "the value" : text,
              above ? "above the maximum" : "below the minimum", bound);
  return FALSE;
}

static gboolean check_length(const MnkOption *option, const char *text, GError **error) {
  gsize length = strlen(text);
  if (length > option->max)
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "the value is longer than %.0f bytes",
                option->max);
  else if (length < option->min)
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "the value is empty");
  else
    return TRUE;
  return FALSE;
}

static gboolean refuse(const MnkOption *option, const char *text, GError **error) {
  static const char *const expected[] = {
      [MNK_OPTION_BOOL] = "true or false",
      [MNK_OPTION_INT] = "a whole number",
      [MNK_OPTION_DOUBLE] = "a number",
      [MNK_OPTION_TIME] = "a time such as 90, 1.5, 1:30, 01:02:03.5 or 250ms",
      [MNK_OPTION_SIZE] = "a size such as 512, 64KiB, 8MiB or 2GiB",
  };
  g_autofree char *quoted = quote(option, text);
  if (option->type == MNK_OPTION_ENUM) {
    g_auto(GStrv) choices = g_strsplit(option->choices, "|", -1);
    g_autofree char *list = g_strjoinv(", ", choices);
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s is not one of %s", quoted, list);
  } else {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s is not %s", quoted, expected[option->type]);
  }
  return FALSE;
}

static gboolean parse_int(const char *text, gint64 *value) {
  gboolean negative = *text == '-';
  const char *p = negative ? text + 1 : text;
  if (!read_digits(&p, value) || *p != '\0')
    return FALSE;
  if (negative)
    *value = -*value;
  return TRUE;
}

static gboolean parse_whole(MnkOptionType type, const char *text, gint64 *value) {
  switch (type) {
  case MNK_OPTION_BOOL:
    return parse_bool(text, value);
  case MNK_OPTION_TIME:
    return mnk_parse_time_ms(text, value);
  case MNK_OPTION_SIZE:
    return parse_size(text, value);
  default:
    return parse_int(text, value);
  }
}

gboolean mnk_option_parse(const MnkOption *option, const char *text, MnkOptionValue *value,
                          GError **error) {
  *value = (MnkOptionValue){.text = g_strdup(text)};
  gboolean ok;
  if (option->type == MNK_OPTION_STRING)
    ok = check_length(option, text, error);
  else if (option->type == MNK_OPTION_ENUM)
    ok = parse_enum(option, text, value) || refuse(option, text, error);
  else if (option->type == MNK_OPTION_DOUBLE)
    ok = parse_double(text, &value->number) || refuse(option, text, error);
  else
    ok = parse_whole(option->type, text, &value->integer) || refuse(option, text, error);

  if (option->type == MNK_OPTION_DOUBLE)
    value->integer = 0;
  else
    value->number = (double)value->integer;
  if (ok && mnk_option_has_range(option))
    ok = check_range(option, text, value->number, error);
  if (!ok)
    mnk_option_value_clear(value);
  return ok;
}
