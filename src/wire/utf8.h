/* UTF-8 checked while it comes, in any pieces. Pure. */
#ifndef MNK_WIRE_UTF8_H
#define MNK_WIRE_UTF8_H

#include <glib.h>

/* Within a character: how many bytes are missing, and which values the next may have. All zero at
 * the start. */
typedef struct {
  guint8 missing, low, high;
} MnkUtf8;

/* FALSE at the first byte that no valid text could have there (RFC 3629: no surrogates, nothing
 * overlong, nothing above U+10FFFF). NUL passes. */
gboolean mnk_utf8_check(MnkUtf8 *state, const guint8 *bytes, gsize length);
/* Whether the text may end here. */
gboolean mnk_utf8_is_whole(const MnkUtf8 *state);

#endif
