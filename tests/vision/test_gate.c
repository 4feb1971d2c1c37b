/* The gate: each rule alone, and random offers against a plain reference. */
#include "vision/vision.h"

#include <math.h>
#include <string.h>

enum { BYTES = MNK_GATE_SIDE * MNK_GATE_SIDE };

static MnkGateVerdict offer(MnkGate *gate, guint8 grey, gint64 pts_ms) {
  guint8 thumb[BYTES];
  float change;
  memset(thumb, grey, sizeof thumb);
  return mnk_gate_offer(gate, thumb, pts_ms, 0, FALSE, &change);
}

static void test_first_is_accepted(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  g_assert_cmpint(offer(gate, 0, 1000), ==, MNK_GATE_ACCEPTED);
  g_assert_cmpint(offer(gate, 0, 2000), ==, MNK_GATE_DUPLICATE);
}

/* A step of 10 of 255 is 0.001538, one of 9 is 0.001246. */
static void test_threshold(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  offer(gate, 100, 0);
  g_assert_cmpint(offer(gate, 109, 100), ==, MNK_GATE_DUPLICATE);
  g_assert_cmpint(offer(gate, 110, 200), ==, MNK_GATE_ACCEPTED);
  mnk_gate_set(gate, 81.0 / 255 / 255, 4000);
  g_assert_cmpint(offer(gate, 118, 300), ==, MNK_GATE_DUPLICATE);
  g_assert_cmpint(offer(gate, 119, 400), ==, MNK_GATE_ACCEPTED);
}

/* Slow drift adds up: the distance is to the last accepted frame, not to the last one. */
static void test_drift(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 1000000);
  guint accepted = 0;
  for (int i = 0; i < 100; i++)
    accepted += offer(gate, (guint8)i, i * 1000) == MNK_GATE_ACCEPTED ? 1 : 0;
  g_assert_cmpuint(accepted, ==, 10);
}

static void test_gap(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  offer(gate, 100, 0);
  g_assert_cmpint(offer(gate, 100, 3999), ==, MNK_GATE_DUPLICATE);
  g_assert_cmpint(offer(gate, 100, 4000), ==, MNK_GATE_ACCEPTED);
  g_assert_cmpint(offer(gate, 100, 7999), ==, MNK_GATE_DUPLICATE);
  g_assert_cmpint(offer(gate, 100, 8000), ==, MNK_GATE_ACCEPTED);
}

static void test_asked(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  guint8 thumb[BYTES] = {0};
  float change;
  mnk_gate_offer(gate, thumb, 0, 0, FALSE, &change);
  g_assert_cmpint(mnk_gate_offer(gate, thumb, 1000, 0, TRUE, &change), ==, MNK_GATE_ACCEPTED);
  g_assert_cmpfloat(change, ==, 0);
  /* The gap counts from it. */
  g_assert_cmpint(offer(gate, 0, 4900), ==, MNK_GATE_DUPLICATE);
  g_assert_cmpint(offer(gate, 0, 5000), ==, MNK_GATE_ACCEPTED);
}

static void test_late(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  guint8 thumb[BYTES] = {0};
  MnkGateCounters counters;
  float change;
  offer(gate, 0, 1000);
  offer(gate, 0, 3000);
  g_assert_cmpint(offer(gate, 200, 3000), ==, MNK_GATE_LATE);
  g_assert_cmpint(offer(gate, 200, 2000), ==, MNK_GATE_LATE);
  g_assert_cmpint(mnk_gate_offer(gate, thumb, 2500, 0, TRUE, &change), ==, MNK_GATE_LATE);
  g_assert_cmpint(offer(gate, 0, 3001), ==, MNK_GATE_DUPLICATE);
  mnk_gate_counters(gate, &counters);
  g_assert_cmpuint(counters.accepted, ==, 1);
  g_assert_cmpuint(counters.duplicate, ==, 2);
  g_assert_cmpuint(counters.late, ==, 3);
}

/* A clock that jumped back starts anew; stragglers of the old one are late. */
static void test_epoch(void) {
  g_autoptr(MnkGate) gate = mnk_gate_new(0.0015, 4000);
  guint8 thumb[BYTES] = {0};
  float change;
  mnk_gate_offer(gate, thumb, 100000, 0, FALSE, &change);
  g_assert_cmpint(mnk_gate_offer(gate, thumb, 5, 1, FALSE, &change), ==, MNK_GATE_ACCEPTED);
  g_assert_cmpint(mnk_gate_offer(gate, thumb, 100001, 0, FALSE, &change), ==, MNK_GATE_LATE);
  g_assert_cmpint(mnk_gate_offer(gate, thumb, 6, 1, FALSE, &change), ==, MNK_GATE_DUPLICATE);
}

/* ---- Against a reference written the long way round ---- */

