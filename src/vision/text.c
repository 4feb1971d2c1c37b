/* Text: PP-OCRv4 (PaddleOCR, 2023). A detector gives a map of where text is, a recogniser reads one
 * line at a time. Both are dear, so they run only when the picture has changed where it matters,
 * and a line that looks as before is not read again. */
#include "vision/text_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "models/models.h"
#include "vision/boxes_priv.h"
#include "vision/perception_priv.h"

enum {
  LINE_HEIGHT = 48,
  STEP = 8, /* columns of a line for one step of the recogniser */
  THUMB_W = 96,
  THUMB_H = 54,
  PRINT_W = 48,
  PRINT_H = 8,
  MAX_READ = 8, /* lines read anew for one frame */
  MAX_KNOWN = 24,
  MAX_COLUMNS = 1400, /* a line longer than this would be squeezed beyond reading */
  REST_FRAMES = 3,    /* a picture that only moves is not searched more often */
};

static const float LINE_SCORE = 0.85f;
static const float CELL_CHANGED = 22, REGION_CHANGED = 9, PRINT_CHANGED = 11; /* of 255 */
static const float PICTURE_CHANGED = 0.03f;                                   /* share of cells */

/* The detector takes any multiple of 32; few sizes, so that each is prepared once. */
static const struct {
  int width, height;
} detect_sizes[] = {{672, 384}, {576, 448}, {512, 512}, {448, 576}, {384, 672}};
/* The same for the recogniser's lines. */
static const int line_widths[] = {64, 96, 128, 192, 256, 320, 448, 640, 960, 1280};

static const MnkNetSpec detect_spec = {"text-detect", MNK_ELEMENT_F32, {4, {1, 3, 384, 672}}, 1};
static const MnkNetSpec read_spec = {
    "text-recognise", MNK_ELEMENT_F32, {4, {1, 3, LINE_HEIGHT, 320}}, 1};
static const MnkInputFormat text_format = {
    .planar = TRUE,
    .bgr = TRUE,
    .scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f},
    .bias = {-1, -1, -1},
};

/* A line read before; an empty text for one that was junk. */
typedef struct {
  MnkTextRegion region; /* picture pixels */
  guint8 print[PRINT_W * PRINT_H];
  MnkTextLine line;
} Known;

typedef struct {
  MnkNet *detect, *read;
  MnkCharset *charset;
  guint8 thumb[THUMB_W * THUMB_H]; /* of the picture last searched */
  gboolean searched;
  guint rested; /* frames since */
  guint n_known;
  Known known[MAX_KNOWN]; /* of the last search */
} Text;

static void text_close(gpointer state) {
  Text *text = state;

  mnk_net_free(text->detect);
  mnk_net_free(text->read);
  mnk_charset_free(text->charset);
  g_free(text);
}

static MnkCharset *load_charset(const char *models_dir, GError **error) {
  g_autofree char *path = mnk_models_path(models_dir, mnk_models_find(read_spec.model));

  return mnk_charset_from_onnx(path, error);
}

static gpointer text_open(MnkRuntime *runtime, const char *models_dir, GError **error) {
  Text *text = g_new0(Text, 1);

  text->detect = mnk_net_load(runtime, models_dir, &detect_spec, error);
  if (text->detect)
    text->read = mnk_net_load(runtime, models_dir, &read_spec, error);
  if (text->read)
    text->charset = load_charset(models_dir, error);
  if (!text->charset)
    g_clear_pointer(&text, text_close);
  return text;
}

/* ---- Whether to search ---- */

/* Mean difference over the cells under a line. */
static float change_under(const Text *text, const guint8 *thumb, const MnkBox *box) {
  int x0 = CLAMP((int)(box->x * THUMB_W), 0, THUMB_W - 1);
  int y0 = CLAMP((int)(box->y * THUMB_H), 0, THUMB_H - 1);
  int x1 = CLAMP((int)ceilf((box->x + box->w) * THUMB_W), x0 + 1, THUMB_W);
  int y1 = CLAMP((int)ceilf((box->y + box->h) * THUMB_H), y0 + 1, THUMB_H);
  int sum = 0;

  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++)
      sum += abs(thumb[y * THUMB_W + x] - text->thumb[y * THUMB_W + x]);
  return (float)sum / (float)((x1 - x0) * (y1 - y0));
}

static float share_changed(const Text *text, const guint8 *thumb) {
  int n = 0;

  for (int i = 0; i < THUMB_W * THUMB_H; i++)
    n += abs(thumb[i] - text->thumb[i]) > CELL_CHANGED;
  return (float)n / (THUMB_W * THUMB_H);
}

static gboolean worth_a_search(const Text *text, const guint8 *thumb, gboolean new_shot) {
  if (new_shot || !text->searched)
    return TRUE;
  for (guint i = 0; i < text->n_known; i++)
    if (text->known[i].line.text[0] &&
        change_under(text, thumb, &text->known[i].line.box) > REGION_CHANGED)
      return TRUE;
  return text->rested >= REST_FRAMES && share_changed(text, thumb) > PICTURE_CHANGED;
}

