/* Keys: where a file's index says that its key frames are. */
#ifndef MNK_MEDIA_KEYS_PRIV_H
#define MNK_MEDIA_KEYS_PRIV_H

#include <glib.h>
#include <libavformat/avformat.h>

typedef struct {
  int n;
  gint64 *stamps;    /* for seeking: in the stream's time base, ascending */
  gint64 *raw_us;    /* when they are shown */
  double max_gap_ms; /* longest way from one to the next, or from the last to the end */
} MnkKeys;

/* NULL: no index. start_us, end_us: raw times of the file's start and end. */
MnkKeys *mnk_keys_new(AVStream *stream, gint64 start_us, gint64 end_us);
void mnk_keys_free(MnkKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkKeys, mnk_keys_free)

#endif
