#include "media/plan_priv.h"

#include <math.h>

#include "media/libav_priv.h"
#include "media/sampler_priv.h"

enum {
  AHEAD = 18,     /* packets held back: a picture moves by 16 places at most on its way from coded
                     to shown order */
  KNOWN = 64,     /* times of packets remembered, before and after */
  SLACK_MS = 1,   /* times are rounded to milliseconds twice */
  JUMP_MS = 1000, /* after such a step the timeline may set another offset, a little later */
};

struct _MnkPlan {
  enum AVCodecID codec;
  AVRational time_base;
  gboolean intra_only, leaves_non_references;
  MnkPlanMode mode;
  double fps;
  double offset_ms, wanted_ms;
  gboolean needs_key;  /* what follows refers to pictures that were left out */
  guint unsure;        /* packets to decode in any case */
  GQueue waiting;      /* AVPacket */
  double known[KNOWN]; /* raw times in ms, ascending */
  guint n_known;
  double newest_ms;
};

/* HEVC is not among them: its non-reference pictures are so only within their own sub-layer. */
static gboolean leaves_non_references(enum AVCodecID codec) {
  switch (codec) {
  case AV_CODEC_ID_H264:
  case AV_CODEC_ID_MPEG1VIDEO:
  case AV_CODEC_ID_MPEG2VIDEO:
  case AV_CODEC_ID_MPEG4:
    return TRUE;
  default:
    return FALSE;
  }
}

MnkPlan *mnk_plan_new(enum AVCodecID codec, AVRational time_base) {
  MnkPlan *plan = g_new0(MnkPlan, 1);
  const AVCodecDescriptor *about = avcodec_descriptor_get(codec);
  plan->codec = codec;
  plan->time_base = time_base;
  plan->intra_only = about && (about->props & AV_CODEC_PROP_INTRA_ONLY);
  plan->leaves_non_references = leaves_non_references(codec);
  plan->fps = 1;
  g_queue_init(&plan->waiting);
  return plan;
}

void mnk_plan_free(MnkPlan *plan) {
  if (!plan)
    return;
  mnk_plan_clear(plan);
  g_free(plan);
}

void mnk_plan_clear(MnkPlan *plan) {
  g_queue_clear_full(&plan->waiting, (GDestroyNotify)mnk_av_packet_delete);
  plan->n_known = 0;
  plan->unsure = 0;
}

gboolean mnk_plan_can_choose(const MnkPlan *plan) {
  return plan->intra_only || plan->leaves_non_references;
}

void mnk_plan_set(MnkPlan *plan, MnkPlanMode mode, double fps, gint64 wanted_us) {
  if (plan->mode == MNK_PLAN_KEYS && mode != MNK_PLAN_KEYS)
    plan->needs_key = TRUE;
  plan->mode = mode;
  plan->fps = fps;
  plan->wanted_ms = (double)wanted_us / 1000;
}

void mnk_plan_set_offset(MnkPlan *plan, gint64 offset_us) {
  plan->offset_ms = (double)offset_us / 1000;
}

static double packet_ms(const MnkPlan *plan, const AVPacket *packet) {
  return (double)av_rescale_q(packet->pts, plan->time_base, AV_TIME_BASE_Q) / 1000;
}

/* Keeps the times sorted; the earliest goes when there is no room. */
static void remember(MnkPlan *plan, double ms) {
  if (plan->n_known > 0 && fabs(ms - plan->newest_ms) > JUMP_MS)
    plan->unsure = 2 * AHEAD;
  plan->newest_ms = ms;
  if (plan->n_known == KNOWN) {
    plan->n_known--;
    for (guint i = 0; i < plan->n_known; i++)
      plan->known[i] = plan->known[i + 1];
  }
  guint i = plan->n_known++;
  for (; i > 0 && plan->known[i - 1] > ms; i--)
    plan->known[i] = plan->known[i - 1];
  plan->known[i] = ms;
}

void mnk_plan_push(MnkPlan *plan, AVPacket *packet) {
  AVPacket *kept = av_packet_alloc();
  if (!kept)
    g_error("no memory for a packet");
  av_packet_move_ref(kept, packet);
  if (kept->pts != AV_NOPTS_VALUE)
    remember(plan, packet_ms(plan, kept));
  g_queue_push_tail(&plan->waiting, kept);
}

/* Whether the picture may be the nearest to a point, as far as the packets around it tell. */
static gboolean may_be_sampled(const MnkPlan *plan, const AVPacket *packet) {
  if (packet->pts == AV_NOPTS_VALUE)
    return TRUE;
  double ms = packet_ms(plan, packet);
  guint i = 0;
  while (i < plan->n_known && plan->known[i] < ms)
    i++;
  guint next = i;
  while (next < plan->n_known && plan->known[next] <= ms)
    next++;
  if (i == 0 || next == plan->n_known)
    return TRUE;
  if (ms + SLACK_MS < plan->wanted_ms)
    return FALSE;
  /* The first picture from the start point on is always sampled. */
  if (plan->known[i - 1] - SLACK_MS <= plan->wanted_ms)
    return TRUE;
  return mnk_grid_has_point(plan->fps, (plan->known[i - 1] + ms) / 2 + plan->offset_ms - SLACK_MS,
                            (ms + plan->known[next]) / 2 + plan->offset_ms + SLACK_MS);
}

static MnkPacketUse use_of(MnkPlan *plan, const AVPacket *packet) {
  gboolean key = (packet->flags & AV_PKT_FLAG_KEY) != 0;
  if (plan->needs_key && !key)
    return MNK_PACKET_LEAVE;
  plan->needs_key = FALSE;
  if (plan->mode == MNK_PLAN_KEYS)
    return key ? MNK_PACKET_DECODE : MNK_PACKET_LEAVE;
  gboolean unsure = plan->unsure > 0;
  plan->unsure -= unsure ? 1 : 0;
  if (plan->mode == MNK_PLAN_ALL || unsure || may_be_sampled(plan, packet))
    return MNK_PACKET_DECODE;
  if (plan->intra_only)
    return MNK_PACKET_LEAVE;
  return plan->leaves_non_references ? MNK_PACKET_DECODE_REFERENCE : MNK_PACKET_DECODE;
}

AVPacket *mnk_plan_pop(MnkPlan *plan, gboolean at_end, MnkPacketUse *use) {
  guint ahead = plan->mode != MNK_PLAN_NEAREST ? 0 : plan->intra_only ? 1 : AHEAD;
  if (g_queue_is_empty(&plan->waiting) || (!at_end && plan->waiting.length <= ahead))
    return NULL;
  AVPacket *packet = g_queue_pop_head(&plan->waiting);
  *use = use_of(plan, packet);
  return packet;
}
