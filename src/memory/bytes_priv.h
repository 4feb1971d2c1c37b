/* bytes: how snapshots are written and read. Little-endian on every machine:
 *
 *   magic[8]  version u32  reserved u32 (0)  length u64 of all of it  body  CRC-32 u32 of all
 * before
 *
 * A reader that met an end or a bad value stays failed and gives zeros, so that a caller may read
 * on and ask once, at mnk_bytes_close. Sizes must still be asked of mnk_bytes_has before memory is
 * got for them. */
#ifndef MNK_BYTES_PRIV_H
#define MNK_BYTES_PRIV_H

#include "base/base.h"

enum { MNK_BYTES_MAGIC = 8 };

/* ---- Writing: appended to out ---- */

typedef struct {
  GByteArray *out;
  guint begin; /* where this snapshot begins in out */
} MnkBytesWriter;

/* magic: 8 characters. */
void mnk_bytes_begin(MnkBytesWriter *writer, GByteArray *out, const char *magic, guint32 version);
void mnk_bytes_put_u8(MnkBytesWriter *writer, guint8 value);
void mnk_bytes_put_u32(MnkBytesWriter *writer, guint32 value);
void mnk_bytes_put_u64(MnkBytesWriter *writer, guint64 value);
void mnk_bytes_put_i64(MnkBytesWriter *writer, gint64 value);
void mnk_bytes_put_float(MnkBytesWriter *writer, float value);
void mnk_bytes_put_double(MnkBytesWriter *writer, double value);
void mnk_bytes_put_floats(MnkBytesWriter *writer, const float *values, gsize n);
void mnk_bytes_put_halves(MnkBytesWriter *writer, const guint16 *values, gsize n);
void mnk_bytes_put_data(MnkBytesWriter *writer, gconstpointer data, gsize n);
void mnk_bytes_end(MnkBytesWriter *writer); /* length and checksum */

/* ---- Reading ---- */

typedef struct {
  const guint8 *at;
  gsize left;
  gboolean failed;
  const char *what;
} MnkBytesReader;

/* what: for messages, as in "the token memory's snapshot"; borrowed. FALSE with
 * MNK_ERROR_BAD_INPUT: another magic or version, cut off, bytes behind it, a wrong checksum. */
gboolean mnk_bytes_open(MnkBytesReader *reader, const guint8 *bytes, gsize length,
                        const char *magic, guint32 version, const char *what, GError **error);
guint8 mnk_bytes_get_u8(MnkBytesReader *reader);
guint32 mnk_bytes_get_u32(MnkBytesReader *reader);
guint64 mnk_bytes_get_u64(MnkBytesReader *reader);
gint64 mnk_bytes_get_i64(MnkBytesReader *reader);
float mnk_bytes_get_float(MnkBytesReader *reader); /* not finite: fails */
double mnk_bytes_get_double(MnkBytesReader *reader);
void mnk_bytes_get_floats(MnkBytesReader *reader, float *values, gsize n);   /* each finite */
void mnk_bytes_get_halves(MnkBytesReader *reader, guint16 *values, gsize n); /* the same */
void mnk_bytes_get_data(MnkBytesReader *reader, gpointer data, gsize n);
/* Whether n values of size bytes can follow. FALSE fails the reader. */
gboolean mnk_bytes_has(MnkBytesReader *reader, guint64 n, gsize size);
/* Fails the reader when a condition that the caller found does not hold; returns it. */
gboolean mnk_bytes_check(MnkBytesReader *reader, gboolean holds);
/* FALSE with MNK_ERROR_BAD_INPUT: failed before, or something is left over. */
gboolean mnk_bytes_close(MnkBytesReader *reader, GError **error);

#endif
