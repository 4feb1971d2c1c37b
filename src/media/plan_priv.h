/* Plan: which packets the decoder gets, so that no picture is decoded that is not asked for.
 *
 * It keeps a few packets back: only when those around a packet are known can be said whether its
 * picture will be the one nearest to a point of the grid. It errs to the side of decoding. */
#ifndef MNK_MEDIA_PLAN_PRIV_H
#define MNK_MEDIA_PLAN_PRIV_H

#include <libavcodec/avcodec.h>

#include "media/media.h"

typedef enum {
  MNK_PLAN_ALL,     /* everything */
  MNK_PLAN_NEAREST, /* what is nearest to a point of the grid, and what that refers to */
  MNK_PLAN_KEYS,    /* key frames */
} MnkPlanMode;

typedef enum {
  MNK_PACKET_DECODE,
  MNK_PACKET_DECODE_REFERENCE, /* only if other pictures refer to it */
  MNK_PACKET_LEAVE,
} MnkPacketUse;

typedef struct _MnkPlan MnkPlan;

/* time_base: of the packets' times. */
MnkPlan *mnk_plan_new(enum AVCodecID codec, AVRational time_base);
void mnk_plan_free(MnkPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPlan, mnk_plan_free)

/* What the decoder can leave out of this codec without harm to the rest. */
gboolean mnk_plan_can_choose(const MnkPlan *plan);
/* wanted_us: raw; earlier pictures are not wanted. */
void mnk_plan_set(MnkPlan *plan, MnkPlanMode mode, double fps, gint64 wanted_us);
/* From raw time to stream time. */
void mnk_plan_set_offset(MnkPlan *plan, gint64 offset_us);
/* Takes the packet's contents. */
void mnk_plan_push(MnkPlan *plan, AVPacket *packet);
/* The next packet in coded order, owned by the caller, and its use; NULL: push more. at_end: no
 * more will come. */
AVPacket *mnk_plan_pop(MnkPlan *plan, gboolean at_end, MnkPacketUse *use);
/* Forgets all: after a seek. */
void mnk_plan_clear(MnkPlan *plan);

#endif
