/* Texts from outside: what can be searched of a question, and what no template takes for its own.
 */
#include "ask/ask_priv.h"

#include <string.h>

/* Of a longer question only so much is searched for. */
enum { QUESTION_BYTES = 4096, WORD_BYTES = 200 };

/* Between spaces, in small letters. */
static const char STOP_WORDS[] =
    " a an the is are was were be been being am do does did doing done has have had will would can "
    "could should may might must shall of in on at to from by for with about into over under and "
    "or but if then than as it its this that these those there here i you he she we they me him "
    "her them my your his our their what when where who whom whose which why how many much long "
    "any some no not so too very just now ever before after during while again tell say please "
    "show see seen saw look looks video stream scene picture happen happens happened happening "
    "anyone anything someone something somebody anybody time times last first ago earlier "
    "currently right ";

/* Kanji that ask and place rather than name. */
static const char *const JAPANESE_STOP_WORDS[] = {"何",   "誰", "今", "時",   "前",   "後",
                                                  "間",   "分", "秒", "何回", "人",   "最初",
                                                  "最後", "教", "見", "動画", "映像", "何時"};

typedef enum { OTHER, LETTER, KANJI, KATAKANA } Script;

static Script script_of(gunichar c) {
  if ((c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || c == 0x3005)
    return KANJI;
  if ((c >= 0x30a1 && c <= 0x30fa) || c == 0x30fc)
    return KATAKANA;
  if ((c >= 0x3040 && c <= 0x309f) || !g_unichar_isalnum(c))
    return OTHER;
  return LETTER;
}

static gboolean is_stop_word(const char *word, Script script) {
  if (script == LETTER) {
    g_autofree char *fenced = g_strdup_printf(" %s ", word);
    return strlen(word) < 2 || strstr(STOP_WORDS, fenced);
  }
  for (guint i = 0; i < G_N_ELEMENTS(JAPANESE_STOP_WORDS); i++)
    if (g_str_equal(JAPANESE_STOP_WORDS[i], word))
      return TRUE;
  return FALSE;
}

static void add_word(GPtrArray *words, const char *start, const char *end, Script script) {
  g_autofree char *word = g_strndup(start, (gsize)(end - start));
  if (words->len >= MNK_ASK_WORDS_MAX || strlen(word) > WORD_BYTES || is_stop_word(word, script))
    return;
  for (guint i = 0; i < words->len; i++)
    if (g_str_equal(words->pdata[i], word))
      return;
  g_ptr_array_add(words, g_steal_pointer(&word));
}

char **mnk_ask_words(const char *question) {
  g_autoptr(GPtrArray) words = g_ptr_array_new();
  g_autofree char *valid = g_utf8_make_valid(question, -1);
  g_autofree char *compatible = g_utf8_normalize(valid, -1, G_NORMALIZE_NFKC);
  g_autofree char *folded = g_utf8_strdown(compatible ? compatible : "", -1);
  for (const char *p = folded; *p && p - folded < QUESTION_BYTES;) {
    const char *start = p;
    Script script = script_of(g_utf8_get_char(p));
    do
      p = g_utf8_next_char(p);
    while (*p && script_of(g_utf8_get_char(p)) == script);
    if (script != OTHER)
      add_word(words, start, p, script);
  }
  g_ptr_array_add(words, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

/* ---- Harmless texts ---- */

static char *plain(const char *text, gsize max) {
  g_autoptr(MnkPlainText) reader = mnk_plain_text_new(max);
  GString *out = g_string_new(NULL);
  mnk_plain_text_push(reader, text ? text : "", text ? strlen(text) : 0, out);
  mnk_plain_text_end(reader, out);
  return g_string_free(out, FALSE);
}

char *mnk_ask_plain(const char *text) {
  return plain(text, text ? strlen(text) : 0);
}

char *mnk_ask_line(const char *text, gsize max) {
  g_autofree char *lines = plain(text, max);
  g_autoptr(GString) out = g_string_new(NULL);
  for (const char *p = lines; *p; p++) {
    switch (*p) {
    case '\n':
      g_string_append_c(out, ' ');
      break;
    case '<':
      g_string_append(out, "\u2039");
      break;
    case '>':
      g_string_append(out, "\u203a");
      break;
    case '[':
      g_string_append_c(out, '(');
      break;
    case ']':
      g_string_append_c(out, ')');
      break;
    default:
      g_string_append_c(out, *p);
    }
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

/* <|im_start|>, <start_of_turn>, </s>, <<SYS>>, <__media__>; "a < b" is none. */
static gboolean begins_marker(const char *p) {
  return *p == '<' && (g_ascii_isalpha(p[1]) || (p[1] && strchr("|/_<!", p[1])));
}

char *mnk_ask_harmless(const char *text) {
  g_autofree char *lines = mnk_ask_plain(text);
  g_autoptr(GString) out = g_string_new(NULL);
  for (const char *p = lines; *p; p++) {
    gboolean instruction = g_str_has_prefix(p, "[INST") || g_str_has_prefix(p, "[/INST");
    if (begins_marker(p))
      g_string_append(out, "\u2039");
    else if (*p == '|' && p[1] == '>')
      g_string_append(out, "\u00a6");
    else
      g_string_append_c(out, instruction ? '(' : *p);
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

const char *mnk_ask_lang(const char *question, const char *fallback) {
  gboolean letters = FALSE;
  for (const char *p = question; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if ((c >= 0x3041 && c <= 0x30ff) || script_of(c) == KANJI)
      return "ja";
    letters |= g_unichar_isalpha(c);
  }
  return letters ? "en" : fallback;
}

gboolean mnk_ask_is_blank(const char *text) {
  g_autofree char *lines = mnk_ask_plain(text);
  return *lines == '\0';
}
