/* Free text as it comes, made plain: nothing is told before it is certain what it is. */
#include "language/batch_priv.h"

#include <string.h>

/* A control string that has not ended by then is taken for none. */
enum { HELD_MAX = 4096 };

static const char THOUGHT[] = "<think>", THOUGHT_END[] = "</think>";

typedef enum { BEGINNING, THINKING, SAYING } Stage;

struct _MnkPlainText {
  gsize max, told;
  Stage stage;
  GString *raw; /* not yet certain */
  char space;   /* ' ' or '\n' before the next character; 0: none */
};

MnkPlainText *mnk_plain_text_new(gsize max) {
  MnkPlainText *plain = g_new0(MnkPlainText, 1);
  plain->max = max;
  plain->raw = g_string_new(NULL);
  return plain;
}

void mnk_plain_text_free(MnkPlainText *plain) {
  if (!plain)
    return;
  g_string_free(plain->raw, TRUE);
  g_free(plain);
}

/* FALSE: there is no room for it. */
static gboolean tell(MnkPlainText *plain, gunichar c, GString *out) {
  if (g_unichar_isspace(c)) {
    gboolean breaks =
        c == '\n' || c == '\r' || c == 0x0b || c == 0x0c || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (plain->told > 0)
      plain->space = breaks || plain->space == '\n' ? '\n' : ' ';
    return TRUE;
  }
  if (!mnk_text_is_plain(c))
    return TRUE;
  gsize length = (gsize)g_unichar_to_utf8(c, NULL) + (plain->space ? 1 : 0);
  if (plain->told + length > plain->max)
    return FALSE;
  if (plain->space)
    g_string_append_c(out, plain->space);
  g_string_append_unichar(out, c);
  plain->space = 0;
  plain->told += length;
  return TRUE;
}

/* How much of the raw text is whole characters; bytes that no text can have become U+FFFD. */
static gsize make_valid(GString *raw, gboolean ended) {
  const char *bad = NULL;
  gsize from = 0;
  while (!g_utf8_validate(raw->str + from, (gssize)(raw->len - from), &bad)) {
    gsize at = (gsize)(bad - raw->str);
    gunichar c = g_utf8_get_char_validated(bad, (gssize)(raw->len - at));
    if (c == (gunichar)-2 && !ended)
      return at;
    g_string_erase(raw, (gssize)at, 1);
    g_string_insert(raw, (gssize)at, "\xef\xbf\xbd");
    from = at + strlen("\xef\xbf\xbd");
  }
  return raw->len;
}

/* A text may begin with thoughts, which are not told. TRUE: it is known whether it does, and what
 * is left of the raw text is to be told. */
static gboolean pass_thoughts(MnkPlainText *plain, gboolean ended) {
  GString *raw = plain->raw;
  if (plain->stage == BEGINNING) {
    gsize blank = strspn(raw->str, " \t\r\n");
    gsize there = raw->len - blank;
    gsize alike = MIN(there, strlen(THOUGHT));
    gboolean may_think = strncmp(raw->str + blank, THOUGHT, alike) == 0;
    if (may_think && alike < strlen(THOUGHT) && !ended)
      return FALSE;
    plain->stage = may_think && alike == strlen(THOUGHT) ? THINKING : SAYING;
  }
  if (plain->stage == THINKING) {
    const char *end = strstr(raw->str, THOUGHT_END);
    if (end) {
      g_string_erase(raw, 0, end + strlen(THOUGHT_END) - raw->str);
      plain->stage = SAYING;
    } else if (raw->len > strlen(THOUGHT_END)) {
      g_string_erase(raw, 0, (gssize)(raw->len - strlen(THOUGHT_END)));
    }
  }
  return plain->stage == SAYING;
}

static gboolean take(MnkPlainText *plain, gboolean ended, GString *out) {
  gsize valid = make_valid(plain->raw, ended);
  g_autofree char *rest = g_strndup(plain->raw->str + valid, plain->raw->len - valid);
  g_string_truncate(plain->raw, valid);
  gboolean fits = TRUE;
  const char *p = plain->raw->str;
  if (pass_thoughts(plain, ended)) {
    const char *end = plain->raw->str + plain->raw->len;
    for (p = plain->raw->str; p < end && fits;) {
      gboolean whole;
      const char *after = mnk_text_skip_escape(p, &whole);
      if (!whole && !ended && end - p < HELD_MAX)
        break;
      if (after == p) {
        fits = tell(plain, g_utf8_get_char(p), out);
        after = g_utf8_next_char(p);
      }
      p = after;
    }
  }
  g_string_erase(plain->raw, 0, p - plain->raw->str);
  g_string_append(plain->raw, rest);
  return fits;
}

gboolean mnk_plain_text_push(MnkPlainText *plain, const char *bytes, gsize length, GString *out) {
  for (const char *end = bytes + length; bytes < end; bytes++)
    if (*bytes) /* NUL is no part of a text */
      g_string_append_c(plain->raw, *bytes);
  return take(plain, FALSE, out);
}

void mnk_plain_text_end(MnkPlainText *plain, GString *out) {
  take(plain, TRUE, out);
}