/* ---- Where ---- */

/* The size whose shape is nearest to the picture's. */
static MnkInputFormat detect_format(const MnkPicture *picture) {
  MnkInputFormat format = text_format;
  double shape = log((double)picture->width / picture->height), best = INFINITY;

  for (guint i = 0; i < G_N_ELEMENTS(detect_sizes); i++) {
    double d = fabs(log((double)detect_sizes[i].width / detect_sizes[i].height) - shape);
    if (d < best) {
      best = d;
      format.width = detect_sizes[i].width;
      format.height = detect_sizes[i].height;
    }
  }
  return format;
}

static gboolean find_regions(Text *text, const MnkPicture *picture, MnkTextRegion *regions,
                             guint *n, GError **error) {
  MnkInputFormat format = detect_format(picture);
  MnkShape shape = {4, {1, 3, (gsize)format.height, (gsize)format.width}};
  MnkRect place = mnk_letterbox(picture, &format), whole = {0, 0, picture->width, picture->height};
  void *input = mnk_net_input(text->detect, &shape, error);
  const float *map;

  if (!input)
    return FALSE;
  mnk_resample(picture, &whole, &format, &place, input);
  if (!mnk_net_run(text->detect, error) ||
      !(map = mnk_net_output_of(text->detect, 0, (gsize)format.width * format.height, error)))
    return FALSE;
  *n = mnk_text_regions(map, format.width, format.height, regions);
  float scale = (float)picture->width / place.w;
  for (guint i = 0; i < *n; i++) {
    regions[i].cx = (regions[i].cx - place.x) * scale;
    regions[i].cy = (regions[i].cy - place.y) * scale;
    regions[i].w *= scale;
    regions[i].h *= scale;
  }
  return TRUE;
}

static MnkBox upright_box(const MnkTextRegion *r, const MnkPicture *picture) {
  float c = fabsf(cosf(r->angle)), s = fabsf(sinf(r->angle));
  float w = (r->w * c + r->h * s) / picture->width, h = (r->w * s + r->h * c) / picture->height;
  MnkBox box = {r->cx / picture->width - w / 2, r->cy / picture->height - h / 2, w, h};

  return mnk_box_clip(&box);
}

/* ---- What it says ---- */

static void take_print(const MnkPicture *picture, const MnkTextRegion *r, guint8 *print) {
  static const MnkInputFormat format = {.width = PRINT_W, .height = PRINT_H, .bytes = TRUE};
  MnkAffine affine = mnk_affine_for(r->cx, r->cy, r->w, r->h, r->angle, PRINT_W, PRINT_H);
  guint8 rgb[PRINT_W * PRINT_H * 3];

  mnk_warp(picture, &affine, &format, PRINT_W, rgb);
  for (int i = 0; i < PRINT_W * PRINT_H; i++)
    print[i] = rgb[3 * i + 1];
}

/* The line of the last search that stood here and looked like this. */
static const Known *recall(const Text *text, const Known *line) {
  float close = 0.15f * line->region.h;

  for (guint i = 0; i < text->n_known; i++) {
    const Known *k = &text->known[i];
    int sum = 0;
    if (fabsf(k->region.cx - line->region.cx) > close ||
        fabsf(k->region.cy - line->region.cy) > close ||
        fabsf(k->region.w - line->region.w) > 2 * close)
      continue;
    for (int j = 0; j < PRINT_W * PRINT_H; j++)
      sum += abs(k->print[j] - line->print[j]);
    if (sum < PRINT_CHANGED * PRINT_W * PRINT_H)
      return k;
  }
  return NULL;
}

static int line_width(int columns) {
  for (guint i = 0; i < G_N_ELEMENTS(line_widths); i++)
    if (columns <= line_widths[i])
      return line_widths[i];
  return line_widths[G_N_ELEMENTS(line_widths) - 1];
}

static int columns_of(const MnkTextRegion *r) {
  return MAX((int)lroundf(LINE_HEIGHT * r->w / MAX(r->h, 1)), 16);
}

/* Cuts the line out of the picture into the input, its right end filled with mid grey. */
static float *cut_line(Text *text, const MnkPicture *picture, const MnkTextRegion *r,
                       MnkInputFormat *format, GError **error) {
  int columns = columns_of(r);

  *format = text_format;
  format->height = LINE_HEIGHT;
  format->width = line_width(columns);
  columns = MIN(columns, format->width); /* a longer line is squeezed, a little */
  MnkShape shape = {4, {1, 3, LINE_HEIGHT, (gsize)format->width}};
  MnkAffine affine = mnk_affine_for(r->cx, r->cy, r->w, r->h, r->angle, columns, LINE_HEIGHT);
  float *input = mnk_net_input(text->read, &shape, error);
  if (!input)
    return NULL;
  memset(input, 0, sizeof *input * 3 * LINE_HEIGHT * (gsize)format->width);
  mnk_warp(picture, &affine, format, columns, input);
  return input;
}

