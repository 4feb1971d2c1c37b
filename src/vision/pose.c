/* Pose: the landmarks of the largest people, for their posture. BlazePose (Bazarevsky et al.,
 * 2020): a detector that finds hips and the circle round the body, then 33 landmarks in the turned
 * crop. */
#include "vision/pose_priv.h"

#include <math.h>

#include "vision/boxes_priv.h"
#include "vision/perception_priv.h"
#include "vision/ssd_priv.h"

enum { BODY_SIDE = 256, BODY_VALUES = 195, PER_POINT = 5, MAX_PEOPLE = 2, HIPS = 0, CIRCLE = 1 };

static const MnkSsd detector = {
    .side = 224,
    .n_layers = 3,
    .layers = {{28, 2}, {14, 2}, {7, 6}},
    .n_points = 4,
    .score = 0.5f,
    .overlap = 0.3f,
};
static const float BODY_SCORE = 0.6f;   /* least probability of a body in the crop */
static const float BODY_MARGIN = 1.25f; /* round the circle, as the model was trained */
static const float SMALLEST = 0.22f;    /* height of a person, in parts of the picture's */
static const float SECOND = 0.6f;       /* a second person's height, in parts of the first one's */

static const MnkNetSpec detector_spec = {"pose-detect", MNK_ELEMENT_F32, {4, {1, 224, 224, 3}}, 2};
static const MnkNetSpec body_spec = {
    "pose-landmarks", MNK_ELEMENT_F32, {4, {1, BODY_SIDE, BODY_SIDE, 3}}, 2};
static const MnkInputFormat detector_format = {
    .width = 224,
    .height = 224,
    .scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f},
    .bias = {-1, -1, -1},
};
static const MnkInputFormat body_format = {
    .width = BODY_SIDE,
    .height = BODY_SIDE,
    .scale = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f},
};

typedef struct {
  MnkNet *detector, *body;
} Pose;

static void pose_close(gpointer state) {
  Pose *pose = state;

  mnk_net_free(pose->detector);
  mnk_net_free(pose->body);
  g_free(pose);
}

static gpointer pose_open(MnkRuntime *runtime, const char *models_dir, GError **error) {
  Pose *pose = g_new0(Pose, 1);

  pose->detector = mnk_net_load(runtime, models_dir, &detector_spec, error);
  if (pose->detector)
    pose->body = mnk_net_load(runtime, models_dir, &body_spec, error);
  if (!pose->body)
    g_clear_pointer(&pose, pose_close);
  return pose;
}

/* The part of the picture round a person, with the margin that the detector likes. */
static MnkRect around(const MnkPicture *picture, const MnkBox *box) {
  float w = box->w * picture->width, h = box->h * picture->height;
  float side = 1.3f * MAX(w, h), cx = (box->x + box->w / 2) * picture->width;
  float cy = (box->y + box->h / 2) * picture->height;
  int left = CLAMP((int)(cx - side / 2), 0, picture->width - 1);
  int top = CLAMP((int)(cy - side / 2), 0, picture->height - 1);

  return (MnkRect){left, top, CLAMP((int)(cx + side / 2) - left, 1, picture->width - left),
                   CLAMP((int)(cy + side / 2) - top, 1, picture->height - top)};
}

/* The best body in the part, in picture pixels; *found FALSE when there is none. */
static gboolean detect(Pose *pose, const MnkPicture *picture, const MnkRect *part, MnkSsdHit *best,
                       gboolean *found, GError **error) {
  MnkSsdHit hits[MNK_SSD_MAX_HITS];
  MnkPicture size = {.width = part->w, .height = part->h};
  MnkRect place = mnk_letterbox(&size, &detector_format);
  guint anchors = mnk_ssd_anchors(&detector), values = 4 + 2 * detector.n_points;
  void *input = mnk_net_input(pose->detector, &detector_spec.input, error);
  const float *boxes, *logits;

  *found = FALSE;
  if (!input)
    return FALSE;
  mnk_resample(picture, part, &detector_format, &place, input);
  if (!mnk_net_run(pose->detector, error) ||
      !(boxes = mnk_net_output_of(pose->detector, 0, (gsize)anchors * values, error)) ||
      !(logits = mnk_net_output_of(pose->detector, 1, anchors, error)))
    return FALSE;
  *found = mnk_ssd_decode(&detector, boxes, logits, hits) > 0;
  if (*found) {
    *best = hits[0];
    mnk_ssd_to_picture(&detector, best, &place, part);
  }
  return TRUE;
}

