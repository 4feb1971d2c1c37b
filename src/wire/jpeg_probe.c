/* JPEG (ITU-T T.81, annex B): from the start of the image to its frame header. EXIF orientation as
 * in CIPA DC-008, 4.6. */
#include "wire/probe.h"

#include "base/base.h"

#include <string.h>

enum {
  MARKER_TEM = 0x01,
  MARKER_SOF0 = 0xc0,
  MARKER_SOF2 = 0xc2, /* progressive */
  MARKER_DHT = 0xc4,
  MARKER_SOF5 = 0xc5, /* SOF5 to SOF7, SOF13 to SOF15: hierarchical */
  MARKER_JPG = 0xc8,
  MARKER_SOF10 = 0xca, /* progressive, arithmetic coding */
  MARKER_DAC = 0xcc,
  MARKER_SOF15 = 0xcf,
  MARKER_RST0 = 0xd0,
  MARKER_RST7 = 0xd7,
  MARKER_SOI = 0xd8,
  MARKER_EOI = 0xd9,
  MARKER_SOS = 0xda,
  MARKER_APP1 = 0xe1,
  MAX_SEGMENTS = 4096,
  TAG_ORIENTATION = 0x0112,
  TIFF_SHORT = 3,
  TIFF_ENTRY = 12, /* bytes */
};

static gboolean fail(GError **error, MnkErrorCode code, const char *what, gsize at) {
  g_set_error(error, MNK_ERROR, (gint)code, "JPEG: %s at byte %" G_GSIZE_FORMAT, what, at);
  return FALSE;
}

static guint big16(const guint8 *bytes) {
  return (guint)bytes[0] << 8 | bytes[1];
}

/* ---- EXIF ---- */

static guint tiff16(const guint8 *bytes, gboolean little) {
  return little ? (guint)bytes[1] << 8 | bytes[0] : big16(bytes);
}

static guint32 tiff32(const guint8 *bytes, gboolean little) {
  guint first = tiff16(bytes, little), second = tiff16(bytes + 2, little);
  return little ? second << 16 | first : first << 16 | second;
}

/* The tag in the first directory of an APP1 segment's content; 0 when it is not there or damaged.
 * Only that directory is read, none that it points to. */
static guint exif_orientation(const guint8 *content, gsize length) {
  if (length < 14 || memcmp(content, "Exif\0", 6) != 0)
    return 0;
  const guint8 *tiff = content + 6;
  gsize room = length - 6;
  gboolean little = tiff[0] == 'I';
  if ((memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0) || tiff16(tiff + 2, little) != 42)
    return 0;
  gsize directory = tiff32(tiff + 4, little);
  if (directory > room - 2)
    return 0;
  gsize entries = tiff16(tiff + directory, little);
  gsize fitting = (room - directory - 2) / TIFF_ENTRY;
  for (gsize i = 0; i < MIN(entries, fitting); i++) {
    const guint8 *entry = tiff + directory + 2 + i * TIFF_ENTRY;
    if (tiff16(entry, little) != TAG_ORIENTATION)
      continue;
    guint value = tiff16(entry + 8, little);
    return tiff16(entry + 2, little) == TIFF_SHORT && value <= 8 ? value : 0;
  }
  return 0;
}

/* ---- Frame header ---- */

static gboolean is_frame_header(guint marker) {
  return marker >= MARKER_SOF0 && marker <= MARKER_SOF15 && marker != MARKER_DHT &&
         marker != MARKER_JPG && marker != MARKER_DAC;
}

