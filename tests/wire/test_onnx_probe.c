/* ONNX files, put together field by field. */
#include "wire/probe.h"

#include "base/error.h"

#include "guard.h"

#define IR "\x08\x09"
#define PRODUCER "\x12\x07pytorch"
#define OPSET(version) "\x42\x02\x10" version
#define OPSET_OWN(version)                                                                         \
  "\x42\x0b\x0a\x07"                                                                               \
  "ai.onnx\x10" version
#define OPSET_ML(version)                                                                          \
  "\x42\x0e\x0a\x0a"                                                                               \
  "ai.onnx.ml\x10" version
/* two nodes, a name, one initializer, one input, two outputs */
#define GRAPH                                                                                      \
  "\x3a\x14"                                                                                       \
  "\x0a\x02xx\x0a\x00\x12\x01g\x2a\x01w\x5a\x01i\x62\x01o\x62\x00"

#define BYTES(bytes) (bytes), sizeof(bytes) - 1

static const struct {
  const char *name, *bytes;
  gsize length;
  MnkOnnxInfo info;
} good[] = {
    {"model", BYTES(IR PRODUCER GRAPH OPSET("\x11")), {9, 17, "pytorch", 2, 1, 1, 2}},
    {"any-order", BYTES(GRAPH OPSET("\x11") IR), {9, 17, "", 2, 1, 1, 2}},
    {"opset-own-by-name", BYTES(IR OPSET_OWN("\x0d") GRAPH), {9, 13, "", 2, 1, 1, 2}},
    {"opset-of-extension", BYTES(IR OPSET("\x0d") OPSET_ML("\x03") GRAPH), {9, 13, "", 2, 1, 1, 2}},
    {"unknown-fields",
     BYTES("\x79"
           "12345678"
           "\x7d"
           "1234"
           "\xf8\x07\x01" IR GRAPH),
     {9, 0, "", 2, 1, 1, 2}},
    {"graph-empty", BYTES(IR "\x3a\x00"), {9, 0, "", 0, 0, 0, 0}},
    {"producer-with-controls",
     BYTES(IR "\x12\x03"
              "a\x1b\xff"
              "\x3a\x00"),
     {9, 0, "a??", 0, 0, 0, 0}},
    {"number-of-ten-bytes",
     BYTES(IR "\x3a\x00\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     {9, 0, "", 0, 0, 0, 0}},
};

static const struct {
  const char *name, *bytes;
  gsize length;
  const char *message;
} bad[] = {
    {"empty", BYTES(""), "ONNX: no IR version at byte 0"},
    {"text", BYTES("hello"), "ONNX: unknown kind of field at byte 3"},
    {"no-ir-version", BYTES(GRAPH), "ONNX: no IR version at byte 22"},
    {"ir-version-zero", BYTES("\x08\x00" GRAPH), "ONNX: no IR version at byte 24"},
    {"ir-version-huge", BYTES("\x08\xff\xff\x03" GRAPH), "ONNX: no IR version at byte 26"},
    {"no-graph", BYTES(IR PRODUCER), "ONNX: no graph at byte 11"},
    {"field-zero", BYTES("\x00\x01"), "ONNX: impossible field number at byte 1"},
    {"field-huge", BYTES("\xf8\xff\xff\xff\x1f\x01"), "ONNX: impossible field number at byte 5"},
    {"group", BYTES(IR "\x0b"), "ONNX: unknown kind of field at byte 3"},
    {"graph-beyond", BYTES(IR "\x3a\x7f"), "ONNX: field longer than its message at byte 4"},
    {"length-huge", BYTES(IR "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "ONNX: field longer than its message at byte 13"},
    {"node-beyond-graph", BYTES(IR "\x3a\x02\x0a\x05xxxxx"),
     "ONNX: field longer than its message at byte 6"},
    {"fixed-beyond",
     BYTES(IR "\x79"
              "1234"),
     "ONNX: field longer than its message at byte 3"},
    {"number-cut", BYTES("\x08\x80"), "ONNX: the file ends inside a number at byte 2"},
    {"number-of-eleven-bytes", BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "ONNX: number of more than 64 bits at byte 10"},
    {"number-of-65-bits", BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
     "ONNX: number of more than 64 bits at byte 10"},
    {"opset-cut", BYTES(IR "\x42\x01\x10"), "ONNX: the file ends inside a number at byte 5"},
};

static void test_good(void) {
  for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
    MnkOnnxInfo info;
    g_autoptr(GError) error = NULL;
    mnk_onnx_probe((const guint8 *)good[i].bytes, good[i].length, &info, &error);
    g_assert_no_error(error);
    g_assert_cmpint(info.ir_version, ==, good[i].info.ir_version);
    g_assert_cmpint(info.opset, ==, good[i].info.opset);
    g_assert_cmpstr(info.producer, ==, good[i].info.producer);
    g_assert_cmpuint(info.nodes, ==, good[i].info.nodes);
    g_assert_cmpuint(info.initializers, ==, good[i].info.initializers);
    g_assert_cmpuint(info.inputs, ==, good[i].info.inputs);
    g_assert_cmpuint(info.outputs, ==, good[i].info.outputs);
  }
}

static void test_bad(void) {
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    MnkOnnxInfo info;
    g_autoptr(GError) error = NULL;
    g_assert_false(mnk_onnx_probe((const guint8 *)bad[i].bytes, bad[i].length, &info, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_cmpstr(error->message, ==, bad[i].message);
  }
}

static void test_long_producer(void) {
  g_autoptr(GString) file = g_string_new(IR "\x12\x50");
  for (guint i = 0; i < 80; i++)
    g_string_append_c(file, 'p');
  g_string_append_len(file, "\x3a\x00", 2);
  MnkOnnxInfo info;
  g_assert_true(mnk_onnx_probe((const guint8 *)file->str, file->len, &info, NULL));
  g_assert_cmpuint(strlen(info.producer), ==, sizeof info.producer - 1);
}

static void test_truncated_and_flipped(void) {
  static const guint8 values[] = {0, 1, 0x3a, 0x7f, 0x80, 0xff};
  static const char file[] = IR PRODUCER GRAPH OPSET_OWN("\x11");
  Guard guard = guard_new(sizeof file);
  MnkOnnxInfo info;
  for (gsize n = 0; n < sizeof file; n++)
    mnk_onnx_probe(guard_copy(&guard, file, n), n, &info, NULL);
  for (gsize at = 0; at < sizeof file - 1; at++)
    for (guint v = 0; v < G_N_ELEMENTS(values); v++) {
      guint8 *bytes = guard_copy(&guard, file, sizeof file - 1);
      bytes[at] = values[v];
      mnk_onnx_probe(bytes, sizeof file - 1, &info, NULL);
    }
  guard_free(&guard);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/onnx/good", test_good);
  g_test_add_func("/wire/onnx/bad", test_bad);
  g_test_add_func("/wire/onnx/long-producer", test_long_producer);
  g_test_add_func("/wire/onnx/truncated-and-flipped", test_truncated_and_flipped);
  return g_test_run();
}
