/* Shot boundaries on procedural scenes with known cuts, dissolves and fades, and on what must not
 * be taken for one. */
#include "pictures.h"
#include "vision/vision.h"

#include <math.h>
#include <string.h>

enum { VIEW_WIDTH = 160, VIEW_HEIGHT = 90, VIEW_BYTES = VIEW_WIDTH * VIEW_HEIGHT * 3 };

/* Draws the frame at t seconds. */
typedef void (*Draw)(guint8 *rgb, double t, gpointer data);

typedef struct {
  MnkShotBoundary found[32];
  gint64 known_ms[32]; /* when it was reported */
  guint n;
} Findings;

static void add_finding(Findings *findings, MnkShotBoundary boundary, gint64 now_ms) {
  g_assert_cmpuint(findings->n, <, G_N_ELEMENTS(findings->found));
  g_assert_cmpint(boundary.start_ms, <=, boundary.end_ms);
  g_assert_true(boundary.score >= 0 && boundary.score <= 1);
  if (findings->n > 0)
    g_assert_cmpint(boundary.start_ms, >, findings->found[findings->n - 1].end_ms);
  g_test_message("%s %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " score %.2f at %" G_GINT64_FORMAT,
                 boundary.kind == MNK_CUT_HARD ? "hard" : "soft", boundary.start_ms,
                 boundary.end_ms, (double)boundary.score, now_ms);
  findings->found[findings->n] = boundary;
  findings->known_ms[findings->n++] = now_ms;
}

static gint64 pts_of(int frame, double fps) {
  return (gint64)floor(frame * 1000 / fps + 0.5);
}

static Findings run(Draw draw, gpointer data, double seconds, double fps) {
  g_autoptr(MnkShots) shots = mnk_shots_new();
  g_autofree guint8 *rgb = g_malloc(VIEW_BYTES);
  Findings findings = {.n = 0};
  MnkShotBoundary boundary;
  gint64 now = 0;
  for (int i = 0; i < (int)(seconds * fps); i++) {
    now = pts_of(i, fps);
    draw(rgb, i / fps, data);
    g_autoptr(MnkFrame) frame =
        mnk_frame_new_rgb(rgb, VIEW_WIDTH, VIEW_HEIGHT, 3 * VIEW_WIDTH, now);
    if (mnk_shots_push(shots, frame, &boundary))
      add_finding(&findings, boundary, now);
  }
  while (mnk_shots_flush(shots, &boundary))
    add_finding(&findings, boundary, now);
  return findings;
}

/* ---- Scenes: two pictures under moving cameras, and a transition between them ---- */

typedef struct {
  Picture *pictures[2];
  double speed;         /* of the camera, widths a second */
  double begin, length; /* seconds */
  double fps;
  GRand *rand;
  int width; /* of a disturbance, frames */
} Scene;

static void scene_init(Scene *scene, guint seed, double begin, double length) {
  *scene = (Scene){.begin = begin, .length = length, .fps = 25};
  scene->pictures[0] = picture_new(seed);
  scene->pictures[1] = picture_new(seed + 5000);
  scene->rand = g_rand_new_with_seed(seed);
}

static void scene_clear(Scene *scene) {
  picture_free(scene->pictures[0]);
  picture_free(scene->pictures[1]);
  g_rand_free(scene->rand);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scene, scene_clear)

