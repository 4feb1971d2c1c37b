/* JPEG headers, put together marker by marker. */
#include "wire/probe.h"

#include "base/error.h"

#include "guard.h"

#define SOI "\xff\xd8"
#define APP0 "\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
#define DQT "\xff\xdb\x00\x05\0\x01\x02"
#define DHT "\xff\xc4\x00\x03\0"
/* 8 bits, 480 high, 640 wide */
#define SIZE "\x08\x01\xe0\x02\x80"
#define YUV "\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"
#define GREY "\x01\x01\x11\0"
#define CMYK "\x04\x01\x11\0\x02\x11\0\x03\x11\0\x04\x11\0"
#define SOF(n) "\xff" n "\x00\x11"
#define EXIF_II(orientation)                                                                       \
  "\xff\xe1\x00\x22"                                                                               \
  "Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" orientation "\0\0\0\0\0\0\0"
#define EXIF_MM(orientation)                                                                       \
  "\xff\xe1\x00\x22"                                                                               \
  "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" orientation "\0\0\0\0\0\0"

typedef struct {
  const char *name, *bytes;
  gsize length;
  MnkJpegInfo info; /* width 0: refused */
  const char *message;
} Case;

#define BYTES(bytes) (bytes), sizeof(bytes) - 1
#define INFO(w, h, c, progressive, orientation) {w, h, c, 8, progressive, orientation}
#define GOOD(w, h, c, progressive, orientation) INFO(w, h, c, progressive, orientation), NULL
#define BAD(message) {0}, message

