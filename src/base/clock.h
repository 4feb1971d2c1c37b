/* Clock: monotonic and wall time behind an interface that tests can freeze.
 *
 * Monotonic time is for waiting and measuring, wall time (UTC, microseconds since the epoch) for
 * what is shown and stored. A fake clock stands still until it is advanced; whoever sleeps on it
 * wakes when its time has come. All calls are thread-safe. */
#ifndef MNK_BASE_CLOCK_H
#define MNK_BASE_CLOCK_H

#include <glib.h>

typedef struct _MnkClock MnkClock;

/* The system's clock; owned by the library, never freed (unref is a no-op). */
MnkClock *mnk_clock_system(void);
/* A clock that stands still at the given times. */
MnkClock *mnk_clock_fake_new(gint64 mono_us, gint64 wall_us);
MnkClock *mnk_clock_ref(MnkClock *clock);
void mnk_clock_unref(MnkClock *clock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkClock, mnk_clock_unref)

/* Advances a fake clock's two times by the same step. */
void mnk_clock_advance(MnkClock *clock, gint64 us);

gint64 mnk_clock_mono_us(MnkClock *clock);
gint64 mnk_clock_wall_us(MnkClock *clock);

/* Sleeps until the monotonic time or until *stop is non-zero (looked at every 20 ms at least; may
 * be NULL). FALSE if it was stopped. */
gboolean mnk_clock_sleep_until(MnkClock *clock, gint64 mono_us, const gint *stop);

#endif