/* Landmarks in picture pixels, and the probability of a body; negative on failure. */
static float landmarks(Pose *pose, const MnkPicture *picture, const MnkSsdHit *hit,
                       MnkBodyPoint points[MNK_BODY_POINTS], GError **error) {
  float dx = hit->points[CIRCLE].x - hit->points[HIPS].x;
  float dy = hit->points[CIRCLE].y - hit->points[HIPS].y;
  float side = 2 * BODY_MARGIN * hypotf(dx, dy);
  MnkAffine affine = mnk_affine_for(hit->points[HIPS].x, hit->points[HIPS].y, side, side,
                                    atan2f(dx, -dy), BODY_SIDE, BODY_SIDE);
  void *input = mnk_net_input(pose->body, &body_spec.input, error);
  const float *v, *score;

  if (!input)
    return -1;
  mnk_warp(picture, &affine, &body_format, BODY_SIDE, input);
  if (!mnk_net_run(pose->body, error) ||
      !(v = mnk_net_output_of(pose->body, 0, BODY_VALUES, error)) ||
      !(score = mnk_net_output_of(pose->body, 1, 1, error)))
    return -1;
  for (int i = 0; i < MNK_BODY_POINTS; i++, v += PER_POINT) {
    MnkBodyPoint *p = &points[i];
    mnk_affine_apply(&affine, v[0], v[1], &p->x, &p->y);
    gboolean inside = p->x >= 0 && p->x < picture->width && p->y >= 0 && p->y < picture->height;
    p->visibility = inside ? mnk_sigmoid(v[3]) * mnk_sigmoid(v[4]) : 0;
  }
  return MAX(*score, 0);
}

/* The tallest people, at most two; their number. */
static guint tallest(const MnkObservation *obs, const MnkDetection *people[MAX_PEOPLE]) {
  guint n = 0;

  for (guint i = 0; i < obs->n_objects; i++) {
    const MnkDetection *object = &obs->objects[i];
    if (!g_str_equal(object->name, "person") || object->box.h < SMALLEST)
      continue;
    if (n == 0 || object->box.h > people[0]->box.h) {
      people[1] = n > 0 ? people[0] : NULL;
      people[0] = object;
      n = MIN(n + 1, MAX_PEOPLE);
    } else if (n == 1 || object->box.h > people[1]->box.h) {
      people[1] = object;
      n = MAX_PEOPLE;
    }
  }
  if (n == MAX_PEOPLE && people[1]->box.h < SECOND * people[0]->box.h)
    n = 1;
  return n;
}

static gboolean pose_look(gpointer state, MnkLook *look, GError **error) {
  Pose *pose = state;
  MnkObservation *obs = look->obs;
  const MnkDetection *people[MAX_PEOPLE];
  guint n = tallest(obs, people);

  for (guint i = 0; i < n; i++) {
    MnkRect part = around(&look->picture, &people[i]->box);
    MnkBodyPoint points[MNK_BODY_POINTS];
    MnkSsdHit hit;
    gboolean found;
    if (!detect(pose, &look->picture, &part, &hit, &found, error))
      return FALSE;
    if (!found)
      continue;
    float score = landmarks(pose, &look->picture, &hit, points, error);
    if (score < 0)
      return FALSE;
    if (score < BODY_SCORE)
      continue;
    MnkDetection *body = &obs->poses[obs->n_poses++];
    g_strlcpy(body->name, mnk_pose_posture(points), sizeof body->name);
    body->score = MIN(score, 1.0f);
    body->box = people[i]->box;
  }
  return TRUE;
}

const MnkPartOps mnk_part_pose = {
    MNK_PART_POSE, "pose", {"pose-detect", "pose-landmarks"}, pose_open, pose_close, pose_look,
};
