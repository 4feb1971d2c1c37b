/* The pure steps of perception against results worked out by hand. */
#include <math.h>
#include <string.h>

#include "facts/facts.h"
#include "vision/boxes_priv.h"
#include "vision/perception_priv.h"
#include "vision/pose_priv.h"
#include "vision/ssd_priv.h"

#define assert_near(a, b, tolerance) g_assert_cmpfloat(fabs((double)(a) - (b)), <=, tolerance)

/* ---- Resampling ---- */

static const MnkInputFormat plain4 = {.width = 4, .height = 4, .scale = {1, 1, 1}};

static void test_resample_same_size(void) {
  guint8 rgb[4 * 4 * 3];
  float out[4 * 4 * 3];
  MnkPicture picture = {rgb, 4, 4, 12};
  MnkRect all = {0, 0, 4, 4};

  for (guint i = 0; i < sizeof rgb; i++)
    rgb[i] = (guint8)(i * 5);
  mnk_resample(&picture, &all, &plain4, &all, out);
  for (guint i = 0; i < sizeof rgb; i++)
    assert_near(out[i], rgb[i], 1e-3);
}

static void test_resample_averages(void) {
  /* Columns 0, 100, 0, 100 ... shrunk by four: the mean, not one of them. */
  enum { SIDE = 64 };
  g_autofree guint8 *rgb = g_malloc(SIDE * SIDE * 3);
  float out[4 * 4 * 3];
  MnkPicture picture = {rgb, SIDE, SIDE, SIDE * 3};
  MnkRect from = {0, 0, SIDE, SIDE}, to = {0, 0, 4, 4};

  for (int i = 0; i < SIDE * SIDE; i++)
    memset(rgb + 3 * i, i % 2 * 100, 3);
  mnk_resample(&picture, &from, &plain4, &to, out);
  for (guint i = 0; i < G_N_ELEMENTS(out); i++)
    assert_near(out[i], 50, 2);
}

static void test_resample_keeps_flat(void) {
  static const struct {
    int w, h;
  } sizes[] = {{1, 1}, {3, 5}, {7, 2}, {640, 1}, {33, 47}};

  for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
    int w = sizes[s].w, h = sizes[s].h;
    g_autofree guint8 *rgb = g_malloc((gsize)w * h * 3);
    guint8 out[4 * 4 * 3];
    MnkInputFormat format = {.width = 4, .height = 4, .bytes = TRUE};
    MnkPicture picture = {rgb, w, h, w * 3};
    MnkRect from = {0, 0, w, h}, to = {0, 0, 4, 4};
    memset(rgb, 77, (gsize)w * h * 3);
    mnk_resample(&picture, &from, &format, &to, out);
    for (guint i = 0; i < sizeof out; i++)
      g_assert_cmpuint(out[i], ==, 77);
  }
}

static void test_resample_layouts(void) {
  guint8 rgb[3] = {10, 20, 30};
  float out[12];
  MnkPicture picture = {rgb, 1, 1, 3};
  MnkRect from = {0, 0, 1, 1}, to = {1, 0, 1, 2};
  MnkInputFormat format = {.width = 2,
                           .height = 2,
                           .planar = TRUE,
                           .bgr = TRUE,
                           .scale = {1, 2, 3},
                           .bias = {-1, -2, -3}};

  mnk_resample(&picture, &from, &format, &to, out);
  /* Planes blue, green, red; the left column is black. */
  static const float expected[12] = {-1, 29, -1, 29, -2, 38, -2, 38, -3, 27, -3, 27};
  for (guint i = 0; i < 12; i++)
    assert_near(out[i], expected[i], 1e-4);
}

static void test_resample_crop(void) {
  guint8 rgb[4 * 2 * 3] = {0};
  guint8 out[3];
  MnkInputFormat format = {.width = 1, .height = 1, .bytes = TRUE};
  MnkPicture picture = {rgb, 4, 2, 12};
  MnkRect from = {2, 1, 1, 1}, to = {0, 0, 1, 1};

  rgb[12 + 6] = 200;
  rgb[12 + 8] = 100;
  mnk_resample(&picture, &from, &format, &to, out);
  g_assert_cmpuint(out[0], ==, 200);
  g_assert_cmpuint(out[1], ==, 0);
  g_assert_cmpuint(out[2], ==, 100);
}