static void draw_one(const Scene *scene, int which, guint8 *rgb, double t) {
  Camera camera = {.x = scene->speed * t * VIEW_WIDTH, .zoom = 1.1};
  picture_view(scene->pictures[which], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

/* A hair after the exact time, so that a frame at a boundary is on its new side. */
static const double HAIR = 1e-6;

static void draw_dissolve(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  double share =
      scene->length > 0 ? (t - scene->begin) / scene->length : (t + HAIR >= scene->begin ? 1 : 0);
  g_autofree guint8 *second = g_malloc(VIEW_BYTES);
  draw_one(scene, share < 1 ? 0 : 1, rgb, t);
  if (share > 0 && share < 1) {
    draw_one(scene, 1, second, t);
    view_mix(rgb, second, VIEW_BYTES, share);
  }
}

static void assert_hard(const Findings *findings, guint i, gint64 pts_ms) {
  g_assert_cmpuint(i, <, findings->n);
  g_assert_cmpint(findings->found[i].kind, ==, MNK_CUT_HARD);
  g_assert_cmpint(findings->found[i].start_ms, ==, pts_ms);
  g_assert_cmpint(findings->found[i].end_ms, ==, pts_ms);
}

static void assert_soft(const Findings *findings, guint i, double begin, double end,
                        double within) {
  g_assert_cmpuint(i, <, findings->n);
  const MnkShotBoundary *b = &findings->found[i];
  g_assert_cmpint(b->kind, ==, MNK_CUT_SOFT);
  g_assert_cmpfloat_with_epsilon((double)b->start_ms / 1000, begin, 2 * within);
  g_assert_cmpfloat_with_epsilon((double)b->end_ms / 1000, end, 2 * within);
  g_assert_cmpfloat_with_epsilon((double)(b->start_ms + b->end_ms) / 2000, (begin + end) / 2,
                                 within);
}

static void test_hard_cut_at_any_rate(void) {
  static const double rates[] = {1, 2, 5, 10, 15, 23.976, 25, 29.97, 30, 50, 60};
  for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
    g_auto(Scene) scene;
    int cut = (int)ceil(MAX(3, 2.4 * rates[i]));
    scene_init(&scene, 100 + i, cut / rates[i], 0);
    Findings findings = run(draw_dissolve, &scene, 2 * cut / rates[i], rates[i]);
    g_assert_cmpuint(findings.n, ==, 1);
    assert_hard(&findings, 0, pts_of(cut, rates[i]));
    g_assert_cmpint(findings.known_ms[0] - findings.found[0].end_ms, <=, 2000);
  }
}

static void test_hard_cut_between_pans(void) {
  for (guint i = 0; i < 6; i++) {
    g_auto(Scene) scene;
    scene_init(&scene, 200 + i, 2, 0);
    scene.speed = 0.1 * i;
    Findings findings = run(draw_dissolve, &scene, 4, 25);
    g_assert_cmpuint(findings.n, ==, 1);
    assert_hard(&findings, 0, 2000);
  }
}

static void test_dissolves(void) {
  static const double lengths[] = {0.2, 0.32, 0.6, 1, 1.6, 2.4}, rates[] = {12, 25, 30, 60};
  for (guint r = 0; r < G_N_ELEMENTS(rates); r++)
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
      g_auto(Scene) scene;
      g_test_message("%.2f s at %.0f frames a second", lengths[i], rates[r]);
      scene_init(&scene, 300 + i, 2, lengths[i]);
      scene.speed = i % 2 == 1 ? 0.02 : 0;
      Findings findings = run(draw_dissolve, &scene, 4 + 1.5 * lengths[i], rates[r]);
      g_assert_cmpuint(findings.n, ==, 1);
      assert_soft(&findings, 0, 2, 2 + lengths[i], MAX(1 / rates[r], 0.06 * lengths[i]));
      g_assert_cmpint(findings.known_ms[0] - findings.found[0].end_ms, <=, 2000);
    }
}

/* One blended frame at 25 a second, as frame rate conversion makes it, is a cut. */
static void test_blended_frame_is_hard(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 400, 1.96, 0.08);
  Findings findings = run(draw_dissolve, &scene, 4, 25);
  g_assert_cmpuint(findings.n, ==, 1);
  g_assert_cmpint(findings.found[0].kind, ==, MNK_CUT_HARD);
  g_assert_cmpint(ABS(findings.found[0].start_ms - 2000), <=, 40);
}

/* ---- Fades ---- */