static const Case cases[] = {
    {"baseline", BYTES(SOI APP0 DQT SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"bare", BYTES(SOI SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"extended", BYTES(SOI SOF("\xc1") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"progressive", BYTES(SOI SOF("\xc2") SIZE YUV), GOOD(640, 480, 3, TRUE, 1)},
    {"lossless", BYTES(SOI SOF("\xc3") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"arithmetic", BYTES(SOI SOF("\xc9") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"arithmetic-progressive", BYTES(SOI SOF("\xca") SIZE YUV), GOOD(640, 480, 3, TRUE, 1)},
    {"grey", BYTES(SOI "\xff\xc0\x00\x0b" SIZE GREY), GOOD(640, 480, 1, FALSE, 1)},
    {"cmyk", BYTES(SOI "\xff\xc0\x00\x14" SIZE CMYK), GOOD(640, 480, 4, FALSE, 1)},
    {"fill-bytes", BYTES(SOI "\xff\xff\xff\xe0\x00\x02\xff\xff" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"tables-first", BYTES(SOI DHT DQT DHT SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"lone-markers", BYTES(SOI "\xff\x01\xff\xd0\xff\xd7" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-little", BYTES(SOI EXIF_II("\x06") SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 6)},
    {"exif-big", BYTES(SOI EXIF_MM("\x08") SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 8)},
    {"exif-zero", BYTES(SOI EXIF_MM("\x00") SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"exif-nine", BYTES(SOI EXIF_MM("\x09") SOF("\xc0") SIZE YUV), GOOD(640, 480, 3, FALSE, 1)},
    {"exif-first-counts", BYTES(SOI EXIF_II("\x03") EXIF_II("\x06") SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 3)},
    {"exif-not-tiff",
     BYTES(SOI "\xff\xe1\x00\x12"
               "Exif\0\0XX\x2a\0\x08\0\0\0\0\0" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-directory-beyond",
     BYTES(SOI "\xff\xe1\x00\x12"
               "Exif\0\0II\x2a\0\xff\xff\xff\xff\0\0" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-directory-at-end",
     BYTES(SOI "\xff\xe1\x00\x12"
               "Exif\0\0II\x2a\0\x09\0\0\0\0\0" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-entries-beyond",
     BYTES(SOI "\xff\xe1\x00\x12"
               "Exif\0\0II\x2a\0\x08\0\0\0\xff\xff" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-wrong-type",
     BYTES(SOI "\xff\xe1\x00\x22"
               "Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0" SOF(
                   "\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"exif-short",
     BYTES(SOI "\xff\xe1\x00\x08"
               "Exif\0\0" SOF("\xc0") SIZE YUV),
     GOOD(640, 480, 3, FALSE, 1)},
    {"largest", BYTES(SOI SOF("\xc0") "\x08\xff\xff\xff\xff" YUV), GOOD(65535, 65535, 3, FALSE, 1)},

    {"empty", BYTES(""), BAD("JPEG: no start of image at byte 0")},
    {"png", BYTES("\x89PNG\r\n"), BAD("JPEG: no start of image at byte 0")},
    {"only-soi", BYTES(SOI), BAD("JPEG: the picture ends before its frame header at byte 2")},
    {"only-fill", BYTES(SOI "\xff\xff"),
     BAD("JPEG: the picture ends before its frame header at byte 4")},
    {"rubbish", BYTES(SOI "abc"), BAD("JPEG: a marker is expected at byte 2")},
    {"rubbish-later", BYTES(SOI DHT "\0"), BAD("JPEG: a marker is expected at byte 7")},
    {"stuffed-byte", BYTES(SOI "\xff\0"), BAD("JPEG: no frame header before the marker at byte 3")},
    {"second-soi", BYTES(SOI SOI SOF("\xc0") SIZE YUV),
     BAD("JPEG: no frame header before the marker at byte 3")},
    {"end-first", BYTES(SOI "\xff\xd9"), BAD("JPEG: no frame header before the marker at byte 3")},
    {"scan-first", BYTES(SOI "\xff\xda\x00\x08"),
     BAD("JPEG: no frame header before the marker at byte 3")},
    {"segment-short", BYTES(SOI "\xff\xe0\x00\x01"),
     BAD("JPEG: segment of less than 2 bytes at byte 4")},
    {"segment-beyond", BYTES(SOI "\xff\xe0\xff\xff"),
     BAD("JPEG: the picture ends inside the segment at byte 4")},
    {"height-later", BYTES(SOI SOF("\xc0") "\x08\0\0\x02\x80" YUV),
     BAD("JPEG: height 0, to be told later (DNL), at byte 7")},
    {"width-zero", BYTES(SOI SOF("\xc0") "\x08\x01\xe0\0\0" YUV), BAD("JPEG: width 0 at byte 9")},
    {"hierarchical", BYTES(SOI SOF("\xc5") SIZE YUV), BAD("JPEG: hierarchical frame at byte 6")},
    {"hierarchical-last", BYTES(SOI SOF("\xcf") SIZE YUV),
     BAD("JPEG: hierarchical frame at byte 6")},
    {"two-components", BYTES(SOI "\xff\xc0\x00\x0e" SIZE "\x02\x01\x11\0\x02\x11\0"),
     BAD("JPEG: neither 1, 3 nor 4 components at byte 11")},
    {"frame-header-short", BYTES(SOI "\xff\xc0\x00\x10" SIZE YUV),
     BAD("JPEG: frame header of the wrong length at byte 6")},
    {"frame-header-empty", BYTES(SOI "\xff\xc0\x00\x02"),
     BAD("JPEG: frame header of the wrong length at byte 6")},
    {"precision", BYTES(SOI SOF("\xc0") "\x11\x01\xe0\x02\x80" YUV),
     BAD("JPEG: impossible precision at byte 6")},
    {"sampling-zero", BYTES(SOI SOF("\xc0") SIZE "\x03\x01\x02\0\x02\x11\x01\x03\x11\x01"),
     BAD("JPEG: impossible sampling factor at byte 13")},
    {"sampling-five-across", BYTES(SOI SOF("\xc0") SIZE "\x03\x01\x52\0\x02\x11\x01\x03\x11\x01"),
     BAD("JPEG: impossible sampling factor at byte 13")},
    {"sampling-five", BYTES(SOI SOF("\xc0") SIZE "\x03\x01\x22\0\x02\x15\x01\x03\x11\x01"),
     BAD("JPEG: impossible sampling factor at byte 16")},
};

static void test_case(gconstpointer data) {
  const Case *c = data;
  MnkJpegInfo info;
  g_autoptr(GError) error = NULL;
  gboolean ok = mnk_jpeg_probe((const guint8 *)c->bytes, c->length, &info, &error);
  g_assert_cmpstr(error ? error->message : NULL, ==, c->message);
  g_assert_cmpint(ok, ==, c->message == NULL);
  if (!ok)
    return;
  g_assert_cmpuint(info.width, ==, c->info.width);
  g_assert_cmpuint(info.height, ==, c->info.height);
  g_assert_cmpuint(info.components, ==, c->info.components);
  g_assert_cmpuint(info.precision, ==, c->info.precision);
  g_assert_cmpint(info.progressive, ==, c->info.progressive);
  g_assert_cmpuint(info.exif_orientation, ==, c->info.exif_orientation);
}

/* Cut at every byte: refused, and nothing read behind the cut. */
static void test_truncated(void) {
  Guard guard = guard_new(4096);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
    for (gsize n = 0; n < cases[i].length; n++) {
      MnkJpegInfo info;
      g_autoptr(GError) error = NULL;
      g_assert_false(mnk_jpeg_probe(guard_copy(&guard, cases[i].bytes, n), n, &info, &error));
      g_assert_nonnull(error);
    }
  guard_free(&guard);
}

/* Each byte of an EXIF segment set to each of some values: no crash, an orientation of 1 to 8. */
static void test_damaged_exif(void) {
  static const guint8 values[] = {0, 1, 2, 0x10, 0x7f, 0x80, 0xfe, 0xff};
  static const char little[] = SOI EXIF_II("\x06") SOF("\xc0") SIZE YUV;
  Guard guard = guard_new(sizeof little);
  for (gsize at = 6; at < 38; at++)
    for (guint v = 0; v < G_N_ELEMENTS(values); v++) {
      guint8 *bytes = guard_copy(&guard, little, sizeof little - 1);
      MnkJpegInfo info;
      bytes[at] = values[v];
      if (mnk_jpeg_probe(bytes, sizeof little - 1, &info, NULL)) {
        g_assert_cmpuint(info.exif_orientation, >=, 1);
        g_assert_cmpuint(info.exif_orientation, <=, 8);
      }
    }
  guard_free(&guard);
}

static void test_many_segments(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_byte_array_append(bytes, (const guint8 *)SOI, 2);
  for (guint i = 0; i < 4097; i++)
    g_byte_array_append(bytes, (const guint8 *)"\xff\xe0\x00\x02", 4);
  MnkJpegInfo info;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_jpeg_probe(bytes->data, bytes->len, &info, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/wire/jpeg/%s", cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/wire/jpeg/truncated", test_truncated);
  g_test_add_func("/wire/jpeg/damaged-exif", test_damaged_exif);
  g_test_add_func("/wire/jpeg/many-segments", test_many_segments);
  return g_test_run();
}