static void test_letterbox(void) {
  MnkInputFormat format = {.width = 512, .height = 512};
  MnkPicture wide = {.width = 1280, .height = 720}, tall = {.width = 3, .height = 2048};
  MnkRect a = mnk_letterbox(&wide, &format), b = mnk_letterbox(&tall, &format);

  g_assert_cmpint(a.x, ==, 0);
  g_assert_cmpint(a.y, ==, 112);
  g_assert_cmpint(a.w, ==, 512);
  g_assert_cmpint(a.h, ==, 288);
  g_assert_cmpint(b.w, ==, 1);
  g_assert_cmpint(b.h, ==, 512);
}

static void test_warp_quarter_turn(void) {
  /* Reading downwards: the output's first row runs down the picture's right column. */
  guint8 rgb[2 * 2 * 3];
  float out[2 * 2 * 3];
  MnkPicture picture = {rgb, 2, 2, 6};
  MnkInputFormat format = {.width = 2, .height = 2, .scale = {1, 1, 1}};
  MnkAffine affine = mnk_affine_for(1, 1, 2, 2, (float)G_PI_2, 2, 2);

  for (int i = 0; i < 4; i++)
    memset(rgb + 3 * i, 10 * (i + 1), 3);
  mnk_warp(&picture, &affine, &format, 2, out);
  assert_near(out[0], 20, 0.01);
  assert_near(out[3], 40, 0.01);
  assert_near(out[6], 10, 0.01);
  assert_near(out[9], 30, 0.01);
}

static void test_warp_outside(void) {
  guint8 rgb[3] = {9, 9, 9};
  float out[2 * 2 * 3];
  MnkPicture picture = {rgb, 1, 1, 3};
  MnkInputFormat format = {.width = 2, .height = 2, .scale = {1, 1, 1}};
  static const float far[] = {-1e9f, 1e9f, NAN, INFINITY};

  for (guint i = 0; i < G_N_ELEMENTS(far); i++) {
    MnkAffine affine = mnk_affine_for(far[i], far[i], 5, 5, 0.3f, 2, 2);
    mnk_warp(&picture, &affine, &format, 2, out);
  }
  MnkAffine affine = mnk_affine_for(-50, -50, 5, 5, 0.3f, 2, 2);
  mnk_warp(&picture, &affine, &format, 2, out);
  assert_near(out[0], 9, 1e-4);
}

/* ---- Boxes ---- */

static void test_iou(void) {
  MnkBox a = {0, 0, 2, 2}, b = {1, 1, 2, 2}, c = {2, 0, 1, 1}, empty = {0, 0, 0, 0};

  assert_near(mnk_box_iou(&a, &a), 1, 1e-6);
  assert_near(mnk_box_iou(&a, &b), 1.0 / 7, 1e-6);
  g_assert_cmpfloat(mnk_box_iou(&a, &c), ==, 0);
  g_assert_cmpfloat(mnk_box_iou(&empty, &empty), ==, 0);
}

static void test_clip(void) {
  MnkBox inside = {-0.5f, 0.25f, 1, 2}, outside = {2, 2, 1, 1};
  MnkBox a = mnk_box_clip(&inside), b = mnk_box_clip(&outside);

  assert_near(a.x, 0, 1e-6);
  assert_near(a.y, 0.25, 1e-6);
  assert_near(a.w, 0.5, 1e-6);
  assert_near(a.h, 0.75, 1e-6);
  g_assert_cmpfloat(b.w, ==, 0);
}

static void test_suppress(void) {
  MnkCandidate c[] = {
      {{0, 0, 10, 10}, 0.5f, 1},  /* under the first of its kind */
      {{1, 0, 10, 10}, 0.9f, 1},  /* stays */
      {{1, 0, 10, 10}, 0.8f, 2},  /* same place, other kind: goes by the second limit */
      {{1, 0, 10, 14}, 0.7f, 3},  /* overlaps by 0.71: stays */
      {{50, 0, 10, 10}, 0.6f, 1}, /* elsewhere: stays */
  };

  g_assert_cmpuint(mnk_candidates_suppress(c, G_N_ELEMENTS(c), 0.5f, 0.75f), ==, 3);
  assert_near(c[0].score, 0.9, 1e-6);
  assert_near(c[1].score, 0.7, 1e-6);
  assert_near(c[2].score, 0.6, 1e-6);
  g_assert_cmpuint(mnk_candidates_suppress(c, 0, 0.5f, 0.5f), ==, 0);
}

