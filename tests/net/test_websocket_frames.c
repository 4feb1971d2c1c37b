/* The codec alone: heads, masks, close bodies, and how the reader stops and holds. */
#include <string.h>

#include "net/websocket_priv.h"

/* ---- Heads and masks ---- */

static void test_heads(void) {
  static const guint8 mask[4] = {1, 2, 3, 4};
  static const struct {
    guint opcode;
    gsize length;
    gboolean masked;
    const char *head;
    gsize n;
  } heads[] = {
      {MNK_WS_TEXT, 0, FALSE, "\x81\x00", 2},
      {MNK_WS_BINARY, 125, FALSE, "\x82\x7d", 2},
      {MNK_WS_BINARY, 126, FALSE, "\x82\x7e\x00\x7e", 4},
      {MNK_WS_BINARY, 65535, FALSE, "\x82\x7e\xff\xff", 4},
      {MNK_WS_BINARY, 65536, FALSE, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10},
      {MNK_WS_PING, 5, TRUE, "\x89\x85\x01\x02\x03\x04", 6},
      {MNK_WS_TEXT, 256, TRUE, "\x81\xfe\x01\x00\x01\x02\x03\x04", 8},
      {MNK_WS_TEXT, 0x12345678, TRUE, "\x81\xff\x00\x00\x00\x00\x12\x34\x56\x78\x01\x02\x03\x04",
       14},
  };
  for (guint i = 0; i < G_N_ELEMENTS(heads); i++) {
    guint8 out[MNK_WS_HEAD_MAX];
    gsize n =
        mnk_ws_write_head(heads[i].opcode, heads[i].length, heads[i].masked ? mask : NULL, out);
    g_assert_cmpmem(out, n, heads[i].head, heads[i].n);
  }
}

static void test_masks(void) {
  static const guint8 mask[4] = {0x80, 0x01, 0xfe, 0x7f};
  guint8 from[64], to[64], in_place[64], expected[64];
  for (gsize length = 0; length <= 40; length++)
    for (gsize offset = 0; offset < 8; offset++)
      for (gsize phase = 0; phase < 4; phase++) {
        for (gsize i = 0; i < sizeof from; i++)
          from[i] = (guint8)(7 * i + 3);
        memset(to, 0x5a, sizeof to);
        memset(expected, 0x5a, sizeof expected);
        memcpy(in_place, from, sizeof from);
        for (gsize i = 0; i < length; i++)
          expected[offset + i] = from[offset + i] ^ mask[(phase + i) % 4];
        mnk_ws_mask(to + offset, from + offset, length, mask, phase);
        mnk_ws_mask(in_place + offset, in_place + offset, length, mask, phase);
        g_assert_cmpmem(to, sizeof to, expected, sizeof expected);
        g_assert_cmpmem(in_place + offset, length, expected + offset, length);
        g_assert_cmpmem(in_place + offset + length, 8, from + offset + length, 8);
      }
}

static void test_close_bodies(void) {
  static const struct {
    const char *body;
    gsize length;
    guint fault, code;
  } bodies[] = {
      {"", 0, 0, MNK_WS_NO_STATUS},     {"\x03", 1, 1002, 0},
      {"\x03\xe8", 2, 0, 1000},         {"\x03\xec", 2, 1002, 0},
      {"\x03\xed", 2, 1002, 0},         {"\x0b\xb8", 2, 0, 3000},
      {"\x13\x87", 2, 0, 4999},         {"\x13\x88", 2, 1002, 0},
      {"\x03\xe8ok", 4, 0, 1000},       {"\x03\xe8\xff", 3, 1007, 0},
      {"\x03\xe8\xe3\x81", 4, 1007, 0},
  };
  for (guint i = 0; i < G_N_ELEMENTS(bodies); i++) {
    guint code;
    MnkWsFault fault = mnk_ws_read_close((const guint8 *)bodies[i].body, bodies[i].length, &code);
    g_assert_cmpuint(fault.code, ==, bodies[i].fault);
    g_assert_true((fault.code == 0) == (fault.reason == NULL));
    if (!fault.code)
      g_assert_cmpuint(code, ==, bodies[i].code);
  }
}

/* ---- The reader ---- */

typedef struct {
  GString *seen;
  guint stop_after;  /* events; 0: never */
  const guint8 *lay; /* where the last message lay */
} Seen;

static gboolean note(Seen *seen, const char *kind, const guint8 *bytes, gsize length) {
  g_assert_cmpuint(bytes[length], ==, 0);
  g_string_append_printf(seen->seen, "[%s %s]", kind, (const char *)bytes);
  seen->lay = bytes;
  return seen->stop_after == 0 || --seen->stop_after > 0;
}

static gboolean on_message(gboolean text, const guint8 *bytes, gsize length, gpointer user) {
  return note(user, text ? "text" : "bin", bytes, length);
}

static gboolean on_control(guint opcode, const guint8 *bytes, gsize length, gpointer user) {
  return note(user,
              opcode == MNK_WS_PING   ? "ping"
              : opcode == MNK_WS_PONG ? "pong"
                                      : "close",
              bytes, length);
}

