/* Text as the full-text index holds it, and queries in the same form. */
#include "store_priv.h"

#include "base/base.h"

#include <string.h>

enum { MAX_QUERY = 1024 };

/* What the folding puts between characters, and what marks a match. Neither is kept from the text
 * itself, so that taking them out again touches nothing else. */
enum { SEPARATOR = 0x200b, MATCH_BEGIN = 0x2068, MATCH_END = 0x2069 };

static gboolean is_between(gunichar c, gunichar first, gunichar last) {
  return c >= first && c <= last;
}

/* Scripts without spaces between words: Han, Hiragana, Katakana, Bopomofo. */
static gboolean is_spaceless(gunichar c) {
  return is_between(c, 0x3005, 0x3007)    /* iteration marks, zero */
         || is_between(c, 0x3040, 0x312f) /* Hiragana, Katakana, Bopomofo */
         || is_between(c, 0x31f0, 0x31ff) /* small Katakana */
         || is_between(c, 0x3400, 0x4dbf) /* Han, extension A */
         || is_between(c, 0x4e00, 0x9fff) /* Han */
         || is_between(c, 0xf900, 0xfaff) /* Han, compatibility */
         || is_between(c, 0x20000, 0x3ffff) /* Han, further extensions */;
}

static gboolean is_mark(gunichar c) {
  return c == SEPARATOR || c == MATCH_BEGIN || c == MATCH_END;
}

/* NFKC: full-width letters and half-width Katakana are written like the others. */
static char *unify(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return g_utf8_normalize(valid, -1, G_NORMALIZE_ALL_COMPOSE);
}

static char *separate(const char *text) {
  GString *out = g_string_new(NULL);
  gunichar last = ' ';
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (is_mark(c))
      continue;
    if ((is_spaceless(last) && !g_unichar_isspace(c)) ||
        (is_spaceless(c) && !g_unichar_isspace(last)))
      g_string_append_unichar(out, SEPARATOR);
    g_string_append_unichar(out, c);
    last = c;
  }
  return g_string_free(out, FALSE);
}

char *mnk_search_fold(const char *text) {
  g_autofree char *unified = unify(text);
  return separate(unified);
}

char *mnk_search_unfold(const char *text) {
  GString *out = g_string_new(NULL);
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p))
    if (g_utf8_get_char(p) != SEPARATOR)
      g_string_append_unichar(out, g_utf8_get_char(p));
  return g_string_free(out, FALSE);
}

/* Whether the index would find a word in it. */
static gboolean has_word(const char *text) {
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p))
    if (g_unichar_isalnum(g_utf8_get_char(p)))
      return TRUE;
  return FALSE;
}

/* As a string of FTS5, in which nothing is an operator. There is no quote in it: the query was
 * split at them. */
static void append_phrase(GString *out, const char *phrase) {
  if (!has_word(phrase))
    return;
  g_autofree char *separated = separate(phrase);
  g_string_append_printf(out, "%s\"%s\"", out->len > 0 ? " " : "", separated);
}

char *mnk_search_expression(const char *query, GError **error) {
  if (strlen(query) > MAX_QUERY) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "the search text is longer than %d bytes",
                MAX_QUERY);
    return NULL;
  }
  g_autofree char *unified = unify(query);
  g_auto(GStrv) parts = g_strsplit(unified, "\"", -1);
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; parts[i] != NULL; i++) {
    gboolean quoted = i % 2 == 1;
    g_auto(GStrv) words = g_strsplit_set(parts[i], quoted ? "" : " \t\n\v\f\r", -1);
    for (char **word = words; *word != NULL; word++)
      append_phrase(out, *word);
  }
  if (out->len == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "there is no word in the search text");
    return NULL;
  }
  return g_strdup(out->str);
}