/* ---- Anchored detectors ---- */

static const MnkSsd small_ssd = {
    .side = 100,
    .n_layers = 2,
    .layers = {{4, 1}, {2, 2}},
    .n_points = 1,
    .score = 0.5f,
    .overlap = 0.3f,
};

static void test_ssd_anchor_counts(void) {
  MnkSsd faces = {.n_layers = 1, .layers = {{48, 1}}};
  MnkSsd bodies = {.n_layers = 3, .layers = {{28, 2}, {14, 2}, {7, 6}}};

  g_assert_cmpuint(mnk_ssd_anchors(&faces), ==, 2304);
  g_assert_cmpuint(mnk_ssd_anchors(&bodies), ==, 2254);
  g_assert_cmpuint(mnk_ssd_anchors(&small_ssd), ==, 24);
}

static void test_ssd_places(void) {
  float boxes[24 * 6] = {0}, logits[24];
  MnkSsdHit hits[MNK_SSD_MAX_HITS];

  for (guint i = 0; i < 24; i++)
    logits[i] = -5;
  /* Cell 6 of the 4 x 4 grid: column 2, row 1, middle at (0.625, 0.375). */
  static const float one[] = {10, -5, 20, 30, 1, 2};
  memcpy(boxes + 6 * 6, one, sizeof one);
  logits[6] = 2;
  /* Second anchor of cell 3 of the 2 x 2 grid: middle at (0.75, 0.75). */
  static const float two[] = {0, 0, 10, 10, 0, -10};
  memcpy(boxes + 23 * 6, two, sizeof two);
  logits[23] = 1;

  g_assert_cmpuint(mnk_ssd_decode(&small_ssd, boxes, logits, hits), ==, 2);
  assert_near(hits[0].score, 1 / (1 + exp(-2)), 1e-5);
  assert_near(hits[0].box.x, 0.625 + 0.10 - 0.10, 1e-5);
  assert_near(hits[0].box.y, 0.375 - 0.05 - 0.15, 1e-5);
  assert_near(hits[0].box.w, 0.2, 1e-5);
  assert_near(hits[0].box.h, 0.3, 1e-5);
  assert_near(hits[0].points[0].x, 0.635, 1e-5);
  assert_near(hits[0].points[0].y, 0.395, 1e-5);
  assert_near(hits[1].box.x, 0.70, 1e-5);
  assert_near(hits[1].points[0].y, 0.65, 1e-5);
}

static void test_ssd_joins(void) {
  float boxes[24 * 6] = {0}, logits[24];
  MnkSsdHit hits[MNK_SSD_MAX_HITS];

  for (guint i = 0; i < 24; i++)
    logits[i] = -5;
  static const float box[] = {0, 0, 60, 60, 0, 0};
  memcpy(boxes + 5 * 6, box, sizeof box); /* middle at (0.375, 0.375) */
  memcpy(boxes + 6 * 6, box, sizeof box); /* middle at (0.625, 0.375): overlap 0.41 */
  logits[5] = 0;                          /* 0.5 */
  logits[6] = logf(3);                    /* 0.75 */
  g_assert_cmpuint(mnk_ssd_decode(&small_ssd, boxes, logits, hits), ==, 1);
  assert_near(hits[0].score, 0.75, 1e-5);
  /* The mean of 0.075 and 0.325 with weights 0.4 and 0.6. */
  assert_near(hits[0].box.x, 0.225, 1e-5);
}

static void test_ssd_survives_nonsense(void) {
  float boxes[24 * 6], logits[24];
  MnkSsdHit hits[MNK_SSD_MAX_HITS];

  for (guint i = 0; i < 24 * 6; i++)
    boxes[i] = NAN;
  for (guint i = 0; i < 24; i++)
    logits[i] = i % 2 ? NAN : INFINITY;
  g_assert_cmpuint(mnk_ssd_decode(&small_ssd, boxes, logits, hits), <=, 24);
}

static void test_ssd_to_picture(void) {
  MnkSsdHit hit = {.box = {0.25f, 0.5f, 0.5f, 0.25f}, .points = {{0.5f, 0.5f}}};
  MnkRect place = {0, 25, 100, 50}, from = {40, 60, 200, 100};

  mnk_ssd_to_picture(&small_ssd, &hit, &place, &from);
  assert_near(hit.box.x, 40 + 50, 1e-3);
  assert_near(hit.box.y, 60 + 50, 1e-3);
  assert_near(hit.box.w, 100, 1e-3);
  assert_near(hit.box.h, 50, 1e-3);
  assert_near(hit.points[0].x, 140, 1e-3);
  assert_near(hit.points[0].y, 110, 1e-3);
}