/* Out for length seconds, blank for width frames, in for length seconds. */
static void draw_dip(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  double middle = scene->begin + scene->length, back = middle + scene->width / scene->fps;
  g_autofree guint8 *blank = g_malloc(VIEW_BYTES);
  view_fill(blank, VIEW_BYTES, 255, 255, 255);
  draw_one(scene, t < middle ? 0 : 1, rgb, t);
  double in = (t - back) / scene->length, out = (t - scene->begin) / scene->length;
  view_mix(rgb, blank, VIEW_BYTES, t < middle ? CLAMP(out, 0, 1) : 1 - CLAMP(in, 0, 1));
}

static void draw_black_dip(guint8 *rgb, double t, gpointer data) {
  draw_dip(rgb, t, data);
  const Scene *scene = data;
  double middle = scene->begin + scene->length, back = middle + scene->width / scene->fps;
  double gain = t < middle ? 1 - (t - scene->begin) / scene->length : (t - back) / scene->length;
  draw_one(scene, t < middle ? 0 : 1, rgb, t);
  view_light(rgb, VIEW_BYTES, CLAMP(gain, 0, 1), 0);
}

static void test_dips(void) {
  static const double lengths[] = {0.24, 0.48, 0.96};
  static const int holds[] = {1, 5, 12};
  for (guint i = 0; i < G_N_ELEMENTS(lengths); i++)
    for (guint k = 0; k < G_N_ELEMENTS(holds); k++)
      for (guint white = 0; white < 2; white++) {
        g_auto(Scene) scene;
        scene_init(&scene, 500 + i, 2, lengths[i]);
        scene.width = holds[k];
        Findings findings = run(white ? draw_dip : draw_black_dip, &scene, 6, 25);
        g_assert_cmpuint(findings.n, ==, 1);
        assert_soft(&findings, 0, 2, 2 + 2 * lengths[i] + holds[k] / 25.0, 0.08);
        g_assert_cmpint(findings.known_ms[0] - findings.found[0].end_ms, <=, 2000);
      }
}

/* Two seconds of black are a shot of their own, between two boundaries. */
static void test_long_black(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 520, 2, 0.6);
  scene.width = 50;
  Findings findings = run(draw_black_dip, &scene, 8, 25);
  g_assert_cmpuint(findings.n, ==, 2);
  assert_soft(&findings, 0, 2, 2.6, 0.08);
  assert_soft(&findings, 1, 4.6, 5.2, 0.08);
}

static void draw_fade_to_the_end(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  draw_one(scene, 0, rgb, t);
  view_light(rgb, VIEW_BYTES, CLAMP(1 - (t - scene->begin) / scene->length, 0, 1), 0);
}

static void test_fade_out_at_the_end(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 530, 2, 1);
  Findings findings = run(draw_fade_to_the_end, &scene, 3.3, 25);
  g_assert_cmpuint(findings.n, ==, 1);
  assert_soft(&findings, 0, 2, 3, 0.08);
}

/* ---- What is no boundary ---- */

static void assert_nothing(Draw draw, guint seed, double speed, double fps) {
  g_auto(Scene) scene;
  scene_init(&scene, seed, 1e9, 0);
  scene.speed = speed;
  scene.fps = fps;
  for (scene.width = 1; scene.width == 1 || scene.width / fps <= 0.18; scene.width += 2) {
    Findings findings = run(draw, &scene, 5, fps);
    g_assert_cmpuint(findings.n, ==, 0);
  }
}

static void draw_noisy(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  draw_one(scene, 0, rgb, t);
  view_noise(rgb, VIEW_BYTES, 20, scene->rand);
}

/* Every 0.8 s something lasts for scene->width frames. */
static gboolean disturbed(const Scene *scene, double t) {
  int frame = (int)floor(t * scene->fps + 0.5);
  return frame % (int)(0.8 * scene->fps) >= 9 && frame % (int)(0.8 * scene->fps) < 9 + scene->width;
}

static void draw_flashes(guint8 *rgb, double t, gpointer data) {
  draw_one(data, 0, rgb, t);
  if (disturbed(data, t))
    view_light(rgb, VIEW_BYTES, 0.3, 180);
}

