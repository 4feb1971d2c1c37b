/* Backoff: how long to wait before a worker is started again, and when to give it up. Pure: the
 * caller brings the time. */
#ifndef MNK_IPC_BACKOFF_PRIV_H
#define MNK_IPC_BACKOFF_PRIV_H

#include <glib.h>

typedef struct {
  gint64 min_ms, max_ms;
  guint deaths_max; /* within MNK_BACKOFF_WINDOW_US; 0: any number */
  gint64 wait_ms;   /* what the next death costs; 0: the minimum */
  GArray *deaths;   /* gint64 times of the deaths within the window */
} MnkBackoff;

#define MNK_BACKOFF_WINDOW_US (60 * G_USEC_PER_SEC)

MnkBackoff *mnk_backoff_new(gint64 min_ms, gint64 max_ms, guint deaths_max);
void mnk_backoff_free(MnkBackoff *backoff);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkBackoff, mnk_backoff_free)
/* As new. */
void mnk_backoff_reset(MnkBackoff *backoff);
/* A worker that had been started at started_us died at now_us (monotonic). Sets the wait, which
 * doubles with each death and begins anew after a minute of health. FALSE: give it up. */
gboolean mnk_backoff_after_death(MnkBackoff *backoff, gint64 started_us, gint64 now_us,
                                 gint64 *wait_ms);

#endif