/* ---- Objects ---- */

enum { MAP = 128, CLASSES = 80 };

typedef struct {
  float *heat, *sides;
  MnkObjectMap map;
} ObjectCase;

static void object_case_init(ObjectCase *c) {
  c->heat = g_new0(float, CLASSES *MAP *MAP);
  c->sides = g_new0(float, 4 * MAP * MAP);
  c->map = (MnkObjectMap){c->heat, c->sides, MAP, 4, {0, 0, 512, 512}};
}

static void object_case_clear(ObjectCase *c) {
  g_free(c->heat);
  g_free(c->sides);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ObjectCase, object_case_clear)

static void put(ObjectCase *c, int class, int x, int y, float score, float reach) {
  c->heat[(class * MAP + y) * MAP + x] = score;
  for (int k = 0; k < 4; k++)
    c->sides[(k * MAP + y) * MAP + x] = reach;
}

static void test_objects_box(void) {
  g_auto(ObjectCase) c = {0};
  MnkDetection found[MNK_OBS_MAX_OBJECTS];

  object_case_init(&c);
  c.map.place = (MnkRect){0, 112, 512, 288}; /* a 16:9 picture */
  put(&c, 15, 64, 60, 0.8f, 0);
  float sides[4] = {56, 28, 72, 44};
  for (int k = 0; k < 4; k++)
    c.sides[(k * MAP + 60) * MAP + 64] = sides[k];
  g_assert_cmpuint(mnk_objects_decode(&c.map, found, MNK_OBS_MAX_OBJECTS), ==, 1);
  g_assert_cmpstr(found[0].name, ==, "cat");
  assert_near(found[0].score, 0.8, 1e-6);
  assert_near(found[0].box.x, (256 - 56) / 512.0, 1e-5);
  assert_near(found[0].box.y, (240 - 28 - 112) / 288.0, 1e-5);
  assert_near(found[0].box.w, 128 / 512.0, 1e-5);
  assert_near(found[0].box.h, 72 / 288.0, 1e-5);
}

static void test_objects_peaks(void) {
  g_auto(ObjectCase) c = {0};
  MnkDetection found[MNK_OBS_MAX_OBJECTS];

  object_case_init(&c);
  put(&c, 0, 30, 30, 0.70f, 60); /* stays */
  put(&c, 0, 31, 30, 0.60f, 60); /* beside a higher one: no peak */
  put(&c, 0, 34, 30, 0.65f, 60); /* a peak of its own, the same box: suppressed */
  put(&c, 0, 0, 0, 0.90f, 60);   /* a corner */
  put(&c, 0, 100, 100, 0.10f, 60);
  g_assert_cmpuint(mnk_objects_decode(&c.map, found, MNK_OBS_MAX_OBJECTS), ==, 2);
  assert_near(found[0].score, 0.90, 1e-6);
  assert_near(found[0].box.x, 0, 1e-6);
  assert_near(found[1].score, 0.70, 1e-6);
}

static void test_objects_small_ones_need_more(void) {
  g_auto(ObjectCase) c = {0};
  MnkDetection found[MNK_OBS_MAX_OBJECTS];

  object_case_init(&c);
  put(&c, 14, 20, 20, 0.60f, 8);  /* a bird of 16 pixels: a spot */
  put(&c, 14, 60, 60, 0.60f, 80); /* a bird of 160 pixels */
  put(&c, 0, 100, 20, 0.60f, 14); /* people are found small */
  g_assert_cmpuint(mnk_objects_decode(&c.map, found, MNK_OBS_MAX_OBJECTS), ==, 2);
  for (guint i = 0; i < 2; i++)
    g_assert_true(g_str_equal(found[i].name, "bird") ? found[i].box.w > 0.2 : TRUE);
}

static void test_objects_nonsense(void) {
  g_auto(ObjectCase) c = {0};
  MnkDetection found[4];

  object_case_init(&c);
  for (int i = 0; i < CLASSES * MAP * MAP; i++)
    c.heat[i] = i % 3 ? NAN : 1;
  for (int i = 0; i < 4 * MAP * MAP; i++)
    c.sides[i] = i % 5 ? INFINITY : -1;
  g_assert_cmpuint(mnk_objects_decode(&c.map, found, 4), <=, 4);
}