static void draw_black_frames(guint8 *rgb, double t, gpointer data) {
  draw_one(data, 0, rgb, t);
  if (disturbed(data, t))
    view_fill(rgb, VIEW_BYTES, 0, 0, 0);
}

static void draw_damaged_frames(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  draw_one(scene, disturbed(scene, t) ? 1 : 0, rgb, t);
}

static void draw_flicker(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  draw_one(scene, 0, rgb, t);
  view_light(rgb, VIEW_BYTES, (int)floor(t * scene->fps + 0.5) % 2 ? 1.15 : 0.85, 0);
}

/* Fields of two times in one frame, by turns with clean ones. */
static void draw_combed(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  g_autofree guint8 *later = g_malloc(VIEW_BYTES);
  draw_one(scene, 0, rgb, t);
  draw_one(scene, 0, later, t + 0.5 / scene->fps);
  for (int y = 1; y < VIEW_HEIGHT && (int)floor(t * scene->fps + 0.5) % 2; y += 2)
    memcpy(rgb + 3 * y * VIEW_WIDTH, later + 3 * y * VIEW_WIDTH, 3 * VIEW_WIDTH);
}

static void draw_lamp(guint8 *rgb, double t, gpointer data) {
  draw_one(data, 0, rgb, t);
  if (fmod(t, 2) > 1)
    view_light(rgb, VIEW_BYTES, 0.6, -5);
}

/* The same with nearly all the light. */
static void draw_blackout(guint8 *rgb, double t, gpointer data) {
  draw_one(data, 0, rgb, t);
  if (fmod(t, 2) > 1)
    view_light(rgb, VIEW_BYTES, 0.35, 0);
}