static const MnkWsReaderEvents events = {.message = on_message, .control = on_control};

/* In memory of its exact size and the one byte more. */
static gsize take(MnkWsReader *reader, const char *bytes, gsize length, MnkWsFault *fault) {
  g_autofree guint8 *exact = g_malloc(length + 1);
  memcpy(exact, bytes, length);
  exact[length] = 0x5a;
  gsize n = mnk_ws_reader_take(reader, exact, length, fault);
  g_assert_cmpuint(exact[length], ==, 0x5a);
  return n;
}

static void test_stops(void) {
  static const char frames[] = "\x81\x01"
                               "a"
                               "\x89\x01"
                               "p"
                               "\x01\x01"
                               "b"
                               "\x80\x01"
                               "c"
                               "\x82\x00";
  g_autoptr(GString) text = g_string_new(NULL);
  Seen seen = {.seen = text};
  g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(FALSE, 100, &events, &seen);
  static const struct {
    gsize taken;
    const char *seen;
  } stops[] = {{3, "[text a]"}, {3, "[ping p]"}, {6, "[text bc]"}, {2, "[bin ]"}};
  gsize at = 0;
  for (guint i = 0; i < G_N_ELEMENTS(stops); i++) {
    MnkWsFault fault;
    g_string_truncate(text, 0);
    seen.stop_after = 1;
    g_assert_cmpuint(take(reader, frames + at, sizeof frames - 1 - at, &fault), ==, stops[i].taken);
    g_assert_cmpuint(fault.code, ==, 0);
    g_assert_cmpstr(text->str, ==, stops[i].seen);
    at += stops[i].taken;
  }
  g_assert_cmpuint(at, ==, sizeof frames - 1);
}

/* A message in one frame, all of it there, is told where it lies; the byte behind it is put back.
 */
static void test_where_it_lies(void) {
  guint8 bytes[] = "\x81\x03"
                   "abc"
                   "\x82\x01"
                   "d";
  g_autoptr(GString) text = g_string_new(NULL);
  Seen seen = {.seen = text, .stop_after = 1};
  g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(FALSE, 100, &events, &seen);
  MnkWsFault fault;
  g_assert_cmpuint(mnk_ws_reader_take(reader, bytes, 8, &fault), ==, 5);
  g_assert_true(seen.lay == bytes + 2);
  g_assert_cmpuint(bytes[5], ==, 0x82);
}

static void test_fault_is_told_where_it_is(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  Seen seen = {.seen = text};
  g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(FALSE, 5, &events, &seen);
  MnkWsFault fault;
  g_assert_cmpuint(take(reader,
                        "\x81\x01"
                        "a"
                        "\x81\x06"
                        "abcdef",
                        11, &fault),
                   ==, 5);
  g_assert_cmpuint(fault.code, ==, MNK_WS_TOO_BIG);
  g_assert_cmpstr(text->str, ==, "[text a]");
}

static void test_limit_of_nothing(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  Seen seen = {.seen = text};
  g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(FALSE, 0, &events, &seen);
  MnkWsFault fault;
  take(reader, "\x81\x00", 2, &fault);
  g_assert_cmpuint(fault.code, ==, 0);
  take(reader, "\x01\x00\x80\x00\x82\x01", 6, &fault);
  g_assert_cmpuint(fault.code, ==, MNK_WS_TOO_BIG);
  g_assert_cmpstr(text->str, ==, "[text ][text ]");
}

/* Freed in the middle of everything it may hold; a sanitizer sees what is left. */
static void test_freed_within(void) {
  static const struct {
    const char *bytes;
    gsize length;
  } parts[] = {
      {"", 0},
      {"\x81", 1},
      {"\x81\x05"
       "ab",
       4},
      {"\x01\x02"
       "ab"
       "\x00\x05"
       "c",
       7},
      {"\x01\x02"
       "ab"
       "\x89\x05"
       "c",
       7},
  };
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text};
    g_autoptr(MnkWsReader) reader = mnk_ws_reader_new(FALSE, 100, &events, &seen);
    MnkWsFault fault;
    g_assert_cmpuint(take(reader, parts[i].bytes, parts[i].length, &fault), ==, parts[i].length);
    g_assert_cmpuint(fault.code, ==, 0);
    g_assert_cmpstr(text->str, ==, "");
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/websocket/frames/heads", test_heads);
  g_test_add_func("/websocket/frames/masks", test_masks);
  g_test_add_func("/websocket/frames/close-bodies", test_close_bodies);
  g_test_add_func("/websocket/reader/stops", test_stops);
  g_test_add_func("/websocket/reader/where-it-lies", test_where_it_lies);
  g_test_add_func("/websocket/reader/fault-is-told-where-it-is", test_fault_is_told_where_it_is);
  g_test_add_func("/websocket/reader/limit-of-nothing", test_limit_of_nothing);
  g_test_add_func("/websocket/reader/freed-within", test_freed_within);
  return g_test_run();
}