/* ---- Scenes ---- */

static void test_labels_merge_breeds(void) {
  float p[1000] = {0};
  MnkLabel labels[MNK_OBS_MAX_LABELS];

  p[281] = 0.30f; /* tabby */
  p[282] = 0.25f; /* tiger cat */
  p[285] = 0.20f; /* Egyptian cat */
  p[504] = 0.15f; /* coffee mug */
  guint n = mnk_scenes_labels(p, labels, MNK_OBS_MAX_LABELS);
  g_assert_cmpuint(n, >=, 1);
  g_assert_cmpstr(labels[0].name, ==, "cat");
  assert_near(labels[0].score, 0.75, 1e-5);
}

static void test_labels_prefer_what_is_sure(void) {
  float p[1000] = {0};
  MnkLabel labels[MNK_OBS_MAX_LABELS];

  p[151] = 0.2f; /* a dog */
  p[281] = 0.2f; /* a cat */
  p[294] = 0.2f; /* a bear */
  guint n = mnk_scenes_labels(p, labels, MNK_OBS_MAX_LABELS);
  g_assert_cmpuint(n, ==, 1);
  g_assert_cmpstr(labels[0].name, ==, "animal");
  assert_near(labels[0].score, 0.6, 1e-5);
}

static void test_labels_silent_when_unsure(void) {
  float p[1000];
  MnkLabel labels[MNK_OBS_MAX_LABELS];

  for (guint i = 0; i < 1000; i++)
    p[i] = i % 50 ? 0 : 0.04f;
  guint n = mnk_scenes_labels(p, labels, MNK_OBS_MAX_LABELS);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpfloat(labels[i].score, >=, 0.10);
    g_assert_cmpfloat(labels[i].score, <=, i > 0 ? labels[i - 1].score : 1);
  }
}

/* ---- Postures ---- */

typedef struct {
  float x, y;
} Joint;

/* left and right: shoulder, elbow, wrist, hip, knee, ankle */
static void body(const Joint joints[12], float nose_x, float nose_y, MnkBodyPoint *points) {
  static const int at[6] = {MNK_BODY_SHOULDER, MNK_BODY_ELBOW, MNK_BODY_WRIST,
                            MNK_BODY_HIP,      MNK_BODY_KNEE,  MNK_BODY_ANKLE};

  memset(points, 0, sizeof *points * MNK_BODY_POINTS);
  points[MNK_BODY_NOSE] = (MnkBodyPoint){nose_x, nose_y, 0.95f};
  for (int i = 0; i < 6; i++)
    for (int side = 0; side < 2; side++)
      points[at[i] + side] = (MnkBodyPoint){joints[2 * i + side].x, joints[2 * i + side].y, 0.95f};
}

static const Joint upright[12] = {{120, 100}, {80, 100}, {125, 140}, {75, 140},
                                  {128, 175}, {72, 175}, {112, 200}, {88, 200},
                                  {112, 270}, {88, 270}, {112, 340}, {88, 340}};

static void test_posture_standing(void) {
  MnkBodyPoint points[MNK_BODY_POINTS];

  body(upright, 100, 70, points);
  g_assert_cmpstr(mnk_pose_posture(points), ==, "standing");
  /* A leg hidden behind a table: unknown, not standing. */
  points[MNK_BODY_ANKLE].visibility = 0.3f;
  g_assert_cmpstr(mnk_pose_posture(points), ==, "");
}

static void test_posture_arms_raised(void) {
  MnkBodyPoint points[MNK_BODY_POINTS];

  body(upright, 100, 70, points);
  for (int i = 0; i < 2; i++) {
    points[MNK_BODY_ELBOW + i].y = 60;
    points[MNK_BODY_WRIST + i].y = 20;
  }
  g_assert_cmpstr(mnk_pose_posture(points), ==, "arms raised");
  points[MNK_BODY_WRIST].y = 90; /* one hand only */
  g_assert_cmpstr(mnk_pose_posture(points), !=, "arms raised");
}

static void test_posture_sitting(void) {
  static const Joint seated[12] = {{120, 100}, {80, 100},  {125, 140}, {75, 140},
                                   {128, 175}, {72, 175},  {112, 200}, {88, 200},
                                   {150, 212}, {126, 212}, {152, 275}, {128, 275}};
  MnkBodyPoint points[MNK_BODY_POINTS];

  body(seated, 100, 70, points);
  g_assert_cmpstr(mnk_pose_posture(points), ==, "sitting");
}

