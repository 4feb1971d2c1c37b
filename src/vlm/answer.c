#include "vlm/answer_priv.h"

#include <string.h>

void mnk_vlm_text_init(MnkVlmText *text, const char *const *stop) {
  *text = (MnkVlmText){
      .raw = g_string_new(NULL),
      .text = g_string_new(NULL),
      .stop = g_strdupv((char **)stop),
  };
}

void mnk_vlm_text_clear(MnkVlmText *text) {
  if (text->raw)
    g_string_free(text->raw, TRUE);
  if (text->text)
    g_string_free(text->text, TRUE);
  g_strfreev(text->stop);
  *text = (MnkVlmText){0};
}

/* Whole characters move from raw to text; white space before the first one is left out, as models
 * begin with it by habit. */
static void take_characters(MnkVlmText *text) {
  const char *at = text->raw->str, *end = at + text->raw->len;
  while (at < end) {
    gunichar c = *at ? g_utf8_get_char_validated(at, end - at) : 0xfffd;
    if (c == (gunichar)-2)
      break;
    const char *next = c == (gunichar)-1 || !*at ? at + 1 : g_utf8_next_char(at);
    if (c == (gunichar)-1)
      c = 0xfffd;
    if (text->text->len > 0 || !g_unichar_isspace(c))
      g_string_append_unichar(text->text, c);
    at = next;
  }
  g_string_erase(text->raw, 0, at - text->raw->str);
}

static gboolean cut_at_stop(MnkVlmText *text, gsize from) {
  const char *first = NULL;
  for (guint i = 0; text->stop && text->stop[i]; i++) {
    if (text->stop[i][0] == '\0')
      continue;
    gsize back = MIN(from, strlen(text->stop[i]));
    const char *at = strstr(text->text->str + from - back, text->stop[i]);
    if (at && (!first || at < first))
      first = at;
  }
  if (first)
    g_string_truncate(text->text, (gsize)(first - text->text->str));
  return first != NULL;
}

gboolean mnk_vlm_text_add(MnkVlmText *text, const char *bytes, gsize n) {
  gsize from = text->text->len;
  g_string_append_len(text->raw, bytes, (gssize)n);
  take_characters(text);
  return cut_at_stop(text, from);
}

/* How many bytes at the end may be the beginning of a stop text. */
static gsize held_back(const MnkVlmText *text) {
  gsize held = 0;
  for (guint i = 0; text->stop && text->stop[i]; i++)
    for (gsize n = MIN(strlen(text->stop[i]), text->text->len); n > held; n--)
      if (memcmp(text->text->str + text->text->len - n, text->stop[i], n) == 0)
        held = n;
  return held;
}

char *mnk_vlm_text_tell(MnkVlmText *text, gboolean last) {
  gsize until = text->text->len - (last ? 0 : held_back(text));
  if (until <= text->told)
    return NULL;
  char *piece = g_strndup(text->text->str + text->told, until - text->told);
  text->told = until;
  return piece;
}
