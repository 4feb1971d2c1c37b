/* Objects: things with boxes. CenterNet (Zhou et al., "Objects as Points", 2019) on COCO. */
#include "vision/perception_priv.h"

#include "facts/facts.h"
#include "vision/boxes_priv.h"

enum {
  SIDE = 512,
  MAP = 128,
  CLASSES = 80,
  MAX_CANDIDATES = 512,
  PERSON = 0,
  CAR = 2,
};

/* Two boxes of one kind, and of any two kinds, that show the same thing. */
static const float SAME_KIND_OVERLAP = 0.45f, ANY_KIND_OVERLAP = 0.70f;

/* How sure a class must be, and how large (longer side, in input pixels) when not very sure. Chosen
 * on photographs: small round or dark things are taken for balls, birds, clocks and remotes; people
 * and vehicles are found reliably while small. */
typedef struct {
  guint8 class;
  float score, side;
} Limit;
static const Limit default_limit = {0, 0.38f, 40};
static const float SURE_WHEN_SMALL = 0.75f;
/* More score that is asked of one just large enough; none of one twice as large. */
static const float SMALL_EXTRA = 0.12f;
static const Limit limits[] = {
    {PERSON, 0.38f, 18}, /* person */
    {1, 0.34f, 24},      /* bicycle */
    {CAR, 0.38f, 20},    /* car */
    {3, 0.36f, 24},      /* motorcycle */
    {4, 0.40f, 32},      /* airplane */
    {5, 0.40f, 32},      /* bus */
    {6, 0.42f, 40},      /* train */
    {7, 0.45f, 32},      /* truck */
    {9, 0.42f, 20},      /* traffic light */
    {14, 0.42f, 64},     /* bird */
    {15, 0.38f, 48},     /* cat */
    {16, 0.42f, 48},     /* dog */
    {27, 0.42f, 40},     /* tie */
    {29, 0.50f, 40},     /* frisbee */
    {32, 0.50f, 28},     /* sports ball */
    {33, 0.50f, 40},     /* kite */
    {61, 0.50f, 64},     /* toilet */
    {64, 0.50f, 40},     /* mouse */
    {65, 0.50f, 48},     /* remote */
    {74, 0.48f, 48},     /* clock */
};

static const MnkNetSpec net_spec = {"objects", MNK_ELEMENT_U8, {4, {1, SIDE, SIDE, 3}}, 2};
static const MnkInputFormat format = {.width = SIDE, .height = SIDE, .bytes = TRUE};

static void objects_close(gpointer state) {
  mnk_net_free(state);
}

static gpointer objects_open(MnkRuntime *runtime, const char *models_dir, GError **error) {
  return mnk_net_load(runtime, models_dir, &net_spec, error);
}

static const Limit *limit_of(int class) {
  for (guint i = 0; i < G_N_ELEMENTS(limits); i++)
    if (limits[i].class == class)
      return &limits[i];
  return &default_limit;
}

/* ---- From heat to boxes ---- */

static gboolean is_peak(const float *plane, int side, int x, int y) {
  float value = plane[y * side + x];

  for (int v = MAX(y - 1, 0); v <= MIN(y + 1, side - 1); v++)
    for (int u = MAX(x - 1, 0); u <= MIN(x + 1, side - 1); u++)
      if (plane[v * side + u] > value)
        return FALSE;
  return TRUE;
}

static MnkBox box_at(const MnkObjectMap *map, int x, int y) {
  gsize plane = (gsize)map->side * map->side, at = (gsize)y * map->side + x;
  const float *s = map->sides + at;
  float left = MAX(s[0], 0), top = MAX(s[plane], 0);
  float right = MAX(s[2 * plane], 0), bottom = MAX(s[3 * plane], 0);

  return (MnkBox){x * map->stride - left, y * map->stride - top, left + right, top + bottom};
}

static gboolean good_enough(const Limit *limit, float score, const MnkBox *box) {
  float size = MAX(box->w, box->h) / limit->side;

  if (score >= SURE_WHEN_SMALL)
    return TRUE;
  return size >= 1 && score >= limit->score + SMALL_EXTRA * MAX(2 - size, 0);
}

static guint add_peaks(const MnkObjectMap *map, int class, MnkCandidate *candidates, guint n) {
  const Limit *limit = limit_of(class);
  const float *plane = map->heat + (gsize) class * map->side * map->side;

  for (int i = 0; i < map->side * map->side && n < MAX_CANDIDATES; i++) {
    if (!(plane[i] >= limit->score) || !is_peak(plane, map->side, i % map->side, i / map->side))
      continue;
    MnkBox box = box_at(map, i % map->side, i / map->side);
    if (good_enough(limit, plane[i], &box))
      candidates[n++] = (MnkCandidate){box, plane[i], class};
  }
  return n;
}

static MnkBox to_picture(const MnkBox *box, const MnkRect *place) {
  MnkBox part = {(box->x - place->x) / place->w, (box->y - place->y) / place->h, box->w / place->w,
                 box->h / place->h};

  return mnk_box_clip(&part);
}

guint mnk_objects_decode(const MnkObjectMap *map, MnkDetection *objects, guint max) {
  g_autofree MnkCandidate *candidates = g_new(MnkCandidate, MAX_CANDIDATES);
  guint n = 0, found = 0;

  for (int class = 0; class < CLASSES; class ++)
    if (mnk_vocabulary_coco((guint) class))
      n = add_peaks(map, class, candidates, n);
  n = mnk_candidates_suppress(candidates, n, SAME_KIND_OVERLAP, ANY_KIND_OVERLAP);
  for (guint i = 0; i < n && found < max; i++) {
    MnkDetection *object = &objects[found];
    object->box = to_picture(&candidates[i].box, &map->place);
    if (!(object->box.w > 0 && object->box.h > 0))
      continue;
    g_strlcpy(object->name, mnk_vocabulary_coco((guint)candidates[i].kind)->name,
              sizeof object->name);
    object->score = MIN(candidates[i].score, 1.0f);
    found++;
  }
  return found;
}

/* The picture keeps its shape: squeezed to a square, cats become dogs. */
static gboolean objects_look(gpointer state, MnkLook *look, GError **error) {
  MnkRect whole = {0, 0, look->picture.width, look->picture.height};
  MnkObjectMap map = {.side = MAP, .stride = SIDE / MAP};
  void *input = mnk_net_input(state, &net_spec.input, error);

  if (!input)
    return FALSE;
  map.place = mnk_letterbox(&look->picture, &format);
  mnk_resample(&look->picture, &whole, &format, &map.place, input);
  if (!mnk_net_run(state, error) ||
      !(map.heat = mnk_net_output_of(state, 0, (gsize)CLASSES * MAP * MAP, error)) ||
      !(map.sides = mnk_net_output_of(state, 1, (gsize)4 * MAP * MAP, error)))
    return FALSE;
  look->obs->n_objects = mnk_objects_decode(&map, look->obs->objects, MNK_OBS_MAX_OBJECTS);
  return TRUE;
}

const MnkPartOps mnk_part_objects = {
    MNK_PART_OBJECTS, "objects", {"objects"}, objects_open, objects_close, objects_look,
};