static void draw_shake(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  Camera camera = {.x = 15 * sin(47 * t), .y = 12 * cos(61 * t), .zoom = 1.2};
  picture_view(scene->pictures[0], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

/* Still, then one width in 0.4 s, then still. */
static void draw_whip(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  Camera camera = {.x = VIEW_WIDTH * CLAMP((t - 2) / 0.4, 0, 1), .zoom = 1};
  picture_view(scene->pictures[0], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

/* A third of a width from one frame to the next. */
static void draw_jerk(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  Camera camera = {.x = t < 2 ? 0 : VIEW_WIDTH / 3.0, .zoom = 1};
  picture_view(scene->pictures[0], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

/* Another part of the picture in each frame. */
static void draw_chaos(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  Camera camera = {.x = 5e4 * sin(1e3 * t), .y = 5e4 * cos(1.7e3 * t), .zoom = 1};
  picture_view(scene->pictures[0], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

static void draw_zoom(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  picture_view(scene->pictures[0], (Camera){.zoom = exp(0.4 * (t - 2.5))}, rgb, VIEW_WIDTH,
               VIEW_HEIGHT);
}

/* Film at 25 frames a second shown at 60: most frames come twice or more. */
static void draw_repeated(guint8 *rgb, double t, gpointer data) {
  draw_one(data, 0, rgb, floor(t * 25) / 25);
}

static void test_calm(void) {
  assert_nothing(draw_dissolve, 600, 0, 25);
  assert_nothing(draw_dissolve, 601, 0, 1);
  assert_nothing(draw_noisy, 602, 0, 25);
  assert_nothing(draw_lamp, 603, 0, 25);
  assert_nothing(draw_blackout, 604, 0, 25);
}

static void test_disturbances(void) {
  static const double rates[] = {15, 25, 50};
  for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
    assert_nothing(draw_flashes, 610 + i, 0.02, rates[i]);
    assert_nothing(draw_black_frames, 620 + i, 0.02, rates[i]);
    assert_nothing(draw_flicker, 640 + i, 0.02, rates[i]);
    assert_nothing(draw_combed, 650 + i, 0.2, rates[i]);
  }
  assert_nothing(draw_damaged_frames, 630, 0, 25);
  assert_nothing(draw_damaged_frames, 631, 0.02, 50);
}

static void test_camera_motion(void) {
  for (guint i = 0; i < 5; i++) {
    assert_nothing(draw_dissolve, 660 + i, 0.15 * i, 25);
    assert_nothing(draw_whip, 670 + i, 0, 25);
    assert_nothing(draw_jerk, 690 + i, 0, 25);
    assert_nothing(draw_chaos, 700 + i, 0, 25);
  }
  assert_nothing(draw_shake, 680, 0, 25);
  assert_nothing(draw_zoom, 681, 0, 25);
  assert_nothing(draw_repeated, 682, 0.4, 60);
}

/* ---- Order and edges ---- */

/* A, half a second of B, A again. */
static void draw_insert(guint8 *rgb, double t, gpointer data) {
  draw_one(data, t + HAIR >= 2 && t + HAIR < 2.5 ? 1 : 0, rgb, t);
}

static void test_short_shot(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 700, 0, 0);
  Findings findings = run(draw_insert, &scene, 5, 30);
  g_assert_cmpuint(findings.n, ==, 2);
  assert_hard(&findings, 0, 2000);
  assert_hard(&findings, 1, 2500);
}

/* A, black for scene->width frames, B, with hard edges. */
static void draw_black_between(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  draw_one(scene, t < 2.5 ? 0 : 1, rgb, t);
  if (t + HAIR >= 2 && t + HAIR < 2 + scene->width / 25.0)
    view_fill(rgb, VIEW_BYTES, 0, 0, 0);
}

static void test_black_between(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 710, 0, 0);
  scene.width = 15;
  Findings findings = run(draw_black_between, &scene, 6, 25);
  g_assert_cmpuint(findings.n, ==, 1);
  assert_soft(&findings, 0, 2, 2.56, 0.001);
  scene.width = 60;
  findings = run(draw_black_between, &scene, 8, 25);
  g_assert_cmpuint(findings.n, ==, 2);
  assert_hard(&findings, 0, 2000);
  assert_hard(&findings, 1, 4400);
}

static void draw_plain_colours(guint8 *rgb, double t, gpointer data) {
  guint k = (guint)(t / 2 + HAIR) % 4;
  view_fill(rgb, VIEW_BYTES, k == 0 ? 200 : 20, k == 1 ? 180 : 30, k == 2 ? 220 : 40);
}

static void test_plain_colours(void) {
  Findings findings = run(draw_plain_colours, NULL, 8, 10);
  g_assert_cmpuint(findings.n, ==, 3);
  for (guint i = 0; i < 3; i++)
    assert_hard(&findings, i, 2000 * (i + 1));
}

/* Two pictures with a third of their structure in common and other colours. */
static void draw_alike(guint8 *rgb, double t, gpointer data) {
  const Scene *scene = data;
  g_autofree guint8 *common = g_malloc(VIEW_BYTES);
  draw_one(scene, 0, common, 0);
  draw_one(scene, t + HAIR >= 2 ? 1 : 0, rgb, 0);
  if (t + HAIR >= 2)
    view_mix(rgb, common, VIEW_BYTES, 0.36);
  for (int i = 0; i < VIEW_BYTES; i += 3)
    rgb[i] = t + HAIR >= 2 ? (guint8)(0.7 * rgb[i]) : rgb[i];
}

static void test_alike_layouts(void) {
  for (guint i = 0; i < 4; i++) {
    g_auto(Scene) scene;
    scene_init(&scene, 740 + i, 0, 0);
    Findings findings = run(draw_alike, &scene, 4, 25);
    g_assert_cmpuint(findings.n, ==, 1);
    assert_hard(&findings, 0, 2000);
  }
}

/* The last second of a file is decided too. */
static void test_cut_before_the_end(void) {
  g_auto(Scene) scene;
  scene_init(&scene, 720, 2, 0);
  Findings findings = run(draw_dissolve, &scene, 2.12, 25);
  g_assert_cmpuint(findings.n, ==, 1);
  assert_hard(&findings, 0, 2000);
}

/* A clock that jumps is no cut, and frames out of order are passed over. */
static void test_clock(void) {
  g_auto(Scene) scene;
  g_autoptr(MnkShots) shots = mnk_shots_new();
  g_autofree guint8 *rgb = g_malloc(VIEW_BYTES);
  MnkShotBoundary boundary;
  scene_init(&scene, 730, 0, 0);
  for (int i = 0; i < 100; i++) {
    gboolean jumped = i >= 50, stray = i % 50 >= 20 && i % 50 < 40;
    draw_one(&scene, jumped != stray ? 1 : 0, rgb, 0);
    gint64 pts_ms = stray ? (i - 20) * 40 : i * 40;
    g_autoptr(MnkFrame) frame =
        mnk_frame_new_rgb(rgb, VIEW_WIDTH, VIEW_HEIGHT, 3 * VIEW_WIDTH, pts_ms);
    frame->epoch = jumped ? 1 : 0;
    g_assert_false(mnk_shots_push(shots, frame, &boundary));
  }
  g_assert_false(mnk_shots_flush(shots, &boundary));
}

/* ---- Long random programmes ---- */

typedef struct {
  Picture *pictures[6];
  double begins[6]; /* of the blend into picture i, seconds */
  double lengths[6];
  double speeds[6];
} Programme;

static void draw_programme(guint8 *rgb, double t, gpointer data) {
  const Programme *p = data;
  guint i = 0;
  while (i + 1 < G_N_ELEMENTS(p->pictures) && t + HAIR >= p->begins[i + 1] + p->lengths[i + 1])
    i++;
  Camera camera = {.x = p->speeds[i] * t * VIEW_WIDTH, .zoom = 1.1};
  picture_view(p->pictures[i], camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
  if (i + 1 < G_N_ELEMENTS(p->pictures) && t > p->begins[i + 1]) {
    g_autofree guint8 *next = g_malloc(VIEW_BYTES);
    camera.x = p->speeds[i + 1] * t * VIEW_WIDTH;
    picture_view(p->pictures[i + 1], camera, next, VIEW_WIDTH, VIEW_HEIGHT);
    view_mix(rgb, next, VIEW_BYTES, (t - p->begins[i + 1]) / p->lengths[i + 1]);
  }
}

static void test_programmes(void) {
  static const double rates[] = {25, 30, 50, 60, 24, 12.5};
  for (guint seed = 0; seed < G_N_ELEMENTS(rates); seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    Programme p = {0};
    double t = 0, fps = rates[seed];
    for (guint i = 0; i < G_N_ELEMENTS(p.pictures); i++) {
      p.pictures[i] = picture_new(seed * 1000 + i * 31);
      p.speeds[i] = g_rand_double_range(rand, -0.04, 0.04);
      p.begins[i] = t;
      p.lengths[i] = i > 0 && g_rand_boolean(rand) ? g_rand_double_range(rand, 0.4, 1.4) : 0;
      t = floor((t + p.lengths[i] + g_rand_double_range(rand, 2, 3)) * fps) / fps;
    }
    Findings findings = run(draw_programme, &p, t, fps);
    g_assert_cmpuint(findings.n, ==, G_N_ELEMENTS(p.pictures) - 1);
    for (guint i = 1; i < G_N_ELEMENTS(p.pictures); i++)
      if (p.lengths[i] > 0)
        assert_soft(&findings, i - 1, p.begins[i], p.begins[i] + p.lengths[i],
                    MAX(0.1 * p.lengths[i], 1.5 / fps));
      else
        assert_hard(&findings, i - 1, pts_of((int)floor(p.begins[i] * fps + 0.5), fps));
    for (guint i = 0; i < G_N_ELEMENTS(p.pictures); i++)
      picture_free(p.pictures[i]);
  }
}

/* ---- frames that are far apart ---- */

/* A scene of a few bright and dark blocks; shift moves the camera, in pixels. */
static void draw_blocks(guint8 *thumb, guint seed, int shift, int noise) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed), grain = g_rand_new_with_seed(99);
  memset(thumb, 90, MNK_GATE_SIDE * MNK_GATE_SIDE);
  for (guint i = 0; i < 12; i++) {
    int x = g_rand_int_range(rand, 0, 52) + shift, y = g_rand_int_range(rand, 0, 52);
    int side = g_rand_int_range(rand, 8, 24), level = g_rand_int_range(rand, 10, 240);
    for (int v = y; v < MIN(y + side, MNK_GATE_SIDE); v++)
      for (int u = MAX(x, 0); u < MIN(x + side, MNK_GATE_SIDE); u++)
        thumb[v * MNK_GATE_SIDE + u] = (guint8)level;
  }
  for (guint i = 0; noise > 0 && i < MNK_GATE_SIDE * MNK_GATE_SIDE; i++)
    thumb[i] = (guint8)CLAMP(thumb[i] + g_rand_int_range(grain, -noise, noise + 1), 0, 255);
}

static void test_apart(void) {
  guint8 before[MNK_GATE_SIDE * MNK_GATE_SIDE], now[sizeof before], dim[sizeof before];
  float score = -1;
  guint cuts = 0;
  for (guint seed = 0; seed < 40; seed++) {
    draw_blocks(before, seed, 0, 0);
    g_assert_false(mnk_shots_apart(before, before, &score));
    draw_blocks(now, seed, 4, 12); /* the camera moves, grain */
    g_assert_false(mnk_shots_apart(before, now, &score));
    for (guint i = 0; i < sizeof dim; i++)
      dim[i] = (guint8)(before[i] / 3 + 5); /* the light goes down */
    g_assert_false(mnk_shots_apart(before, dim, &score));
    draw_blocks(now, seed + 1000, 0, 0);
    if (mnk_shots_apart(before, now, &score)) {
      g_assert_true(score > 0.8f && score <= 1);
      cuts++;
    }
  }
  g_assert_cmpuint(cuts, >=, 24); /* some scenes are alike by chance */
}

/* In a flat picture there is nothing to compare. */
static void test_apart_flat(void) {
  guint8 scene[MNK_GATE_SIDE * MNK_GATE_SIDE], flat[sizeof scene], noisy[sizeof scene];
  float score = -1;
  draw_blocks(scene, 7, 0, 0);
  for (guint i = 0; i < sizeof flat; i++) {
    flat[i] = 16;
    noisy[i] = (guint8)(16 + (i * 2654435761u >> 30));
  }
  g_assert_false(mnk_shots_apart(flat, flat, &score));
  g_assert_false(mnk_shots_apart(scene, flat, &score));
  g_assert_false(mnk_shots_apart(flat, noisy, &score));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/shots/hard/any-rate", test_hard_cut_at_any_rate);
  g_test_add_func("/shots/hard/between-pans", test_hard_cut_between_pans);
  g_test_add_func("/shots/hard/blended-frame", test_blended_frame_is_hard);
  g_test_add_func("/shots/soft/dissolves", test_dissolves);
  g_test_add_func("/shots/soft/dips", test_dips);
  g_test_add_func("/shots/soft/long-black", test_long_black);
  g_test_add_func("/shots/soft/fade-out-at-the-end", test_fade_out_at_the_end);
  g_test_add_func("/shots/none/calm", test_calm);
  g_test_add_func("/shots/none/disturbances", test_disturbances);
  g_test_add_func("/shots/none/camera-motion", test_camera_motion);
  g_test_add_func("/shots/short-shot", test_short_shot);
  g_test_add_func("/shots/black-between", test_black_between);
  g_test_add_func("/shots/plain-colours", test_plain_colours);
  g_test_add_func("/shots/alike-layouts", test_alike_layouts);
  g_test_add_func("/shots/cut-before-the-end", test_cut_before_the_end);
  g_test_add_func("/shots/clock", test_clock);
  g_test_add_func("/shots/programmes", test_programmes);
  g_test_add_func("/shots/apart", test_apart);
  g_test_add_func("/shots/apart_flat", test_apart_flat);
  return g_test_run();
}
