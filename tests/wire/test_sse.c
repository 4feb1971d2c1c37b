#include "wire/sse.h"

#include "base/error.h"

#include <string.h>

/* ---- Writing ---- */

static void test_write(void) {
  static const struct {
    gint64 id;
    const char *name, *data, *text;
  } events[] = {
      {-1, NULL, "", "data: \n\n"},
      {-1, NULL, "hello", "data: hello\n\n"},
      {7, "caption", "{\"a\":1}", "id: 7\nevent: caption\ndata: {\"a\":1}\n\n"},
      {G_MAXINT64, NULL, " x", "id: 9223372036854775807\ndata:  x\n\n"},
      {0, "state", "a\nb", "id: 0\nevent: state\ndata: a\ndata: b\n\n"},
      {-1, NULL, "a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"},
      {-1, NULL, "\n\n", "data: \ndata: \ndata: \n\n"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
    g_autoptr(GString) out = g_string_new("before");
    mnk_sse_write(out, events[i].id, events[i].name, events[i].data);
    g_assert_cmpstr(out->str + strlen("before"), ==, events[i].text);
  }
}

/* ---- Reading ---- */

static void note(const char *name, const char *data, const char *id, gpointer user) {
  g_string_append_printf(user, "[%s|%s|%s]", name, data, id ? id : "-");
}

static const struct {
  const char *stream;
  gsize length; /* 0: as a string */
  const char *events;
} streams[] = {
    {"data: a\n\n", 0, "[message|a|-]"},
    {"data: a\r\n\r\n", 0, "[message|a|-]"},
    {"data: a\r\nid: 3\r\ndata: b\r\n\r\n", 0, "[message|a\nb|3]"},
    {"data: a\r\r", 0, "[message|a|-]"},
    {"data:a\n\ndata:  b\n\n", 0, "[message|a|-][message| b|-]"},
    {"data: YHOO\ndata: +2\ndata: 10\n\n", 0, "[message|YHOO\n+2\n10|-]"},
    {": comment\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n", 0,
     "[message|first|1][message|second|][message| third|]"},
    {"data\n\ndata\ndata\n\ndata:", 0, "[message||-][message|\n|-]"},
    {"event: add\ndata: 73\n\nevent: remove\ndata: 2\n\ndata: 3\n\n", 0,
     "[add|73|-][remove|2|-][message|3|-]"},
    {"event: nothing\n\ndata: x\n\n", 0, "[message|x|-]"},
    {"id: 5\n\ndata: x\n\n", 0, "[message|x|5]"},
    {"retry: 100\nunknown: y\nDATA: z\ndata : q\ndata: x\n\n", 0, "[message|x|-]"},
    {"\xef\xbb\xbf"
     "data: x\n\n\xef\xbb\xbf"
     "data: y\n\n",
     0, "[message|x|-]"},
    {"data: x\n", 0, ""},
    {"data: x", 0, ""},
    {"", 0, ""},
    {"\n\n\r\n\r", 0, ""},
    {"data: a\xff"
     "b\n\n",
     0,
     "[message|a\xef\xbf\xbd"
     "b|-]"},
    {"data: a\0b\n\n", 11,
     "[message|a\xef\xbf\xbd"
     "b|-]"},
    {"id: 1\nid: 2\0\ndata: x\n\n", 22, "[message|x|1]"},
    {"event: a\nevent: b\ndata: x: y\n\n", 0, "[b|x: y|-]"},
};

static void read_in_pieces(const char *stream, gsize length, gsize piece, const char *expected) {
  g_autoptr(GString) seen = g_string_new(NULL);
  g_autoptr(MnkSseReader) reader = mnk_sse_reader_new(64, note, seen);
  for (gsize at = 0; at < length; at += piece) {
    gsize n = MIN(piece, length - at);
    g_autofree char *exact = g_memdup2(stream + at, n);
    g_assert_true(mnk_sse_reader_push(reader, exact, n, NULL));
  }
  g_assert_cmpstr(seen->str, ==, expected);
}

static void test_read(void) {
  for (guint i = 0; i < G_N_ELEMENTS(streams); i++) {
    gsize length = streams[i].length ? streams[i].length : strlen(streams[i].stream);
    for (gsize piece = 1; piece <= MAX(length, 1); piece++)
      read_in_pieces(streams[i].stream, length, piece, streams[i].events);
  }
}

static void test_limits(void) {
  static const char *const too_long[] = {
      "data: 0123456789\n\n",                 /* a line */
      ": comment that is long",               /* a line without an end */
      "data: 0123\ndata: 0123\ndata: 0123\n", /* an event */
  };
  for (guint i = 0; i < G_N_ELEMENTS(too_long); i++) {
    g_autoptr(GString) seen = g_string_new(NULL);
    g_autoptr(MnkSseReader) reader = mnk_sse_reader_new(10, note, seen);
    g_autoptr(GError) error = NULL;
    g_assert_false(mnk_sse_reader_push(reader, too_long[i], strlen(too_long[i]), &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_assert_cmpstr(error->message, ==,
                    "the event stream has a line or an event of more than 10 bytes");
    g_assert_false(mnk_sse_reader_push(reader, "\n\n", 2, NULL));
    g_assert_cmpstr(seen->str, ==, "");
  }
}

static void test_round_trip(void) {
  g_autoptr(GString) out = g_string_new(NULL);
  g_autoptr(GString) seen = g_string_new(NULL);
  g_autoptr(MnkSseReader) reader = mnk_sse_reader_new(64, note, seen);
  mnk_sse_write(out, 1, "caption", "one\ntwo");
  mnk_sse_write(out, -1, NULL, " three ");
  mnk_sse_write(out, 12, "bye", "");
  g_assert_true(mnk_sse_reader_push(reader, out->str, out->len, NULL));
  g_assert_cmpstr(seen->str, ==, "[caption|one\ntwo|1][message| three |1][bye||12]");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sse/write", test_write);
  g_test_add_func("/sse/read", test_read);
  g_test_add_func("/sse/limits", test_limits);
  g_test_add_func("/sse/round-trip", test_round_trip);
  return g_test_run();
}