typedef struct {
  GArray *accepted; /* indices of offers */
  gint64 newest;    /* index of the last offer in order, -1 none */
} Reference;

typedef struct {
  guint8 thumb[BYTES];
  gint64 pts_ms;
  guint32 epoch;
  gboolean asked;
} Offer;

static double reference_distance(const Offer *a, const Offer *b) {
  double sum = 0;
  for (int i = 0; i < BYTES; i++)
    sum += pow(a->thumb[i] / 255.0 - b->thumb[i] / 255.0, 2);
  return sum / BYTES;
}

static MnkGateVerdict reference_verdict(Reference *r, const Offer *offers, gint64 index, double mse,
                                        gint64 max_gap_ms) {
  const Offer *o = &offers[index];
  if (r->newest >= 0) {
    const Offer *newest = &offers[r->newest];
    if (o->epoch < newest->epoch || (o->epoch == newest->epoch && o->pts_ms <= newest->pts_ms))
      return MNK_GATE_LATE;
  }
  gboolean accept = r->newest < 0 || offers[r->newest].epoch != o->epoch || o->asked;
  if (!accept) {
    const Offer *last = &offers[g_array_index(r->accepted, gint64, r->accepted->len - 1)];
    accept = reference_distance(o, last) >= mse || o->pts_ms - last->pts_ms >= max_gap_ms;
  }
  r->newest = index;
  if (accept)
    g_array_append_val(r->accepted, index);
  return accept ? MNK_GATE_ACCEPTED : MNK_GATE_DUPLICATE;
}

static void random_offer(GRand *rand, Offer *offer, const Offer *before) {
  *offer = before ? *before : (Offer){0};
  offer->pts_ms += g_rand_int_range(rand, -200, 1500);
  offer->asked = g_rand_int_range(rand, 0, 20) == 0;
  if (g_rand_int_range(rand, 0, 40) == 0) {
    offer->epoch += (guint32)g_rand_int_range(rand, 0, 2);
    offer->pts_ms = g_rand_int_range(rand, 0, 5000);
  }
  int step = g_rand_int_range(rand, 0, 14), cells = g_rand_int_range(rand, 0, BYTES);
  for (int i = 0; i < cells; i++) {
    int value = offer->thumb[i] + g_rand_int_range(rand, -step, step + 1);
    offer->thumb[i] = (guint8)CLAMP(value, 0, 255);
  }
}

static void test_reference(void) {
  enum { N = 400 };
  for (guint seed = 0; seed < 12; seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autofree Offer *offers = g_new(Offer, N);
    double mse = g_rand_double_range(rand, 0, 0.002);
    gint64 max_gap_ms = g_rand_int_range(rand, 500, 6000);
    g_autoptr(MnkGate) gate = mnk_gate_new(mse, max_gap_ms);
    g_autoptr(GArray) accepted = g_array_new(FALSE, FALSE, sizeof(gint64));
    Reference reference = {.accepted = accepted, .newest = -1};
    MnkGateCounters counters, expected = {0};
    for (gint64 i = 0; i < N; i++) {
      float change;
      random_offer(rand, &offers[i], i > 0 ? &offers[i - 1] : NULL);
      gint64 last = accepted->len > 0 ? g_array_index(accepted, gint64, accepted->len - 1) : -1;
      MnkGateVerdict wanted = reference_verdict(&reference, offers, i, mse, max_gap_ms);
      MnkGateVerdict verdict = mnk_gate_offer(gate, offers[i].thumb, offers[i].pts_ms,
                                              offers[i].epoch, offers[i].asked, &change);
      g_assert_cmpint(verdict, ==, wanted);
      double distance = last < 0 ? 1 : reference_distance(&offers[i], &offers[last]);
      g_assert_cmpfloat_with_epsilon((double)change, distance, 1e-6);
      expected.accepted += verdict == MNK_GATE_ACCEPTED ? 1 : 0;
      expected.duplicate += verdict == MNK_GATE_DUPLICATE ? 1 : 0;
      expected.late += verdict == MNK_GATE_LATE ? 1 : 0;
    }
    mnk_gate_counters(gate, &counters);
    g_assert_cmpmem(&counters, sizeof counters, &expected, sizeof expected);
    g_assert_cmpuint(counters.accepted + counters.duplicate + counters.late, ==, N);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/gate/first", test_first_is_accepted);
  g_test_add_func("/gate/threshold", test_threshold);
  g_test_add_func("/gate/drift", test_drift);
  g_test_add_func("/gate/gap", test_gap);
  g_test_add_func("/gate/asked", test_asked);
  g_test_add_func("/gate/late", test_late);
  g_test_add_func("/gate/epoch", test_epoch);
  g_test_add_func("/gate/reference", test_reference);
  return g_test_run();
}
