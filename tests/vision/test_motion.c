/* Camera motion on procedural pictures with known cameras. */
#include "pictures.h"
#include "vision/motion_priv.h"
#include "vision/vision.h"

#include <math.h>
#include <string.h>

enum { VIEW_WIDTH = 320, VIEW_HEIGHT = 180, VIEW_BYTES = VIEW_WIDTH * VIEW_HEIGHT * 3, FPS = 25 };

typedef void (*Disturb)(guint8 *rgb, double t, gpointer data);

/* What is reported for a camera that moves evenly for two seconds from `from`, by `speed` a second:
 * shift in parts of the width, log zoom, angle. */
static MnkCameraMotion observe(guint seed, Camera speed, Disturb disturb, gpointer data) {
  g_autoptr(Picture) picture = picture_new(seed);
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  g_autofree guint8 *rgb = g_malloc(VIEW_BYTES);
  MnkCameraMotion out;
  for (int i = 0; i < 2 * FPS; i++) {
    double t = (double)i / FPS - 1;
    Camera camera = {.x = speed.x * t * VIEW_WIDTH,
                     .y = speed.y * t * VIEW_WIDTH,
                     .zoom = 1.3 * exp(speed.zoom * t),
                     .angle = speed.angle * t};
    picture_view(picture, camera, rgb, VIEW_WIDTH, VIEW_HEIGHT);
    if (disturb)
      disturb(rgb, t, data);
    g_autoptr(MnkFrame) frame =
        mnk_frame_new_rgb(rgb, VIEW_WIDTH, VIEW_HEIGHT, 3 * VIEW_WIDTH, i * 1000 / FPS);
    mnk_motion_push(motion, frame);
  }
  mnk_motion_take(motion, &out);
  return out;
}

static void assert_motion(MnkCameraMotion got, Camera wanted, double tolerance) {
  g_test_message("wanted %.3f %.3f %.3f %.3f got %d: %.3f %.3f %.3f %.3f inliers %.2f", wanted.x,
                 wanted.y, wanted.zoom, wanted.angle, got.valid, (double)got.dx, (double)got.dy,
                 (double)got.zoom, (double)got.rotation, (double)got.inliers);
  g_assert_true(got.valid);
  g_assert_cmpfloat_with_epsilon((double)got.dx, wanted.x, tolerance + 0.03 * fabs(wanted.x));
  g_assert_cmpfloat_with_epsilon((double)got.dy, wanted.y, tolerance + 0.03 * fabs(wanted.y));
  g_assert_cmpfloat_with_epsilon((double)got.zoom, wanted.zoom,
                                 tolerance + 0.04 * fabs(wanted.zoom));
  g_assert_cmpfloat_with_epsilon((double)got.rotation, wanted.angle,
                                 tolerance + 0.04 * fabs(wanted.angle));
  g_assert_cmpfloat((double)got.inliers, >=, 0.55);
  g_assert_cmpfloat((double)got.inliers, <=, 1);
}

static void test_known_cameras(void) {
  static const Camera cameras[] = {
      {.x = 0.1},
      {.x = -0.4},
      {.x = 1.0},
      {.x = -1.8},
      {.y = 0.15},
      {.y = -0.5},
      {.x = 0.3, .y = -0.2},
      {.zoom = 0.1},
      {.zoom = -0.1},
      {.zoom = 0.5},
      {.zoom = -0.5},
      {.angle = 0.2},
      {.angle = -0.6},
      {.x = 0.2, .zoom = 0.2},
      {.y = 0.1, .angle = 0.3},
      {.x = -0.2, .y = 0.1, .zoom = -0.2, .angle = -0.2},
  };
  for (guint seed = 1; seed <= 3; seed++)
    for (guint i = 0; i < G_N_ELEMENTS(cameras); i++)
      assert_motion(observe(seed * 100, cameras[i], NULL, NULL), cameras[i], 0.012);
}

/* The two are told apart: no shift beside a zoom, no zoom beside a pan. */
static void test_zoom_is_no_pan(void) {
  MnkCameraMotion zoom = observe(7, (Camera){.zoom = 0.4}, NULL, NULL);
  g_assert_true(zoom.valid);
  g_assert_cmpfloat(fabsf(zoom.dx) + fabsf(zoom.dy), <, 0.02f);
  MnkCameraMotion pan = observe(7, (Camera){.x = 0.4}, NULL, NULL);
  g_assert_true(pan.valid);
  g_assert_cmpfloat(fabsf(pan.zoom) + fabsf(pan.rotation), <, 0.02f);
}

static void add_noise(guint8 *rgb, double t, gpointer rand) {
  view_noise(rgb, VIEW_BYTES, 12, rand);
}

static void test_still_with_noise(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  for (guint seed = 20; seed < 24; seed++)
    assert_motion(observe(seed, (Camera){0}, add_noise, rand), (Camera){0}, 0.008);
}

static void change_light(guint8 *rgb, double t, gpointer data) {
  view_light(rgb, VIEW_BYTES, 1 + 0.25 * sin(5 * t), 15 * cos(7 * t));
}

