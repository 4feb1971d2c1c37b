/* The event stream format of the HTML standard (section 9.2.5 and 9.2.6), both ways. */
#include "wire/sse.h"

#include "base/base.h"

#include <string.h>

/* ---- Writing ---- */

void mnk_sse_write(GString *out, gint64 id, const char *name, const char *data) {
  g_return_if_fail(!name || !strpbrk(name, "\r\n"));
  if (id >= 0)
    g_string_append_printf(out, "id: %" G_GINT64_FORMAT "\n", id);
  if (name)
    g_string_append_printf(out, "event: %s\n", name);
  for (const char *line = data;;) {
    gsize length = strcspn(line, "\r\n");
    g_string_append(out, "data: ");
    g_string_append_len(out, line, (gssize)length);
    g_string_append_c(out, '\n');
    line += length;
    if (!*line)
      break;
    line += g_str_has_prefix(line, "\r\n") ? 2 : 1;
  }
  g_string_append_c(out, '\n');
}

/* ---- Reading ---- */

struct _MnkSseReader {
  gsize max;
  MnkSseFunc func;
  gpointer user;
  GString *line, *name, *data, *id;
  gboolean has_id, has_data;
  gboolean begun;    /* the first line, which may have a byte order mark, is over */
  gboolean after_cr; /* a line feed that comes now belongs to the line before */
  gboolean failed;
};

MnkSseReader *mnk_sse_reader_new(gsize line_max, MnkSseFunc func, gpointer user) {
  MnkSseReader *reader = g_new0(MnkSseReader, 1);
  reader->max = line_max;
  reader->func = func;
  reader->user = user;
  reader->line = g_string_new(NULL);
  reader->name = g_string_new(NULL);
  reader->data = g_string_new(NULL);
  reader->id = g_string_new(NULL);
  return reader;
}

void mnk_sse_reader_free(MnkSseReader *reader) {
  if (!reader)
    return;
  g_string_free(reader->line, TRUE);
  g_string_free(reader->name, TRUE);
  g_string_free(reader->data, TRUE);
  g_string_free(reader->id, TRUE);
  g_free(reader);
}

static gboolean fail(MnkSseReader *reader, GError **error) {
  reader->failed = TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the event stream has a line or an event of more than %" G_GSIZE_FORMAT " bytes",
              reader->max);
  return FALSE;
}

/* Bytes that are not UTF-8, and NUL, become U+FFFD. Takes nothing, gives a string to free. */
static char *clean(const GString *text) {
  return g_utf8_make_valid(text->str, (gssize)text->len);
}

static void dispatch(MnkSseReader *reader) {
  if (reader->has_data) {
    g_autofree char *name = clean(reader->name);
    g_autofree char *data = clean(reader->data);
    g_autofree char *id = reader->has_id ? clean(reader->id) : NULL;
    reader->func(*name ? name : "message", data, id, reader->user);
  }
  g_string_truncate(reader->name, 0);
  g_string_truncate(reader->data, 0);
  reader->has_data = FALSE;
}

static gboolean field_is(const char *line, gsize length, const char *name) {
  return length == strlen(name) && memcmp(line, name, length) == 0;
}

static gboolean take_field(MnkSseReader *reader, const char *line, gsize length, GError **error) {
  const char *colon = memchr(line, ':', length);
  gsize name = colon ? (gsize)(colon - line) : length;
  const char *value = colon ? colon + 1 : line + length;
  gssize left = line + length - value;
  if (left > 0 && *value == ' ') {
    value++;
    left--;
  }
  if (field_is(line, name, "data")) {
    if (reader->has_data)
      g_string_append_c(reader->data, '\n');
    if (reader->data->len + (gsize)left > reader->max)
      return fail(reader, error);
    g_string_append_len(reader->data, value, left);
    reader->has_data = TRUE;
  } else if (field_is(line, name, "event")) {
    g_string_truncate(reader->name, 0);
    g_string_append_len(reader->name, value, left);
  } else if (field_is(line, name, "id") && !memchr(value, '\0', (gsize)left)) {
    g_string_truncate(reader->id, 0);
    g_string_append_len(reader->id, value, left);
    reader->has_id = TRUE;
  }
  return TRUE;
}

static gboolean end_line(MnkSseReader *reader, GError **error) {
  static const char mark[] = "\xef\xbb\xbf";
  const char *line = reader->line->str;
  gsize length = reader->line->len;
  if (!reader->begun && g_str_has_prefix(line, mark)) {
    line += strlen(mark);
    length -= strlen(mark);
  }
  reader->begun = TRUE;
  gboolean ok = TRUE;
  if (length == 0)
    dispatch(reader);
  else
    ok = take_field(reader, line, length, error);
  g_string_truncate(reader->line, 0);
  return ok;
}

gboolean mnk_sse_reader_push(MnkSseReader *reader, const char *bytes, gsize length,
                             GError **error) {
  if (reader->failed)
    return fail(reader, error);
  const char *end = bytes + length;
  while (bytes < end) {
    if (reader->after_cr && *bytes == '\n')
      bytes++;
    reader->after_cr = FALSE;
    const char *stop = bytes;
    while (stop < end && *stop != '\r' && *stop != '\n')
      stop++;
    if (reader->line->len + (gsize)(stop - bytes) > reader->max)
      return fail(reader, error);
    g_string_append_len(reader->line, bytes, stop - bytes);
    bytes = stop;
    if (stop == end)
      break;
    reader->after_cr = *stop == '\r';
    bytes++;
    if (!end_line(reader, error))
      return FALSE;
  }
  return TRUE;
}
