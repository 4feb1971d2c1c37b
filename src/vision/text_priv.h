/* Text in the picture: the pure steps between the models. */
#ifndef MNK_VISION_TEXT_PRIV_H
#define MNK_VISION_TEXT_PRIV_H

#include <glib.h>

#include "wire/wire.h"

/* ---- Where text stands ---- */

enum { MNK_TEXT_MAX_REGIONS = 64 };

/* A turned rectangle round a line of text; its width runs along the line. */
typedef struct {
  float cx, cy, w, h;
  float angle; /* radians, clockwise: 0 reads to the right, half pi downwards */
  float score; /* mean probability of text, 0..1 */
} MnkTextRegion;

/* From a map of text probabilities to lines (Liao et al., "Real-time Scene Text Detection with
 * Differentiable Binarization", 2020): the map shows shrunk lines; connected parts become
 * rectangles of least area, which are grown back. In map pixels; largest area first. */
guint mnk_text_regions(const float *map, int width, int height,
                       MnkTextRegion regions[MNK_TEXT_MAX_REGIONS]);

/* ---- What it says ---- */

/* Characters of the recogniser, by class: class 0 is the blank, the last class the space. */
typedef struct {
  guint n;
  char **utf8;  /* n strings */
  char *memory; /* what they point into */
} MnkCharset;

/* The table from the model file's own metadata (key "character"): one character per line. */
MnkCharset *mnk_charset_from_onnx(const char *path, GError **error);
MnkCharset *mnk_charset_from_lines(const char *lines);
void mnk_charset_free(MnkCharset *charset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkCharset, mnk_charset_free)

/* A metadata value of an ONNX model (ModelProto.metadata_props). NULL with MNK_ERROR_MODEL when it
 * is not there or the bytes are damaged. Caller frees. */
char *mnk_onnx_metadata(const guint8 *bytes, gsize length, const char *key, GError **error);

enum { MNK_TEXT_MAX_CHARS = 200 };

/* The best path through the classes' probabilities, steps x classes (Graves et al.,
 * "Connectionist Temporal Classification", 2006): repeats are one, blanks are dropped. */
typedef struct {
  guint n;
  guint16 class[MNK_TEXT_MAX_CHARS];
  guint16 step[MNK_TEXT_MAX_CHARS]; /* where each was read */
  float score;                      /* mean probability of the characters; 0 when there are none */
} MnkCtcPath;
void mnk_ctc_decode(const float *probability, guint steps, guint classes, MnkCtcPath *path);

/* The path as text; gap_before: for each character TRUE when there is a visible gap before it, or
 * NULL. A gap between Latin letters or digits becomes a space. Control characters are left out. */
char *mnk_text_spell(const MnkCtcPath *path, const MnkCharset *charset, const gboolean *gap_before);
/* At least two letters or digits, and most of it letters and digits. */
gboolean mnk_text_is_plausible(const char *text);

/* Which characters of a line have an empty stretch before them: luma is height rows of width
 * values, of which each step of the path covers `per_step` columns. */
void mnk_text_find_gaps(const float *luma, int width, int height, float per_step,
                        const MnkCtcPath *path, gboolean gap_before[MNK_TEXT_MAX_CHARS]);

#endif
