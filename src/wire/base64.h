/* Strict base64 (RFC 4648, section 4). Pure. */
#ifndef MNK_WIRE_BASE64_H
#define MNK_WIRE_BASE64_H

#include <glib.h>

/* Bytes that text of this length decodes to at most. */
gsize mnk_base64_max_decoded(gsize text_length);
/* Decodes into out (room for mnk_base64_max_decoded). No white space, padding exact, unused bits
 * zero. FALSE with the offending position. out may be the same memory as text. */
gboolean mnk_base64_decode(const char *text, gsize length, guint8 *out, gsize *out_length,
                           GError **error);
/* Appends. */
void mnk_base64_encode(const guint8 *bytes, gsize length, GString *out);

#endif
