/* Runs cases through the token memory for tests/reference/memory_tokens.py, which made them and
 * compares: memory_cases IN OUT. Numbers are as this machine has them; a case begins with a letter
 * in four bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_io.h"
#include "memory/memory.h"

typedef struct {
  guint32 n, columns;
  gint64 pts_ms;
  float *rows;
} Frame;

static void take_frame(FILE *in, guint dim, Frame *frame) {
  frame->n = take_u32(in);
  frame->columns = take_u32(in);
  take(in, &frame->pts_ms, sizeof frame->pts_ms, 1);
  frame->rows = g_new(float, (gsize)frame->n *dim);
  take(in, frame->rows, dim * sizeof(float), frame->n);
}

static void give_memory(FILE *out, const MnkTokenMemory *memory, guint dim) {
  guint32 count = mnk_token_memory_count(memory);
  guint n;
  const guint32 *labels = mnk_token_memory_labels(memory, &n);
  const MnkCentre *stats = mnk_token_memory_stats(memory);
  g_autofree guint *order = g_new(guint, count);
  mnk_token_memory_order(memory, order);
  give(out, &count, sizeof count, 1);
  give(out, labels, sizeof *labels, n);
  give(out, mnk_token_memory_centres(memory), dim * sizeof(float), count);
  for (guint i = 0; i < count; i++) {
    double means[] = {stats[i].t_ms, stats[i].row, stats[i].column};
    gint64 times[] = {stats[i].first_ms, stats[i].last_ms};
    gint64 weight = stats[i].count;
    give(out, &weight, sizeof weight, 1);
    give(out, means, sizeof *means, G_N_ELEMENTS(means));
    give(out, times, sizeof *times, G_N_ELEMENTS(times));
  }
  give(out, order, sizeof *order, count);
}

static void run_memory(FILE *in, FILE *out) {
  MnkTokenMemoryConfig config = {
      .mode = (MnkTokenMemoryMode)take_u32(in),
      .tokens = take_u32(in),
      .dim = take_u32(in),
      .iterations = take_u32(in),
      .cap_counts = take_u32(in),
      .exact = take_u32(in) != 0,
  };
  guint frames = take_u32(in);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_new(&config, &error);
  if (memory == NULL)
    g_error("%s", error->message);
  for (guint i = 0; i < frames; i++) {
    Frame frame;
    take_frame(in, config.dim, &frame);
    mnk_token_memory_add_rows(memory, frame.rows, frame.n, frame.columns, frame.pts_ms);
    g_free(frame.rows);
    give_memory(out, memory, config.dim);
  }
}

static void run_drop(FILE *in, FILE *out) {
  MnkTokenDropConfig config = {.threshold = take_float(in), .refresh = take_u32(in)};
  config.window = take_u32(in);
  config.deviations = take_float(in);
  guint dim = take_u32(in), frames = take_u32(in);
  g_autoptr(MnkTokenDrop) drop = mnk_token_drop_new(&config);
  for (guint i = 0; i < frames; i++) {
    Frame frame;
    take_frame(in, dim, &frame);
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkTokens) tokens =
        mnk_tokens_new(frame.rows, frame.n, dim, frame.columns, frame.pts_ms, &error);
    if (tokens == NULL)
      g_error("%s", error->message);
    g_autofree guint8 *keep = g_malloc(frame.n);
    float score;
    gboolean boundary;
    guint32 kept = mnk_token_drop_add(drop, tokens, keep, &score, &boundary);
    guint32 is_boundary = boundary != FALSE;
    give(out, keep, 1, frame.n);
    give(out, &score, sizeof score, 1);
    give(out, &is_boundary, sizeof is_boundary, 1);
    give(out, &kept, sizeof kept, 1);
    g_free(frame.rows);
  }
}

static void run_halves(FILE *in, FILE *out) {
  guint n = take_u32(in);
  g_autofree float *values = g_new(float, n);
  g_autofree guint16 *halves = g_new(guint16, n);
  take(in, values, sizeof *values, n);
  mnk_half_from_float(values, halves, n);
  mnk_half_to_float(halves, values, n);
  give(out, halves, sizeof *halves, n);
  give(out, values, sizeof *values, n);
}

int main(int argc, char **argv) {
  FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
  FILE *out = argc == 3 ? fopen(argv[2], "wb") : NULL;
  if (in == NULL || out == NULL)
    g_error("usage: memory_cases IN OUT");
  guint32 what;
  while (fread(&what, sizeof what, 1, in) == 1) {
    if (what == 'M')
      run_memory(in, out);
    else if (what == 'D')
      run_drop(in, out);
    else if (what == 'H')
      run_halves(in, out);
    else
      g_error("unknown case %u", what);
  }
  fclose(in);
  if (fclose(out) != 0)
    g_error("the results cannot be written");
  return 0;
}
