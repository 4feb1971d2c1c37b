/* Gate: a frame is worth looking at when it differs from the last one that was looked at, when too
 * long nothing was looked at, or when somebody asks. */
#include "vision/vision.h"

#include <string.h>

enum { THUMB_BYTES = MNK_GATE_SIDE * MNK_GATE_SIDE };

struct _MnkGate {
  double mse;
  gint64 max_gap_ms;
  gboolean started; /* a frame was accepted: the fields below hold */
  guint32 epoch;
  gint64 last_pts_ms, accepted_pts_ms;
  guint8 accepted[THUMB_BYTES];
  MnkGateCounters counters;
};

MnkGate *mnk_gate_new(double mse, gint64 max_gap_ms) {
  MnkGate *gate = g_new0(MnkGate, 1);
  mnk_gate_set(gate, mse, max_gap_ms);
  return gate;
}

void mnk_gate_free(MnkGate *gate) {
  g_free(gate);
}

void mnk_gate_set(MnkGate *gate, double mse, gint64 max_gap_ms) {
  gate->mse = mse;
  gate->max_gap_ms = max_gap_ms;
}

void mnk_gate_counters(const MnkGate *gate, MnkGateCounters *out) {
  *out = gate->counters;
}

/* Mean squared difference on the 0..1 scale. The sum is exact: at most 4096 * 255^2 < 2^29. */
static double distance(const guint8 *a, const guint8 *b) {
  guint32 sum = 0;
  for (int i = 0; i < THUMB_BYTES; i++) {
    int difference = a[i] - b[i];
    sum += (guint32)(difference * difference);
  }
  return sum / (THUMB_BYTES * 255.0 * 255.0);
}

static gboolean is_late(const MnkGate *gate, gint64 pts_ms, guint32 epoch) {
  return gate->started &&
         (epoch < gate->epoch || (epoch == gate->epoch && pts_ms <= gate->last_pts_ms));
}

MnkGateVerdict mnk_gate_offer(MnkGate *gate, const guint8 *thumb, gint64 pts_ms, guint32 epoch,
                              gboolean asked, float *change) {
  double d = gate->started ? distance(thumb, gate->accepted) : 1.0;
  *change = (float)d;
  if (is_late(gate, pts_ms, epoch)) {
    gate->counters.late++;
    return MNK_GATE_LATE;
  }

  /* Times of two epochs cannot be compared: a new one starts with an accepted frame. */
  gboolean fresh = !gate->started || epoch != gate->epoch;
  gate->started = TRUE;
  gate->epoch = epoch;
  gate->last_pts_ms = pts_ms;
  if (!fresh && !asked && d < gate->mse && pts_ms - gate->accepted_pts_ms < gate->max_gap_ms) {
    gate->counters.duplicate++;
    return MNK_GATE_DUPLICATE;
  }
  gate->accepted_pts_ms = pts_ms;
  memcpy(gate->accepted, thumb, THUMB_BYTES);
  gate->counters.accepted++;
  return MNK_GATE_ACCEPTED;
}
