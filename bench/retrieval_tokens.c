/* Views of pictures and clips as tokens, for retrieval_bench.
 *
 *   retrieval_tokens OUT <LIST
 *
 * LIST has a line for each file, tabs between: half (0 or 1), path, first and last second of a clip
 * (or -), what is to be seen. Of a picture three frames are made, as a camera would see it that
 * moves a little, and four questions: two other views of most of it and two small parts, mirrored,
 * brighter or darker. Of a clip, moments of three frames, a second apart. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "media/media.h"
#include "retrieval_tokens.h"
#include "vision/vision.h"

enum { LONG_SIDE = 640, MOMENTS = 6, MOMENT_FRAMES = 3 };

/* A part of the picture, 0..1, and what is done to it. */
typedef struct {
  double x, y, side;
  gboolean mirrored;
  double gain;
  ViewKind kind;
} Look;

static const Look looks[] = {
    {0, 0, 1, FALSE, 1, VIEW_FRAME},
    {0, 0, 0.92, FALSE, 1, VIEW_FRAME},
    {0.08, 0.08, 0.92, FALSE, 1, VIEW_FRAME},
    {0.40, 0.05, 0.55, FALSE, 1.35, VIEW_OTHER},
    {0.05, 0.35, 0.60, TRUE, 0.65, VIEW_OTHER},
    {0.15, 0.30, 0.32, TRUE, 1.2, VIEW_PART},
    {0.50, 0.38, 0.32, FALSE, 0.8, VIEW_PART},
};

typedef struct {
  MnkPerception *perception;
  FILE *out;
  guint pictures;
} Maker;

/* ---- Pixels ---- */

static MnkFrame *part(const MnkFrame *frame, const Look *look) {
  int x0 = (int)(look->x * frame->width), y0 = (int)(look->y * frame->height);
  int width = MAX((int)(look->side * frame->width), 8);
  int height = MAX((int)(look->side * frame->height), 8);
  width = MIN(width, frame->width - x0);
  height = MIN(height, frame->height - y0);
  g_autofree guint8 *rgb = g_malloc((gsize)width * (gsize)height * 3);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      int from = look->mirrored ? width - 1 - x : x;
      const guint8 *in =
          frame->planes[0] + (gsize)(y0 + y) * (gsize)frame->strides[0] + (gsize)(x0 + from) * 3;
      guint8 *to = rgb + ((gsize)y * (gsize)width + (gsize)x) * 3;
      for (int c = 0; c < 3; c++)
        to[c] = (guint8)CLAMP(in[c] * look->gain, 0, 255);
    }
  return mnk_frame_new_rgb(rgb, width, height, width * 3, frame->pts_ms);
}

/* ---- Tokens ---- */

static gboolean look_at(Maker *maker, const MnkFrame *frame, guint parts, MnkObservation *obs) {
  g_autoptr(GError) error = NULL;
  memset(obs, 0, sizeof *obs);
  mnk_perception_set_parts(maker->perception, parts);
  if (mnk_perception_look(maker->perception, frame, TRUE, obs, &error))
    return TRUE;
  g_printerr("retrieval_tokens: %s\n", error->message);
  return FALSE;
}

static void name_all(const MnkObservation *obs, char out[NAMES]) {
  *out = '\0';
  for (guint i = 0; i < obs->n_labels; i++) {
    g_strlcat(out, obs->labels[i].name, NAMES);
    g_strlcat(out, ", ", NAMES);
  }
  for (guint i = 0; i < obs->n_objects; i++) {
    g_strlcat(out, obs->objects[i].name, NAMES);
    g_strlcat(out, ", ", NAMES);
  }
}

static gboolean make_tokens(Maker *maker, const MnkFrame *frame, View *view) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  if (!look_at(maker, frame, MNK_PART_SCENES | MNK_PART_OBJECTS, obs))
    return FALSE;
  name_all(obs, view->names);
  for (int i = 0; i < TOKENS; i++) {
    int column = i % GRID, row = i / GRID;
    Look of = {.x = column * 0.25, .y = row * 0.25, .side = 0.5, .gain = 1};
    guint n;
    g_autoptr(MnkFrame) piece = part(frame, &of);
    const float *features = look_at(maker, piece, MNK_PART_SCENES, obs)
                                ? mnk_perception_features(maker->perception, &n)
                                : NULL;
    if (features == NULL || n != DIM)
      return FALSE;
    memcpy(view->tokens[i], features, sizeof view->tokens[i]);
  }
  return TRUE;
}

