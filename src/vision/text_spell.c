/* From class probabilities to words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/text_priv.h"

/* ---- The character table ---- */

MnkCharset *mnk_charset_from_lines(const char *lines) {
  MnkCharset *charset = g_new0(MnkCharset, 1);
  guint n = 2; /* blank and space */

  charset->memory = g_strdup(lines);
  for (const char *p = charset->memory; *p; p++)
    n += *p == '\n' || !p[1];
  charset->utf8 = g_new0(char *, n);
  charset->utf8[charset->n++] = (char *)"";
  for (char *line = charset->memory; *line;) {
    char *end = line + strcspn(line, "\n");
    gboolean last = !*end;
    *end = '\0';
    charset->utf8[charset->n++] = line;
    line = last ? end : end + 1;
  }
  charset->utf8[charset->n++] = (char *)" ";
  return charset;
}

void mnk_charset_free(MnkCharset *charset) {
  if (!charset)
    return;
  g_free(charset->utf8);
  g_free(charset->memory);
  g_free(charset);
}

/* ---- The best path ---- */

static guint best_class(const float *p, guint classes) {
  guint best = 0;

  for (guint i = 1; i < classes; i++)
    if (p[i] > p[best])
      best = i;
  return best;
}

void mnk_ctc_decode(const float *probability, guint steps, guint classes, MnkCtcPath *path) {
  guint before = 0;
  float sum = 0;

  path->n = 0;
  for (guint t = 0; t < steps && path->n < MNK_TEXT_MAX_CHARS; t++) {
    const float *p = probability + (gsize)t * classes;
    guint class = best_class(p, classes);
    if (class != 0 && class != before) {
      path->class[path->n] = (guint16) class;
      path->step[path->n++] = (guint16)t;
      sum += p[class];
    }
    before = class;
  }
  path->score = path->n > 0 ? sum / path->n : 0;
}

/* ---- Gaps between words ---- */

/* Columns whose values differ by less than this share of the line's contrast are empty. */
static const float EMPTY_SHARE = 0.22f;
/* A gap between words: in parts of the line's height, and as a multiple of the line's usual gap
 * between letters, which is wide in spaced lettering. */
static const float WORD_GAP = 0.18f, WORD_GAP_USUAL = 2.5f;

/* Contrast of each column over the middle rows: neighbours above and below reach into the edges. */
static float column_contrasts(const float *luma, int width, int height, float *contrast) {
  float most = 0;

  for (int x = 0; x < width; x++) {
    float low = INFINITY, high = -INFINITY;
    for (int y = height / 8; y < height - height / 8; y++) {
      low = MIN(low, luma[y * width + x]);
      high = MAX(high, luma[y * width + x]);
    }
    contrast[x] = high - low;
    most = MAX(most, contrast[x]);
  }
  return most;
}

static int by_size(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b;
}

static int median(const int *values, guint n) {
  int sorted[MNK_TEXT_MAX_CHARS];

  if (n == 0)
    return 0;
  memcpy(sorted, values, n * sizeof *values);
  qsort(sorted, n, sizeof *sorted, by_size);
  return sorted[n / 2];
}

static int longest_empty_run(const float *contrast, float empty, int from, int to) {
  int run = 0, longest = 0;

  for (int x = from; x < to; x++) {
    run = contrast[x] < empty ? run + 1 : 0;
    longest = MAX(longest, run);
  }
  return longest;
}

void mnk_text_find_gaps(const float *luma, int width, int height, float per_step,
                        const MnkCtcPath *path, gboolean gap_before[MNK_TEXT_MAX_CHARS]) {
  g_autofree float *contrast = g_new(float, width);
  float empty = EMPTY_SHARE * column_contrasts(luma, width, height, contrast);
  int gaps[MNK_TEXT_MAX_CHARS] = {0};

  for (guint i = 1; i < path->n; i++) {
    int from = (int)((path->step[i - 1] + 0.5f) * per_step);
    int to = MIN((int)((path->step[i] + 0.5f) * per_step), width);
    gaps[i] = longest_empty_run(contrast, empty, from, to);
  }
  int usual = path->n > 1 ? median(gaps + 1, path->n - 1) : 0;
  for (guint i = 0; i < path->n; i++)
    gap_before[i] = gaps[i] >= WORD_GAP * height && gaps[i] >= WORD_GAP_USUAL * usual;
}

/* ---- Spelling ---- */

static gboolean is_spaced_script(const char *utf8) {
  gunichar c = g_utf8_get_char_validated(utf8, -1);

  /* Latin, Greek, Cyrillic and their digits and signs; Chinese and Japanese set no spaces. */
  return c < 0x0530 && g_unichar_isprint(c);
}

char *mnk_text_spell(const MnkCtcPath *path, const MnkCharset *charset,
                     const gboolean *gap_before) {
  g_autoptr(GString) text = g_string_new(NULL);
  const char *before = " ";

  for (guint i = 0; i < path->n; i++) {
    const char *c = path->class[i] < charset->n ? charset->utf8[path->class[i]] : "";
    gunichar u = g_utf8_get_char_validated(c, -1);
    if (u >= (gunichar)-2 || u == 0 || !g_unichar_isprint(u))
      continue;
    if (gap_before && gap_before[i] && !g_str_equal(c, " ") && !g_str_equal(before, " ") &&
        is_spaced_script(c) && is_spaced_script(before))
      g_string_append_c(text, ' ');
    g_string_append(text, c);
    before = c;
  }
  return g_strstrip(g_string_free(g_steal_pointer(&text), FALSE));
}

gboolean mnk_text_is_plausible(const char *text) {
  guint good = 0, all = 0;

  for (const char *p = text; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    all += !g_unichar_isspace(c);
    good += g_unichar_isalnum(c);
  }
  return good >= 2 && good * 10 >= all * 6;
}
