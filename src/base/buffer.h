/* Buffer: growing bytes with a maximum fixed at creation. Not thread-safe. */
#ifndef MNK_BASE_BUFFER_H
#define MNK_BASE_BUFFER_H

#include <glib.h>

typedef struct _MnkBuffer MnkBuffer;

MnkBuffer *mnk_buffer_new(gsize max);
void mnk_buffer_free(MnkBuffer *buffer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkBuffer, mnk_buffer_free)

/* All or nothing: FALSE, and the buffer as it was, when the maximum would be passed or memory is
 * out. */
gboolean mnk_buffer_append(MnkBuffer *buffer, gconstpointer bytes, gsize length);
/* Removes from the front; length may not be more than there is. */
void mnk_buffer_consume(MnkBuffer *buffer, gsize length);
void mnk_buffer_clear(MnkBuffer *buffer);
/* Borrowed until the next change. */
const guint8 *mnk_buffer_bytes(const MnkBuffer *buffer, gsize *length);
gsize mnk_buffer_length(const MnkBuffer *buffer);
gsize mnk_buffer_max(const MnkBuffer *buffer);

#endif