static gboolean write_view(Maker *maker, const MnkFrame *frame, View *view) {
  return make_tokens(maker, frame, view) && fwrite(view, sizeof *view, 1, maker->out) == 1;
}

/* ---- Files ---- */

static gboolean write_picture(Maker *maker, const MnkFrame *frame, View *view) {
  view->picture = maker->pictures++;
  view->asked = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS(looks); i++) {
    g_autoptr(MnkFrame) seen = part(frame, &looks[i]);
    view->kind = looks[i].kind;
    if (!write_view(maker, seen, view))
      return FALSE;
  }
  return TRUE;
}

static MnkFrame *next_frame(MnkSource *source) {
  for (;;) {
    g_autoptr(MnkFrame) frame = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    MnkReadStatus status = mnk_source_read(source, &frame, &audio, NULL);
    if (status == MNK_READ_END || status == MNK_READ_ERROR)
      return NULL;
    if (status == MNK_READ_FRAME && frame->sampled)
      return mnk_frame_convert(frame, MNK_FRAME_RGB, LONG_SIDE, NULL);
  }
}

/* At most MOMENTS, as many seconds left out between two as there are in one. */
static gboolean write_clip(Maker *maker, MnkSource *source, MnkFrame *first, View *view) {
  g_autoptr(MnkFrame) frame = mnk_frame_ref(first);
  view->kind = VIEW_FRAME;
  view->asked = FALSE;
  for (guint i = 0; frame != NULL && i < 2 * MOMENTS * MOMENT_FRAMES; i++) {
    if (i % (2 * MOMENT_FRAMES) == 0)
      view->picture = maker->pictures++;
    if (i % (2 * MOMENT_FRAMES) < MOMENT_FRAMES && !write_view(maker, frame, view))
      return FALSE;
    mnk_frame_unref(frame);
    frame = next_frame(source);
  }
  return TRUE;
}

static gboolean write_file(Maker *maker, char **fields) {
  g_autoptr(GError) error = NULL;
  g_autofree View *view = g_new0(View, 1);
  gboolean whole = g_str_equal(fields[2], "-");
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = fields[1],
                            .fd = g_open(fields[1], O_RDONLY | O_CLOEXEC, 0),
                            .fps = 1,
                            .from_ms = whole ? 0 : g_ascii_strtoll(fields[2], NULL, 10) * 1000,
                            .to_ms = whole ? -1 : g_ascii_strtoll(fields[3], NULL, 10) * 1000,
                            .max_pixels = 36000000};
  g_autoptr(MnkSource) source = config.fd >= 0 ? mnk_source_open(&config, &error) : NULL;
  g_autoptr(MnkFrame) first = source != NULL ? next_frame(source) : NULL;
  if (first == NULL) {
    g_printerr("retrieval_tokens: %s cannot be read\n", fields[1]);
    return FALSE;
  }
  view->half = (guint32)g_ascii_strtoull(fields[0], NULL, 10);
  g_strlcpy(view->file, fields[1], sizeof view->file);
  g_strlcpy(view->words, fields[4], sizeof view->words);
  g_autoptr(MnkFrame) second = next_frame(source);
  if (second == NULL)
    return write_picture(maker, first, view);
  return write_clip(maker, source, first, view);
}

static gboolean write_all(Maker *maker) {
  char line[8192];
  while (fgets(line, sizeof line, stdin) != NULL) {
    g_auto(GStrv) fields = g_strsplit(g_strchomp(line), "\t", -1);
    if (g_strv_length(fields) != 5 || !write_file(maker, fields))
      return FALSE;
  }
  return fflush(maker->out) == 0;
}

int main(int argc, char **argv) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *compiled = g_build_filename(cache, "compiled", NULL);
  g_autoptr(GError) error = NULL;
  MnkPerceptionConfig config = {
      .cache_dir = compiled, .threads = 1, .parts = MNK_PART_SCENES | MNK_PART_OBJECTS};
  g_autoptr(MnkPerception) perception = mnk_perception_new(&config, &error);
  if (perception == NULL || argc != 2) {
    g_printerr("retrieval_tokens: %s\n", error != NULL ? error->message : "usage: OUT <LIST");
    return 2;
  }
  Maker maker = {.perception = perception, .out = fopen(argv[1], "wbe")};
  gboolean ok = maker.out != NULL && write_all(&maker);
  if (maker.out != NULL)
    fclose(maker.out);
  return ok ? 0 : 1;
}