/* As much as fits, whole characters. */
static void copy_text(char *to, const char *from, gsize size) {
  const char *end = from + g_strlcpy(to, from, size);

  if ((gsize)(end - from) >= size && !g_utf8_validate(to, -1, &end))
    to[end - to] = '\0';
}

static gboolean read_line(Text *text, const MnkPicture *picture, Known *line, GError **error) {
  MnkInputFormat format;
  MnkShape shape;
  MnkCtcPath path;
  gboolean gap_before[MNK_TEXT_MAX_CHARS];
  const float *input = cut_line(text, picture, &line->region, &format, error), *output;

  if (!input || !mnk_net_run(text->read, error) ||
      !(output = mnk_net_output(text->read, 0, &shape, error)))
    return FALSE;
  if (shape.rank != 3 || shape.dims[2] != text->charset->n) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_MODEL,
                        "the text recogniser's output does not fit its character table");
    return FALSE;
  }
  mnk_ctc_decode(output, (guint)shape.dims[1], (guint)shape.dims[2], &path);
  if (!(path.score >= LINE_SCORE))
    return TRUE;
  line->line.score = MIN(path.score, 1.0f);
  mnk_text_find_gaps(input + (gsize)LINE_HEIGHT * format.width, format.width, LINE_HEIGHT, STEP,
                     &path, gap_before);
  g_autofree char *spelt = mnk_text_spell(&path, text->charset, gap_before);
  if (mnk_text_is_plausible(spelt))
    copy_text(line->line.text, spelt, sizeof line->line.text);
  return TRUE;
}

/* ---- Looking ---- */

static gboolean search(Text *text, const MnkPicture *picture, GError **error) {
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];
  g_autofree Known *lines = g_new0(Known, MAX_KNOWN);
  guint n, n_lines = 0, n_read = 0;

  if (!find_regions(text, picture, regions, &n, error))
    return FALSE;
  for (guint i = 0; i < n && n_lines < MAX_KNOWN; i++) {
    Known *line = &lines[n_lines];
    line->region = regions[i];
    line->line.box = upright_box(&regions[i], picture);
    take_print(picture, &regions[i], line->print);
    const Known *before = recall(text, line);
    if (before) {
      memcpy(line->line.text, before->line.text, sizeof line->line.text);
      line->line.score = before->line.score;
    } else if (columns_of(&regions[i]) > MAX_COLUMNS || n_read++ >= MAX_READ) {
      continue;
    } else if (!read_line(text, picture, line, error)) {
      return FALSE;
    }
    n_lines++;
  }
  memcpy(text->known, lines, sizeof *lines * n_lines);
  text->n_known = n_lines;
  return TRUE;
}

static float middle(const MnkTextLine *line) {
  return line->box.y + line->box.h / 2;
}

static int by_height(const void *a, const void *b) {
  float p = middle(a), q = middle(b);

  return (p > q) - (p < q);
}

static int by_left(const void *a, const void *b) {
  const MnkTextLine *p = a, *q = b;

  return (p->box.x > q->box.x) - (p->box.x < q->box.x);
}

/* Row by row from the top; in a row from the left. */
static void sort_for_reading(MnkTextLine *lines, guint n) {
  if (n < 2)
    return;
  qsort(lines, n, sizeof *lines, by_height);
  for (guint first = 0, end; first < n; first = end) {
    float limit = middle(&lines[first]) + 0.5f * lines[first].box.h;
    for (end = first + 1; end < n && middle(&lines[end]) < limit;)
      end++;
    qsort(lines + first, end - first, sizeof *lines, by_left);
  }
}

static void report(const Text *text, MnkObservation *obs) {
  obs->text_ran = TRUE;
  for (guint i = 0; i < text->n_known && obs->n_texts < MNK_OBS_MAX_TEXTS; i++)
    if (text->known[i].line.text[0])
      obs->texts[obs->n_texts++] = text->known[i].line;
  sort_for_reading(obs->texts, obs->n_texts);
}

static gboolean text_look(gpointer state, MnkLook *look, GError **error) {
  Text *text = state;
  guint8 thumb[THUMB_W * THUMB_H];

  if (!mnk_frame_thumbnail(look->frame, thumb, THUMB_W, THUMB_H))
    memset(thumb, 0, sizeof thumb);
  text->rested++;
  if (!worth_a_search(text, thumb, look->new_shot))
    return TRUE;
  if (look->new_shot)
    text->n_known = 0;
  if (!search(text, &look->picture, error))
    return FALSE;
  memcpy(text->thumb, thumb, sizeof thumb);
  text->searched = TRUE;
  text->rested = 0;
  report(text, look->obs);
  return TRUE;
}

const MnkPartOps mnk_part_text = {
    MNK_PART_TEXT, "text", {"text-detect", "text-recognise"}, text_open, text_close, text_look,
};
