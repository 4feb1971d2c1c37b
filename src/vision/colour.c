/* The dominant colour of a picture: what the stub perception can tell. It answers with a thing of
 * that colour that the vocabulary knows, so that all that comes behind it works as it does for a
 * model. */
#include "vision/perception_priv.h"

enum { GRID = 32, CELLS = 4, BRIGHT = 170, DARK = 60, VIVID = 60 };

typedef enum { RED, GREEN, BLUE, YELLOW, WHITE, BLACK, GREY, COLOURS } Colour;
static const char *const names[COLOURS] = {
    [RED] = "strawberry",   [GREEN] = "broccoli", [BLUE] = "seashore", [YELLOW] = "banana",
    [WHITE] = "polar bear", [BLACK] = "gorilla",  [GREY] = "elephant",
};

static Colour colour_of(const guint8 *p) {
  int r = p[0], g = p[1], b = p[2];
  int low = MIN(MIN(r, g), b), high = MAX(MAX(r, g), b);

  if (high - low < VIVID)
    return high < DARK ? BLACK : low > BRIGHT ? WHITE : GREY;
  if (b == low && MIN(r, g) - b > (high - low) / 2)
    return YELLOW;
  return r == high ? RED : g == high ? GREEN : BLUE;
}

const char *mnk_colour_thing(const MnkPicture *picture, float *share) {
  guint counts[COLOURS] = {0}, best = 0;

  for (int y = 0; y < GRID; y++)
    for (int x = 0; x < GRID; x++) {
      int px = (2 * x + 1) * picture->width / (2 * GRID);
      int py = (2 * y + 1) * picture->height / (2 * GRID);
      counts[colour_of(picture->rgb + (gsize)py * picture->stride + (gsize)px * 3)]++;
    }
  for (guint i = 1; i < COLOURS; i++)
    if (counts[i] > counts[best])
      best = i;
  *share = (float)counts[best] / (GRID * GRID);
  return names[best];
}

void mnk_colour_features(const MnkPicture *picture, float features[MNK_STUB_FEATURES]) {
  const int cell = GRID / CELLS;
  const float one = 1.0f / (255.0f * (float)(cell * cell));

  for (int i = 0; i < MNK_STUB_FEATURES; i++)
    features[i] = 0;
  for (int y = 0; y < GRID; y++)
    for (int x = 0; x < GRID; x++) {
      int px = (2 * x + 1) * picture->width / (2 * GRID);
      int py = (2 * y + 1) * picture->height / (2 * GRID);
      const guint8 *p = picture->rgb + (gsize)py * picture->stride + (gsize)px * 3;
      float *sums = features + 3 * (y / cell * CELLS + x / cell);
      for (int k = 0; k < 3; k++)
        sums[k] += (float)p[k] * one;
    }
}
