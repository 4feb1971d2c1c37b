/* Text from outside, made plain; and how alike two texts are. */
#include "language/batch_priv.h"

#include <string.h>

static const gunichar ESCAPE = 0x1b, BELL = 0x07, CSI = 0x9b, OSC = 0x9d, STRING_END = 0x9c;

/* Past the parameters and the final byte of a control sequence (ECMA-48, 5.4). */
static const char *skip_control_sequence(const char *p, gboolean *whole) {
  while (*p >= 0x20 && *p <= 0x3f)
    p++;
  *whole = *p != '\0';
  return *p >= 0x40 && *p <= 0x7e ? p + 1 : p;
}

/* Past a control string: up to BEL or ST. One that does not end is no control string: only its
 * beginning goes. */
static const char *skip_control_string(const char *start, gboolean *whole) {
  for (const char *p = start; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == BELL || c == STRING_END)
      return g_utf8_next_char(p);
    if (c == ESCAPE && p[1] == '\\')
      return p + 2;
  }
  *whole = FALSE;
  return start;
}

static const char *skip_after_escape(const char *p, gboolean *whole) {
  if (*p == '[')
    return skip_control_sequence(p + 1, whole);
  if (*p && strchr("]PX^_", *p))
    return skip_control_string(p + 1, whole);
  while (*p >= 0x20 && *p <= 0x2f)
    p++;
  *whole = *p != '\0';
  return *p >= 0x30 && *p <= 0x7e ? p + 1 : p;
}

const char *mnk_text_skip_escape(const char *p, gboolean *whole) {
  gunichar c = g_utf8_get_char(p);
  *whole = TRUE;
  if (c == CSI)
    return skip_control_sequence(g_utf8_next_char(p), whole);
  if (c == OSC)
    return skip_control_string(g_utf8_next_char(p), whole);
  return c == ESCAPE ? skip_after_escape(p + 1, whole) : p;
}

gboolean mnk_text_is_plain(gunichar c) {
  switch (g_unichar_type(c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_PRIVATE_USE:
  case G_UNICODE_SURROGATE:
    return FALSE;
  case G_UNICODE_FORMAT:
    return c == 0x200c || c == 0x200d;
  default:
    return (c & 0xfffe) != 0xfffe && (c < 0xfdd0 || c > 0xfdef); /* no noncharacters */
  }
}

char *mnk_text_plain(const char *text, gsize max) {
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  GString *out = g_string_new(NULL);
  gboolean space = FALSE;
  for (const char *p = valid; *p;) {
    gboolean whole;
    const char *after = mnk_text_skip_escape(p, &whole);
    if (after != p) {
      p = after;
      continue;
    }
    gunichar c = g_utf8_get_char(p);
    p = g_utf8_next_char(p);
    if (g_unichar_isspace(c)) {
      space = out->len > 0;
      continue;
    }
    if (!mnk_text_is_plain(c))
      continue;
    if (out->len + (space ? 1 : 0) + (gsize)g_unichar_to_utf8(c, NULL) > max)
      break;
    if (space)
      g_string_append_c(out, ' ');
    space = FALSE;
    g_string_append_unichar(out, c);
  }
  return g_string_free(out, FALSE);
}

/* ---- Likeness ---- */

/* Scripts that are written without spaces between words, as far as our languages need them. */
static gboolean is_unspaced(gunichar c) {
  return (c >= 0x3040 && c <= 0x30ff) || c == 0x3005 || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x20000 && c <= 0x3ffff);
}

static void add_token(GHashTable *tokens, const char *start, const char *end) {
  if (end > start)
    g_hash_table_add(tokens, g_strndup(start, (gsize)(end - start)));
}

/* Pairs of characters that stand side by side; a single one alone. */
static void add_pairs(GHashTable *tokens, const char *start, const char *end) {
  const char *next = g_utf8_next_char(start);
  if (next >= end)
    add_token(tokens, start, end);
  for (; next < end; start = g_utf8_next_char(start), next = g_utf8_next_char(next))
    add_token(tokens, start, g_utf8_next_char(next));
}

static GHashTable *tokens_of(const char *text) {
  GHashTable *tokens = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  g_autofree char *compatible = g_utf8_normalize(valid, -1, G_NORMALIZE_NFKC);
  g_autofree char *folded = g_utf8_casefold(compatible ? compatible : "", -1);
  for (const char *p = folded; *p;) {
    gunichar c = g_utf8_get_char(p);
    gboolean unspaced = is_unspaced(c);
    const char *start = p;
    if (!unspaced && !g_unichar_isalnum(c)) {
      p = g_utf8_next_char(p);
      continue;
    }
    do {
      p = g_utf8_next_char(p);
      c = g_utf8_get_char(p);
    } while (*p && is_unspaced(c) == unspaced &&
             (unspaced || g_unichar_isalnum(c) || g_unichar_ismark(c)));
    if (unspaced)
      add_pairs(tokens, start, p);
    else
      add_token(tokens, start, p);
  }
  return tokens;
}

float mnk_text_jaccard(const char *a, const char *b) {
  g_autoptr(GHashTable) left = tokens_of(a);
  g_autoptr(GHashTable) right = tokens_of(b);
  guint common = 0;
  GHashTableIter iter;
  gpointer token;
  g_hash_table_iter_init(&iter, left);
  while (g_hash_table_iter_next(&iter, &token, NULL))
    common += g_hash_table_contains(right, token);
  guint all = g_hash_table_size(left) + g_hash_table_size(right) - common;
  return all > 0 ? (float)common / (float)all : 0;
}