static void test_light_is_no_motion(void) {
  assert_motion(observe(31, (Camera){0}, change_light, NULL), (Camera){0}, 0.01);
  assert_motion(observe(32, (Camera){.x = 0.3}, change_light, NULL), (Camera){.x = 0.3}, 0.015);
}

/* A textured object of this part of the picture's sides that crosses it. */
typedef struct {
  const Picture *picture;
  double part, speed;
} Object;

static void draw_object(guint8 *rgb, double t, gpointer data) {
  const Object *object = data;
  g_autofree guint8 *own = g_malloc(VIEW_BYTES);
  int width = (int)(VIEW_WIDTH * object->part), height = (int)(VIEW_HEIGHT * object->part);
  double shift = object->speed * t * VIEW_WIDTH;
  int left = (VIEW_WIDTH - width) / 2 + (int)shift, top = (VIEW_HEIGHT - height) / 2;
  picture_view(object->picture, (Camera){.x = (int)shift, .zoom = 1.5}, own, VIEW_WIDTH,
               VIEW_HEIGHT);
  for (int y = top; y < top + height; y++)
    for (int x = MAX(left, 0); x < MIN(left + width, VIEW_WIDTH); x++)
      memcpy(rgb + 3 * (y * VIEW_WIDTH + x), own + 3 * (y * VIEW_WIDTH + x), 3);
}

static void test_object_in_front(void) {
  g_autoptr(Picture) picture = picture_new(900);
  Object object = {.picture = picture, .part = 0.5, .speed = 0.4};
  assert_motion(observe(41, (Camera){0}, draw_object, &object), (Camera){0}, 0.015);
  assert_motion(observe(42, (Camera){.x = -0.3}, draw_object, &object), (Camera){.x = -0.3}, 0.015);
  assert_motion(observe(43, (Camera){.zoom = 0.3}, draw_object, &object), (Camera){.zoom = 0.3},
                0.02);
}

/* An object that fills most of the picture hides the camera: nothing is said, or that it is still.
 */
static void test_large_object_is_no_camera(void) {
  g_autoptr(Picture) picture = picture_new(901);
  Object object = {.picture = picture, .part = 0.72, .speed = 0.3};
  MnkCameraMotion got = observe(44, (Camera){0}, draw_object, &object);
  g_assert_true(!got.valid || fabsf(got.dx) < 0.03f);
}

static void paint_grey(guint8 *rgb, double t, gpointer data) {
  view_fill(rgb, VIEW_BYTES, 120, 120, 120);
}

static void keep_corner(guint8 *rgb, double t, gpointer data) {
  for (int y = 0; y < VIEW_HEIGHT; y++)
    for (int x = 0; x < VIEW_WIDTH; x++)
      if (x > VIEW_WIDTH / 3 || y > VIEW_HEIGHT / 3)
        memset(rgb + 3 * (y * VIEW_WIDTH + x), 120, 3);
}

static void test_no_texture(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(5);
  g_assert_false(observe(51, (Camera){.x = 0.2}, paint_grey, NULL).valid);
  g_assert_false(observe(52, (Camera){.x = 0.2}, keep_corner, NULL).valid);
}

/* Each frame another picture. */
static void replace_picture(guint8 *rgb, double t, gpointer data) {
  g_autoptr(Picture) other = picture_new(1000 + (guint)(10 * (t + 1)));
  picture_view(other, (Camera){.zoom = 1}, rgb, VIEW_WIDTH, VIEW_HEIGHT);
}

static void test_nothing_in_common(void) {
  g_assert_false(observe(61, (Camera){0}, replace_picture, NULL).valid);
}

static void push_view(MnkMotion *motion, const Picture *picture, double x, gint64 pts_ms,
                      guint32 epoch) {
  g_autofree guint8 *rgb = g_malloc(VIEW_BYTES);
  picture_view(picture, (Camera){.x = x, .zoom = 1}, rgb, VIEW_WIDTH, VIEW_HEIGHT);
  g_autoptr(MnkFrame) frame =
      mnk_frame_new_rgb(rgb, VIEW_WIDTH, VIEW_HEIGHT, 3 * VIEW_WIDTH, pts_ms);
  frame->epoch = epoch;
  mnk_motion_push(motion, frame);
}

static gboolean take_valid(MnkMotion *motion) {
  MnkCameraMotion out;
  mnk_motion_take(motion, &out);
  return out.valid;
}

static void test_what_is_no_pair(void) {
  g_autoptr(Picture) picture = picture_new(71);
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  push_view(motion, picture, 0, 0, 0);
  g_assert_false(take_valid(motion)); /* one frame */
  push_view(motion, picture, 2, 160, 0);
  g_assert_true(take_valid(motion));
  g_assert_false(take_valid(motion)); /* taken */
  mnk_motion_cut(motion);
  push_view(motion, picture, 4, 320, 0);
  g_assert_false(take_valid(motion)); /* a cut between */
  push_view(motion, picture, 6, 480, 1);
  g_assert_false(take_valid(motion)); /* the clock jumped */
  push_view(motion, picture, 8, 5000, 1);
  g_assert_false(take_valid(motion)); /* a gap */
  push_view(motion, picture, 9, 5040, 1);
  g_assert_false(take_valid(motion)); /* too soon */
  push_view(motion, picture, 10, 5160, 1);
  g_assert_true(take_valid(motion));
}

