/* From a map of text probabilities to turned rectangles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/text_priv.h"

static const float MAP_MIN = 0.3f;    /* a map pixel that is text */
static const float REGION_MIN = 0.6f; /* mean probability over a region */
static const float GROW = 1.6f;       /* lines are shrunk by their area to perimeter ratio */
static const float SMALLEST = 3;      /* short side before growing, map pixels */
static const float UPRIGHT = 1.5f;    /* height to width from which a line runs downwards */

typedef struct {
  float x, y;
} Point;

typedef struct {
  const float *map;
  int width, height;
  guint8 *todo; /* text pixels not yet in a region */
  int *stack;
  int *left, *right; /* of the region, by row */
} Scan;

typedef struct {
  int top, bottom;
  float sum;
  guint n;
} Blob;

/* Text pixels, each reaching one pixel further right and down, so that hairline breaks close. */
static void threshold(Scan *scan) {
  int w = scan->width;

  for (int y = 0; y < scan->height; y++)
    for (int x = 0; x < w; x++) {
      int i = y * w + x;
      scan->todo[i] = scan->map[i] > MAP_MIN || (x > 0 && scan->map[i - 1] > MAP_MIN) ||
                      (y > 0 && scan->map[i - w] > MAP_MIN) ||
                      (x > 0 && y > 0 && scan->map[i - w - 1] > MAP_MIN);
    }
}

static void visit(Scan *scan, Blob *blob, int x, int y) {
  float p = scan->map[y * scan->width + x];

  if (p > MAP_MIN) {
    blob->sum += p;
    blob->n++;
  }
  blob->top = MIN(blob->top, y);
  blob->bottom = MAX(blob->bottom, y);
  scan->left[y] = MIN(scan->left[y], x);
  scan->right[y] = MAX(scan->right[y], x);
}

/* Takes the connected text pixels round a start out of todo. */
static Blob flood(Scan *scan, int start) {
  Blob blob = {.top = scan->height, .bottom = -1};
  int depth = 0;

  scan->stack[depth++] = start;
  scan->todo[start] = 0;
  while (depth > 0) {
    int at = scan->stack[--depth], x = at % scan->width, y = at / scan->width;
    visit(scan, &blob, x, y);
    for (int v = MAX(y - 1, 0); v <= MIN(y + 1, scan->height - 1); v++)
      for (int u = MAX(x - 1, 0); u <= MIN(x + 1, scan->width - 1); u++) {
        int next = v * scan->width + u;
        if (scan->todo[next]) {
          scan->todo[next] = 0;
          scan->stack[depth++] = next;
        }
      }
  }
  return blob;
}