static void test_posture_lying(void) {
  MnkBodyPoint points[MNK_BODY_POINTS];

  body(upright, 100, 70, points);
  for (int i = 0; i < MNK_BODY_POINTS; i++) {
    float x = points[i].x;
    points[i].x = points[i].y;
    points[i].y = 400 - x;
  }
  g_assert_cmpstr(mnk_pose_posture(points), ==, "lying");
}

static void test_posture_unknown(void) {
  MnkBodyPoint points[MNK_BODY_POINTS] = {0};

  g_assert_cmpstr(mnk_pose_posture(points), ==, "");
  body(upright, 100, 70, points);
  for (int i = 0; i < MNK_BODY_POINTS; i++)
    points[i].x = points[i].y = NAN;
  g_assert_cmpstr(mnk_pose_posture(points), ==, "");
}

/* ---- Colours ---- */

static void test_colours(void) {
  static const struct {
    guint8 rgb[3];
    const char *name;
  } cases[] = {
      {{220, 20, 20}, "strawberry"}, {{20, 200, 40}, "broccoli"},     {{20, 40, 230}, "seashore"},
      {{240, 230, 10}, "banana"},    {{250, 250, 250}, "polar bear"}, {{5, 5, 5}, "gorilla"},
      {{120, 120, 120}, "elephant"}, {{255, 0, 0}, "strawberry"},     {{0, 0, 255}, "seashore"},
      {{255, 255, 0}, "banana"},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    guint8 rgb[16 * 9 * 3];
    MnkPicture picture = {rgb, 16, 9, 48};
    float share;
    for (guint k = 0; k < sizeof rgb; k++)
      rgb[k] = cases[i].rgb[k % 3];
    g_assert_cmpstr(mnk_colour_thing(&picture, &share), ==, cases[i].name);
    g_assert_nonnull(mnk_vocabulary_find(cases[i].name));
    assert_near(share, 1, 1e-6);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/perception/resample/same-size", test_resample_same_size);
  g_test_add_func("/perception/resample/averages", test_resample_averages);
  g_test_add_func("/perception/resample/keeps-flat", test_resample_keeps_flat);
  g_test_add_func("/perception/resample/layouts", test_resample_layouts);
  g_test_add_func("/perception/resample/crop", test_resample_crop);
  g_test_add_func("/perception/resample/letterbox", test_letterbox);
  g_test_add_func("/perception/warp/quarter-turn", test_warp_quarter_turn);
  g_test_add_func("/perception/warp/outside", test_warp_outside);
  g_test_add_func("/perception/boxes/iou", test_iou);
  g_test_add_func("/perception/boxes/clip", test_clip);
  g_test_add_func("/perception/boxes/suppress", test_suppress);
  g_test_add_func("/perception/ssd/anchor-counts", test_ssd_anchor_counts);
  g_test_add_func("/perception/ssd/places", test_ssd_places);
  g_test_add_func("/perception/ssd/joins", test_ssd_joins);
  g_test_add_func("/perception/ssd/nonsense", test_ssd_survives_nonsense);
  g_test_add_func("/perception/ssd/to-picture", test_ssd_to_picture);
  g_test_add_func("/perception/objects/box", test_objects_box);
  g_test_add_func("/perception/objects/peaks", test_objects_peaks);
  g_test_add_func("/perception/objects/small", test_objects_small_ones_need_more);
  g_test_add_func("/perception/objects/nonsense", test_objects_nonsense);
  g_test_add_func("/perception/scenes/merge", test_labels_merge_breeds);
  g_test_add_func("/perception/scenes/broader", test_labels_prefer_what_is_sure);
  g_test_add_func("/perception/scenes/silent", test_labels_silent_when_unsure);
  g_test_add_func("/perception/posture/standing", test_posture_standing);
  g_test_add_func("/perception/posture/arms-raised", test_posture_arms_raised);
  g_test_add_func("/perception/posture/sitting", test_posture_sitting);
  g_test_add_func("/perception/posture/lying", test_posture_lying);
  g_test_add_func("/perception/posture/unknown", test_posture_unknown);
  g_test_add_func("/perception/colours", test_colours);
  return g_test_run();
}
