/* JSON to a caption and on to every format: no text can break out of its cue or line, and the
 * written JSON reads as the same caption. */
#include "fuzz.h"

#include "wire/caption.h"

#include <string.h>

static guint count(const char *text, const char *what) {
  guint n = 0;
  for (const char *at = strstr(text, what); at; at = strstr(at + strlen(what), what))
    n++;
  return n;
}

static void check_cues(const MnkCaption *caption) {
  gboolean gap = mnk_caption_is_gap(caption);
  g_autoptr(GString) vtt = g_string_new(NULL);
  mnk_vtt_write_cue(vtt, caption);
  g_assert(count(vtt->str, "-->") == (gap ? 0 : 1));
  g_assert(strstr(vtt->str, "\n\n") == vtt->str + vtt->len - 2);
  g_assert(!strchr(vtt->str, '\r') && g_utf8_validate(vtt->str, -1, NULL));
  g_autoptr(GString) srt = g_string_new(NULL);
  mnk_srt_write_cue(srt, 1, caption);
  g_assert(count(srt->str, "-->") == (gap ? 0 : 1));
  g_assert(gap || strstr(srt->str, "\r\n\r\n") == srt->str + srt->len - 4);
  g_assert(count(srt->str, "\n") == count(srt->str, "\r\n"));
  g_autoptr(GString) line = g_string_new(NULL);
  mnk_text_write_line(line, caption);
  g_assert(strchr(line->str, '\n') == line->str + line->len - 1);
  g_assert(!strchr(line->str, 0x1b) && !strchr(line->str, '\r'));
}

static MnkCaption *read_caption(const char *text, gsize size) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, size, NULL, NULL);
  return json ? mnk_caption_read_json(mnk_json_root(json), NULL) : NULL;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  g_autoptr(MnkCaption) caption = read_caption((const char *)data, size);
  if (!caption)
    return 0;
  check_cues(caption);
  g_autoptr(MnkCaption) copy = mnk_caption_copy(caption);
  g_autoptr(GString) first = g_string_new(NULL);
  mnk_caption_write_json(copy, first);
  g_autoptr(MnkCaption) again = read_caption(first->str, first->len);
  g_assert(again != NULL);
  g_autoptr(GString) second = g_string_new(NULL);
  mnk_caption_write_json(again, second);
  g_assert(g_string_equal(first, second));
  return 0;
}