static float cross(Point o, Point a, Point b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

/* Convex hull by Andrew's monotone chain; points sorted by y, then x. hull has room for n + 1. */
static guint convex_hull(const Point *points, guint n, Point *hull) {
  guint k = 0;

  for (guint i = 0; i < n; i++) {
    while (k >= 2 && cross(hull[k - 2], hull[k - 1], points[i]) <= 0)
      k--;
    hull[k++] = points[i];
  }
  guint lower = k + 1;
  for (guint i = n - 1; i-- > 0;) {
    while (k >= lower && cross(hull[k - 2], hull[k - 1], points[i]) <= 0)
      k--;
    hull[k++] = points[i];
  }
  return MAX(k, 2) - 1;
}

/* The rectangle with a side along the direction (dx, dy) of length 1. */
static MnkTextRegion rectangle_along(const Point *hull, guint n, float dx, float dy) {
  float u0 = INFINITY, u1 = -INFINITY, v0 = INFINITY, v1 = -INFINITY;

  for (guint i = 0; i < n; i++) {
    float u = hull[i].x * dx + hull[i].y * dy, v = hull[i].y * dx - hull[i].x * dy;
    u0 = MIN(u0, u);
    u1 = MAX(u1, u);
    v0 = MIN(v0, v);
    v1 = MAX(v1, v);
  }
  float u = (u0 + u1) / 2, v = (v0 + v1) / 2;
  return (MnkTextRegion){.cx = u * dx - v * dy,
                         .cy = u * dy + v * dx,
                         .w = u1 - u0 + 1, /* the points are middles of pixels */
                         .h = v1 - v0 + 1,
                         .angle = atan2f(dy, dx)};
}

/* A side of the least rectangle lies along an edge of the hull. */
static MnkTextRegion least_rectangle(const Point *hull, guint n) {
  MnkTextRegion best = rectangle_along(hull, n, 1, 0);

  for (guint i = 0; i < n; i++) {
    Point a = hull[i], b = hull[(i + 1) % n];
    float dx = b.x - a.x, dy = b.y - a.y, length = hypotf(dx, dy);
    if (length < 1)
      continue;
    MnkTextRegion r = rectangle_along(hull, n, dx / length, dy / length);
    if (r.w * r.h < best.w * best.h)
      best = r;
  }
  return best;
}

/* Turns the description, not the rectangle: the width runs as near to the right as can be, or
 * downwards for a tall one. */
static void read_along(MnkTextRegion *r) {
  const float quarter = (float)G_PI_2;

  while (r->angle > quarter / 2 || r->angle <= -quarter / 2) {
    r->angle += r->angle > 0 ? -quarter : quarter;
    float w = r->w;
    r->w = r->h;
    r->h = w;
  }
  if (r->h >= UPRIGHT * r->w) {
    float w = r->w;
    r->w = r->h;
    r->h = w;
    r->angle += quarter;
  }
}

static gboolean measure(Scan *scan, const Blob *blob, Point *points, Point *hull,
                        MnkTextRegion *region) {
  guint n = 0;

  for (int y = blob->top; y <= blob->bottom; y++) {
    points[n++] = (Point){scan->left[y] + 0.5f, y + 0.5f};
    if (scan->right[y] > scan->left[y])
      points[n++] = (Point){scan->right[y] + 0.5f, y + 0.5f};
    scan->left[y] = scan->width;
    scan->right[y] = -1;
  }
  float score = blob->n > 0 ? blob->sum / blob->n : 0;
  if (score < REGION_MIN || n < 2)
    return FALSE;
  *region = least_rectangle(hull, convex_hull(points, n, hull));
  region->score = score;
  if (MIN(region->w, region->h) < SMALLEST)
    return FALSE;
  float grow = GROW * region->w * region->h / (region->w + region->h); /* twice the distance */
  region->w += grow;
  region->h += grow;
  read_along(region);
  return TRUE;
}

static int by_falling_area(const void *a, const void *b) {
  const MnkTextRegion *p = a, *q = b;
  float x = p->w * p->h, y = q->w * q->h;

  return (x < y) - (x > y);
}

/* Keeps the largest when there are too many. */
static guint add(MnkTextRegion *regions, guint n, const MnkTextRegion *region) {
  if (n < MNK_TEXT_MAX_REGIONS) {
    regions[n] = *region;
    return n + 1;
  }
  guint smallest = 0;
  for (guint i = 1; i < n; i++)
    if (by_falling_area(&regions[i], &regions[smallest]) > 0)
      smallest = i;
  if (by_falling_area(region, &regions[smallest]) < 0)
    regions[smallest] = *region;
  return n;
}

guint mnk_text_regions(const float *map, int width, int height,
                       MnkTextRegion regions[MNK_TEXT_MAX_REGIONS]) {
  gsize pixels = (gsize)width * height;
  g_autofree guint8 *todo = g_malloc0(pixels);
  g_autofree int *stack = g_new(int, pixels);
  g_autofree int *rows = g_new(int, (gsize)height * 2);
  g_autofree Point *points = g_new(Point, (gsize)height * 2);
  g_autofree Point *hull = g_new(Point, (gsize)height * 2 + 2);
  Scan scan = {map, width, height, todo, stack, rows, rows + height};
  guint n = 0;

  threshold(&scan);
  for (int y = 0; y < height; y++) {
    scan.left[y] = width;
    scan.right[y] = -1;
  }
  for (gsize i = 0; i < pixels; i++) {
    MnkTextRegion region;
    if (!todo[i])
      continue;
    Blob blob = flood(&scan, (int)i);
    if (measure(&scan, &blob, points, hull, &region))
      n = add(regions, n, &region);
  }
  if (n > 1)
    qsort(regions, n, sizeof *regions, by_falling_area);
  return n;
}
