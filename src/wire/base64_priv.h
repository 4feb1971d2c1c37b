#ifndef MNK_WIRE_BASE64_PRIV_H
#define MNK_WIRE_BASE64_PRIV_H

#include <glib.h>

/* Decodes from the beginning, as far as whole vectors go, the text is of the alphabet, and the
 * processor can: returns the characters done, a multiple of four; 3/4 of that many bytes are in
 * out. The last 16 characters are never touched. out as in mnk_base64_decode. */
gsize mnk_base64_decode_vectors(const char *text, gsize length, guint8 *out);

#endif
