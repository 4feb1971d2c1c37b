/* Pieces of JSON that captions and observations share. */
#ifndef MNK_WIRE_CAPTION_PRIV_H
#define MNK_WIRE_CAPTION_PRIV_H

#include "wire/caption.h"

/* A time in milliseconds: what a double holds exactly, as JSON's readers elsewhere need. */
#define MNK_WIRE_TIME_MAX (G_GINT64_CONSTANT(1) << 53)

/* 0..1; what is not a number is 0. */
double mnk_wire_unit(double value);
/* [x,y,w,h], or null for the empty box. */
void mnk_box_write_json(const MnkBox *box, const char *key, MnkJsonWriter *w);
/* A missing box and null are the empty box. */
gboolean mnk_box_read_json(const MnkJsonValue *object, const char *key, MnkBox *out,
                           GError **error);
gboolean mnk_wire_read_unit(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            float *out, GError **error);
gboolean mnk_wire_read_time(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            gint64 *out, GError **error);
/* members "start_ms" and "end_ms", in order */
gboolean mnk_wire_read_interval(const MnkJsonValue *object, gint64 *start_ms, gint64 *end_ms,
                                GError **error);

#endif