/* One wrong pair among right ones does not move the median. */
static void test_median(void) {
  g_autoptr(Picture) picture = picture_new(81);
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  MnkCameraMotion out;
  for (int i = 0; i < 9; i++)
    push_view(motion, picture, i == 3 ? 30 : 4.0 * i, i * 200, 0);
  mnk_motion_take(motion, &out);
  assert_motion(out, (Camera){.x = 4.0 / VIEW_WIDTH / 0.2}, 0.012);
}

/* Tracks on a grid of 12 x 7: those with a middle in the given part of the picture move by one
 * shift, the others by another. */
static gboolean fit_parts(double part, float inside, float outside, MnkSimilarity *fit) {
  MnkTrack tracks[84];
  for (int i = 0; i < 84; i++) {
    float x = 8 + 13 * (float)(i % 12), y = 6 + 13 * (float)(i / 12);
    gboolean in = fabs((double)x / 160 - 0.5) < part / 2 && fabs((double)y / 90 - 0.5) < part / 2;
    tracks[i] = (MnkTrack){.x = x, .y = y, .u = in ? inside : outside, .found = TRUE};
  }
  return mnk_similarity_fit(tracks, 84, 160, 90, fit);
}

static void test_border_decides(void) {
  MnkSimilarity fit;
  g_assert_true(fit_parts(0.5, 6, 0, &fit));
  g_assert_cmpfloat_with_epsilon(fit.dx, 0, 1e-6);
  g_assert_true(fit_parts(0.5, 0, 6, &fit));
  g_assert_cmpfloat_with_epsilon(fit.dx, 6, 1e-6);
  /* Most blocks move, but those at the border stand: it may be an object or the camera. */
  g_assert_false(fit_parts(0.86, 6, 0, &fit));
  g_assert_false(fit_parts(0.75, 6, 0, &fit));
}

/* Square pixels: a turn of a tall picture is a turn, and shifts are parts of its width. */
static void test_tall_picture(void) {
  enum { WIDTH = 180, HEIGHT = 320 };
  g_autoptr(Picture) picture = picture_new(91);
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  g_autofree guint8 *rgb = g_malloc(WIDTH * HEIGHT * 3);
  MnkCameraMotion out;
  for (int i = 0; i < 8; i++) {
    Camera camera = {.x = 3 * i, .y = 2 * i, .zoom = 1, .angle = 0.02 * i};
    picture_view(picture, camera, rgb, WIDTH, HEIGHT);
    g_autoptr(MnkFrame) frame = mnk_frame_new_rgb(rgb, WIDTH, HEIGHT, 3 * WIDTH, i * 200);
    mnk_motion_push(motion, frame);
  }
  mnk_motion_take(motion, &out);
  assert_motion(out, (Camera){.x = 3.0 / WIDTH / 0.2, .y = 2.0 / WIDTH / 0.2, .angle = 0.1}, 0.015);
}

static void test_tiny_frames(void) {
  guint8 rgb[40 * 40 * 3];
  g_autoptr(MnkMotion) motion = mnk_motion_new();
  for (int side = 2; side <= 40; side++)
    for (int i = 0; i < 3; i++) {
      for (guint k = 0; k < sizeof rgb; k++)
        rgb[k] = (guint8)(k * 37 + k / 7 * 11);
      g_autoptr(MnkFrame) frame =
          mnk_frame_new_rgb(rgb, side, 42 - side, 3 * side, side * 1000 + i * 200);
      mnk_motion_push(motion, frame);
    }
  g_assert_false(take_valid(motion));
}

static void test_same_twice(void) {
  Camera speed = {.x = 0.2, .zoom = 0.1, .angle = 0.05};
  MnkCameraMotion one = observe(95, speed, NULL, NULL), two = observe(95, speed, NULL, NULL);
  g_assert_cmpmem(&one, sizeof one, &two, sizeof two);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/motion/known-cameras", test_known_cameras);
  g_test_add_func("/motion/zoom-is-no-pan", test_zoom_is_no_pan);
  g_test_add_func("/motion/still-with-noise", test_still_with_noise);
  g_test_add_func("/motion/light-is-no-motion", test_light_is_no_motion);
  g_test_add_func("/motion/object-in-front", test_object_in_front);
  g_test_add_func("/motion/large-object-is-no-camera", test_large_object_is_no_camera);
  g_test_add_func("/motion/no-texture", test_no_texture);
  g_test_add_func("/motion/nothing-in-common", test_nothing_in_common);
  g_test_add_func("/motion/no-pair", test_what_is_no_pair);
  g_test_add_func("/motion/border-decides", test_border_decides);
  g_test_add_func("/motion/median", test_median);
  g_test_add_func("/motion/tall-picture", test_tall_picture);
  g_test_add_func("/motion/tiny-frames", test_tiny_frames);
  g_test_add_func("/motion/same-twice", test_same_twice);
  return g_test_run();
}
