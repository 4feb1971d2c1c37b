#ifndef MNK_WIRE_UTF8_PRIV_H
#define MNK_WIRE_UTF8_PRIV_H

#include <glib.h>

/* The next character of valid UTF-8: g_utf8_next_char that keeps const. */
static inline const char *mnk_utf8_next(const char *at) {
  return at + g_utf8_skip[(guchar)*at];
}

#endif
