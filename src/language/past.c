/* Whether a question refers to what is past, by its words. Cautious: a question that is not
 * recognised is answered from the present first, and the routes may still call for the past. */
#include "language/backend.h"

#include <string.h>

static const char *const history_names[] = {"auto", "always", "never"};

const char *mnk_history_name(MnkHistory history) {
  return history_names[history];
}

gboolean mnk_history_from_name(const char *name, MnkHistory *history) {
  for (guint i = 0; i < G_N_ELEMENTS(history_names); i++) {
    if (g_ascii_strcasecmp(name, history_names[i]) != 0)
      continue;
    *history = (MnkHistory)i;
    return TRUE;
  }
  return FALSE;
}

/* ---- English: whole words ---- */

/* Past tenses that carry no second meaning, times, and what asks for the whole. "saw", "left",
 * "before" and "first" are not among them: they are things, sides and places, too. */
static const char *const english_cues[] = {
    "was",
    "were",
    "wasnt",
    "werent",
    "did",
    "didnt",
    "had",
    "hadnt",
    "has been",
    "have been",
    "hasnt been",
    "havent been",
    "has he been",
    "has she been",
    "has it been",
    "have they been",
    "have you seen",
    "you saw",
    "happened",
    "has happened",
    "appeared",
    "earlier",
    "previously",
    "ago",
    "yesterday",
    "last night",
    "last time",
    "last hour",
    "last hours",
    "last minute",
    "last minutes",
    "last seen",
    "past hour",
    "past hours",
    "past minutes",
    "in the past",
    "at the beginning",
    "at the start",
    "in the beginning",
    "so far",
    "until now",
    "up to now",
    "ever",
    "at any point",
    "at any time",
    "how many times",
    "how often",
    "used to",
    "throughout",
    "the whole video",
    "the whole time",
    "the entire video",
    "recap",
    "summarise the",
    "summarize the",
    "summary of the",
    "do you remember",
};

/* Words in small letters between single spaces; a colon between digits stays, so that a time is one
 * word. */
static char *words_of(const char *text) {
  GString *out = g_string_new(" ");
  for (const char *p = text; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    gboolean in_time = c == ':' && g_ascii_isdigit(out->str[out->len - 1]) && g_ascii_isdigit(p[1]);
    if (c == '\'' || c == 0x2019)
      continue;
    if (g_unichar_isalnum(c) || in_time)
      g_string_append_unichar(out, c);
    else if (out->str[out->len - 1] != ' ')
      g_string_append_c(out, ' ');
  }
  if (out->str[out->len - 1] != ' ')
    g_string_append_c(out, ' ');
  return g_string_free(out, FALSE);
}

/* "at 12:30", "at 1:02:03" */
static gboolean names_a_time(const char *words) {
  static const char at[] = " at ";
  for (const char *p = strstr(words, at); p; p = strstr(p + 1, at)) {
    const char *word = p + strlen(at);
    gsize length = strcspn(word, " ");
    if (g_ascii_isdigit(*word) && memchr(word, ':', length))
      return TRUE;
  }
  return FALSE;
}

static gboolean is_past_in_english(const char *text) {
  g_autofree char *words = words_of(text);
  for (guint i = 0; i < G_N_ELEMENTS(english_cues); i++) {
    g_autofree char *cue = g_strdup_printf(" %s ", english_cues[i]);
    if (strstr(words, cue))
      return TRUE;
  }
  return names_a_time(words);
}

/* ---- Japanese: parts of the text, and the ends of its sentences ---- */

/* A bare "前に" is not among them: 目の前に is a place. */
static const char *const japanese_cues[] = {
    "過去",     "さっき", "先ほど",   "先程",     "以前",     "昨日",     "昨夜",
    "昨晩",     "一昨日", "秒前",     "分前",     "時間前",   "日前",     "最初に",
    "はじめに", "初めに", "これまで", "今まで",   "いままで", "ここまで", "何回",
    "履歴",     "振り返", "要約",     "ましたか", "でしたか", "秒頃",     "分頃",
    "時頃",     "秒ごろ", "分ごろ",   "時ごろ",   "の時点で",
};

/* What may follow the verb at the end of a question; the longest first. */
static const char *const japanese_tails[] = {
    "のですか", "んですか", "のでしょうか", "でしょうか", "んだ", "のか",
    "かな",     "の",       "か",           "ね",         "よ"};

static char *without_tail(const char *sentence) {
  for (guint i = 0; i < G_N_ELEMENTS(japanese_tails); i++)
    if (g_str_has_suffix(sentence, japanese_tails[i]))
      return g_strndup(sentence, strlen(sentence) - strlen(japanese_tails[i]));
  return g_strdup(sentence);
}

static gboolean is_kanji(gunichar c) {
  return c >= 0x4e00 && c <= 0x9fff;
}

/* A verb in the past: た after a kanji or one of the kana that its stems end in, or んだ after a
 * kanji. あなた, また, かた, ふた are none, nor is 何なんだ. */
static gboolean ends_in_past(const char *sentence) {
  if (g_str_has_suffix(sentence, "んだ")) {
    const char *nda = sentence + strlen(sentence) - strlen("んだ");
    gunichar before = nda > sentence ? g_utf8_get_char(g_utf8_prev_char(nda)) : 0;
    return is_kanji(before) && before != 0x4f55; /* 何 */
  }
  if (!g_str_has_suffix(sentence, "た"))
    return FALSE;
  const char *ta = sentence + strlen(sentence) - strlen("た");
  if (ta == sentence)
    return FALSE;
  const char *before = g_utf8_prev_char(ta);
  g_autofree char *kana = g_strndup(before, (gsize)(ta - before));
  return is_kanji(g_utf8_get_char(before)) ||
         strstr("っいしきちりみけげせてでねべめれえぎじび", kana);
}

static gboolean is_past_in_japanese(const char *text) {
  for (guint i = 0; i < G_N_ELEMENTS(japanese_cues); i++)
    if (strstr(text, japanese_cues[i]))
      return TRUE;
  g_auto(GStrv) sentences = g_strsplit_set(text, "?!\n", -1);
  for (guint i = 0; sentences[i]; i++) {
    g_auto(GStrv) parts = g_strsplit(sentences[i], "。", -1);
    for (guint k = 0; parts[k]; k++) {
      g_strstrip(parts[k]);
      g_autofree char *bare = without_tail(parts[k]);
      if (ends_in_past(parts[k]) || ends_in_past(bare))
        return TRUE;
    }
  }
  return FALSE;
}

gboolean mnk_question_is_of_the_past(const char *question) {
  g_autofree char *valid = g_utf8_make_valid(question ? question : "", -1);
  g_autofree char *compatible = g_utf8_normalize(valid, -1, G_NORMALIZE_NFKC);
  g_autofree char *folded = g_utf8_casefold(compatible ? compatible : "", -1);
  return is_past_in_english(folded) || is_past_in_japanese(folded);
}
