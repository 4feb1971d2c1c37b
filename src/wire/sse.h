/* Server-sent events (the EventSource stream of the HTML standard). Pure. */
#ifndef MNK_WIRE_SSE_H
#define MNK_WIRE_SSE_H

#include <glib.h>

/* Appends one event. id < 0: none; name NULL: "message". Line breaks in data become several data
 * lines; a name with a line break is a fault of the caller. */
void mnk_sse_write(GString *out, gint64 id, const char *name, const char *data);

/* Reads a stream of events as they arrive (the other end, for streaming answers of models). */
typedef struct _MnkSseReader MnkSseReader;
typedef void (*MnkSseFunc)(const char *name, const char *data, const char *id, gpointer user);
MnkSseReader *mnk_sse_reader_new(gsize line_max, MnkSseFunc func, gpointer user);
void mnk_sse_reader_free(MnkSseReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSseReader, mnk_sse_reader_free)
gboolean mnk_sse_reader_push(MnkSseReader *reader, const char *bytes, gsize length, GError **error);

#endif
