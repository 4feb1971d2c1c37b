/* The JSON writer: compact text, safe inside HTML and JavaScript, the same in every locale. */
#include "wire/json.h"

#include "utf8_priv.h"

#include <math.h>
#include <string.h>

enum { NUMBER_ROOM = 64 };

void mnk_json_writer_init(MnkJsonWriter *w, GString *out) {
  *w = (MnkJsonWriter){.out = out};
}

/* ---- Strings ---- */

static gboolean must_escape(gunichar c) {
  return c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' ||
         (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
}

static void append_escape(GString *out, gunichar c) {
  static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
  const char *short_form = c && c < 0x80 ? strchr(from, (int)c) : NULL;
  if (short_form) {
    g_string_append_c(out, '\\');
    g_string_append_c(out, to[short_form - from]);
  } else {
    g_string_append_printf(out, "\\u%04x", c);
  }
}

static void append_string(GString *out, const char *text) {
  const char *plain = text; /* start of what can be copied as it is */
  g_string_append_c(out, '"');
  while (*text) {
    gunichar c = (guchar)*text;
    gboolean valid = TRUE;
    if (c >= 0x80) {
      c = g_utf8_get_char_validated(text, -1);
      valid = c < (gunichar)-2;
    }
    if (valid && !must_escape(c)) {
      text = mnk_utf8_next(text);
      continue;
    }
    g_string_append_len(out, plain, text - plain);
    if (valid)
      append_escape(out, c);
    else
      g_string_append(out, "\xef\xbf\xbd");
    plain = text = valid ? mnk_utf8_next(text) : text + 1;
  }
  g_string_append_len(out, plain, text - plain);
  g_string_append_c(out, '"');
}

static void begin_value(MnkJsonWriter *w, const char *key) {
  if (w->comma)
    g_string_append_c(w->out, ',');
  w->comma = TRUE;
  if (key) {
    append_string(w->out, key);
    g_string_append_c(w->out, ':');
  }
}

/* ---- Containers ---- */

static void begin_container(MnkJsonWriter *w, const char *key, char bracket) {
  begin_value(w, key);
  g_string_append_c(w->out, bracket);
  w->comma = FALSE;
}

static void end_container(MnkJsonWriter *w, char bracket) {
  g_string_append_c(w->out, bracket);
  w->comma = TRUE;
}

void mnk_json_begin_object(MnkJsonWriter *w, const char *key) {
  begin_container(w, key, '{');
}

void mnk_json_end_object(MnkJsonWriter *w) {
  end_container(w, '}');
}

void mnk_json_begin_array(MnkJsonWriter *w, const char *key) {
  begin_container(w, key, '[');
}

void mnk_json_end_array(MnkJsonWriter *w) {
  end_container(w, ']');
}

/* ---- Values ---- */

void mnk_json_add_string(MnkJsonWriter *w, const char *key, const char *value) {
  begin_value(w, key);
  if (value)
    append_string(w->out, value);
  else
    g_string_append(w->out, "null");
}

void mnk_json_add_int(MnkJsonWriter *w, const char *key, gint64 value) {
  begin_value(w, key);
  g_string_append_printf(w->out, "%" G_GINT64_FORMAT, value);
}

/* Digits enough to give the same double again. */
static void format_round_trip(char text[NUMBER_ROOM], double value) {
  static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
    g_ascii_formatd(text, NUMBER_ROOM, formats[i], value);
    if (g_ascii_strtod(text, NULL) == value)
      return;
  }
}

/* Rounded to so many decimals, without the zeros at the end. */
static void format_fixed(char text[NUMBER_ROOM], double value, int decimals) {
  char format[8];
  g_snprintf(format, sizeof format, "%%.%df", decimals);
  g_ascii_formatd(text, NUMBER_ROOM, format, value);
  if (!strchr(text, '.'))
    return;
  gsize length = strlen(text);
  while (text[length - 1] == '0')
    length--;
  if (text[length - 1] == '.')
    length--;
  text[length] = '\0';
}

void mnk_json_add_double(MnkJsonWriter *w, const char *key, double value, int decimals) {
  char text[NUMBER_ROOM], exact[NUMBER_ROOM];
  begin_value(w, key);
  if (!isfinite(value)) {
    g_string_append(w->out, "null");
    return;
  }
  if (decimals >= 17 || fabs(value) >= 1e15) {
    format_round_trip(text, value);
  } else {
    format_fixed(text, value, MAX(decimals, 0));
    if (strlen(text) > 16) { /* it may have digits that only the rounding to binary made */
      format_round_trip(exact, value);
      if (strlen(exact) < strlen(text) && !strchr(exact, 'e'))
        memcpy(text, exact, sizeof text);
    }
  }
  g_string_append(w->out, strcmp(text, "-0") == 0 ? "0" : text);
}

void mnk_json_add_bool(MnkJsonWriter *w, const char *key, gboolean value) {
  begin_value(w, key);
  g_string_append(w->out, value ? "true" : "false");
}

void mnk_json_add_null(MnkJsonWriter *w, const char *key) {
  begin_value(w, key);
  g_string_append(w->out, "null");
}

void mnk_json_add_raw(MnkJsonWriter *w, const char *key, const char *text, gsize length) {
  begin_value(w, key);
  g_string_append_len(w->out, text, (gssize)length);
}