/* content: behind the segment's length; at: its place in the file. */
static gboolean read_frame_header(guint marker, const guint8 *content, gsize length, gsize at,
                                  MnkJpegInfo *info, GError **error) {
  if ((marker & 7) >= (MARKER_SOF5 & 7))
    return fail(error, MNK_ERROR_UNSUPPORTED, "hierarchical frame", at);
  if (length < 6 || length != 6 + 3 * (gsize)content[5])
    return fail(error, MNK_ERROR_BAD_INPUT, "frame header of the wrong length", at);
  info->precision = content[0];
  info->height = big16(content + 1);
  info->width = big16(content + 3);
  info->components = content[5];
  info->progressive = marker == MARKER_SOF2 || marker == MARKER_SOF10;
  if (info->precision < 2 || info->precision > 16)
    return fail(error, MNK_ERROR_BAD_INPUT, "impossible precision", at);
  if (info->height == 0)
    return fail(error, MNK_ERROR_UNSUPPORTED, "height 0, to be told later (DNL),", at + 1);
  if (info->width == 0)
    return fail(error, MNK_ERROR_BAD_INPUT, "width 0", at + 3);
  if (info->components != 1 && info->components != 3 && info->components != 4)
    return fail(error, MNK_ERROR_UNSUPPORTED, "neither 1, 3 nor 4 components", at + 5);
  for (guint i = 0; i < info->components; i++) {
    guint sampling = content[7 + 3 * i];
    if (sampling >> 4 < 1 || sampling >> 4 > 4 || (sampling & 15) < 1 || (sampling & 15) > 4)
      return fail(error, MNK_ERROR_BAD_INPUT, "impossible sampling factor", at + 7 + 3 * i);
  }
  return TRUE;
}

/* ---- Markers ---- */

/* Moves *at behind a marker, over its fill bytes. */
static gboolean read_marker(const guint8 *bytes, gsize length, gsize *at, guint *marker,
                            GError **error) {
  if (*at < length && bytes[*at] != 0xff)
    return fail(error, MNK_ERROR_BAD_INPUT, "a marker is expected", *at);
  while (*at < length && bytes[*at] == 0xff)
    (*at)++;
  if (*at >= length)
    return fail(error, MNK_ERROR_BAD_INPUT, "the picture ends before its frame header", length);
  *marker = bytes[(*at)++];
  return TRUE;
}

static gboolean stands_alone(guint marker) {
  return marker == MARKER_TEM || (marker >= MARKER_RST0 && marker <= MARKER_RST7);
}

static gboolean may_not_come_yet(guint marker) {
  return marker == 0 || marker == MARKER_SOI || marker == MARKER_EOI || marker == MARKER_SOS;
}

gboolean mnk_jpeg_probe(const guint8 *bytes, gsize length, MnkJpegInfo *info, GError **error) {
  *info = (MnkJpegInfo){.exif_orientation = 1};
  if (length < 2 || bytes[0] != 0xff || bytes[1] != MARKER_SOI)
    return fail(error, MNK_ERROR_BAD_INPUT, "no start of image", 0);
  gsize at = 2;
  gboolean oriented = FALSE;
  for (guint i = 0; i < MAX_SEGMENTS; i++) {
    guint marker = 0;
    if (!read_marker(bytes, length, &at, &marker, error))
      return FALSE;
    if (may_not_come_yet(marker))
      return fail(error, MNK_ERROR_BAD_INPUT, "no frame header before the marker", at - 1);
    if (stands_alone(marker))
      continue;
    gsize segment = length - at >= 2 ? big16(bytes + at) : 0;
    if (segment > length - at || length - at < 2)
      return fail(error, MNK_ERROR_BAD_INPUT, "the picture ends inside the segment", at);
    if (segment < 2)
      return fail(error, MNK_ERROR_BAD_INPUT, "segment of less than 2 bytes", at);
    const guint8 *content = bytes + at + 2;
    if (is_frame_header(marker))
      return read_frame_header(marker, content, segment - 2, at + 2, info, error);
    guint orientation = marker == MARKER_APP1 ? exif_orientation(content, segment - 2) : 0;
    if (orientation && !oriented) {
      info->exif_orientation = orientation;
      oriented = TRUE;
    }
    at += segment;
  }
  return fail(error, MNK_ERROR_LIMIT, "more than 4096 segments", at);
}
