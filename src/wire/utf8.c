/* Source: The Unicode Standard, table 3-7, well-formed UTF-8 byte sequences. */
#include "wire/utf8.h"

#include <string.h>

/* How many bytes from here on are ASCII, in whole groups of 32. */
static gsize ascii_run(const guint8 *bytes, gsize length) {
  const guint64 tops = G_GUINT64_CONSTANT(0x8080808080808080);
  gsize at = 0;
  while (length - at >= 32) {
    guint64 w[4];
    memcpy(w, bytes + at, sizeof w);
    if ((w[0] | w[1] | w[2] | w[3]) & tops)
      break;
    at += sizeof w;
  }
  return at;
}

static gboolean begin_character(MnkUtf8 *state, guint8 b) {
  if (b < 0xc2 || b > 0xf4)
    return FALSE;
  state->missing = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
  state->low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
  state->high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
  return TRUE;
}

gboolean mnk_utf8_check(MnkUtf8 *state, const guint8 *bytes, gsize length) {
  for (gsize at = 0; at < length; at++) {
    guint8 b = bytes[at];
    if (state->missing) {
      if (b < state->low || b > state->high)
        return FALSE;
      state->missing--;
      state->low = 0x80;
      state->high = 0xbf;
    } else if (b >= 0x80) {
      if (!begin_character(state, b))
        return FALSE;
    } else {
      gsize run = ascii_run(bytes + at, length - at);
      at += run ? run - 1 : 0;
    }
  }
  return TRUE;
}

gboolean mnk_utf8_is_whole(const MnkUtf8 *state) {
  return state->missing == 0;
}
