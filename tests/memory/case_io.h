/* Numbers of a case file, as this machine has them: what the programs share that run cases for
 * tests/reference. */
#ifndef MNK_TEST_CASE_IO_H
#define MNK_TEST_CASE_IO_H

#include <glib.h>
#include <stdio.h>

static inline void take(FILE *in, gpointer out, gsize size, gsize n) {
  if (n > 0 && fread(out, size, n, in) != n)
    g_error("the case file is cut off");
}

static inline guint32 take_u32(FILE *in) {
  guint32 value;
  take(in, &value, sizeof value, 1);
  return value;
}

static inline float take_float(FILE *in) {
  float value;
  take(in, &value, sizeof value, 1);
  return value;
}

static inline void give(FILE *out, gconstpointer data, gsize size, gsize n) {
  if (n > 0 && fwrite(data, size, n, out) != n)
    g_error("the results cannot be written");
}

#endif
