/* Text from outside, made fit for one line on a terminal. */
#include "base/log.h"

static gboolean is_between(gunichar c, gunichar first, gunichar last) {
  return c >= first && c <= last;
}

/* Characters that show nothing of their own, but change what a terminal does or how the characters
 * around them are ordered. Joiners stay: scripts and emoji need them. */
static gboolean is_hidden_control(gunichar c) {
  return is_between(c, 0x80, 0x9f)        /* C1 */
         || c == 0x061c                   /* Arabic letter mark */
         || c == 0x200b                   /* zero width space */
         || is_between(c, 0x200e, 0x200f) /* direction marks */
         || is_between(c, 0x2028, 0x202e) /* separators, embeddings, overrides */
         || is_between(c, 0x2060, 0x206f) /* isolates, invisible operators */
         || c == 0xfeff                   /* byte order mark */
         || is_between(c, 0xfff9, 0xfffb) /* interlinear annotation */
         || is_between(c, 0xe0000, 0xe007f) /* tags */;
}

char *mnk_text_escape(const char *text) {
  if (text == NULL)
    return g_strdup("");
  GString *out = g_string_new(NULL);
  for (const char *p = text; *p != '\0';) {
    gunichar c = g_utf8_get_char_validated(p, -1);
    guchar byte = (guchar)*p;
    if (c == (gunichar)-1 || c == (gunichar)-2 || byte < 0x20 || byte == 0x7f) {
      g_string_append_printf(out, "\\x%02x", byte);
      p++;
      continue;
    }
    const char *next = g_utf8_next_char(p);
    if (is_hidden_control(c))
      g_string_append_printf(out, "\\u{%04x}", c);
    else
      g_string_append_len(out, p, next - p);
    p = next;
  }
  return g_string_free(out, FALSE);
}
