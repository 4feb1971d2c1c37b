/* The breaker: counts what fails in a row, and when a service is tried again. */
#include "language/remote_priv.h"

gboolean mnk_breaker_is_open(const MnkBreaker *breaker, gint64 now_us) {
  return breaker->open_until_us > now_us;
}

MnkBreakerAnswer mnk_breaker_ask(MnkBreaker *breaker, gint64 now_us) {
  if (breaker->open_until_us == 0)
    return MNK_BREAKER_GO;
  if (mnk_breaker_is_open(breaker, now_us) || breaker->trial)
    return MNK_BREAKER_REFUSED;
  breaker->trial = TRUE;
  return MNK_BREAKER_TRIAL;
}

static void open_if_due(MnkBreaker *breaker, gint64 now_us) {
  gboolean due = breaker->failures >= breaker->limit || breaker->bad >= breaker->limit;
  /* What was on its way when it opened must not lengthen the pause. */
  if (due && !mnk_breaker_is_open(breaker, now_us))
    breaker->open_until_us = now_us + breaker->pause_us;
}

void mnk_breaker_failed(MnkBreaker *breaker, gint64 now_us) {
  breaker->trial = FALSE;
  breaker->failures++;
  open_if_due(breaker, now_us);
}

void mnk_breaker_reached(MnkBreaker *breaker) {
  breaker->trial = FALSE;
  breaker->failures = 0;
  breaker->open_until_us = 0;
}

void mnk_breaker_good(MnkBreaker *breaker) {
  mnk_breaker_reached(breaker);
  breaker->bad = 0;
}

void mnk_breaker_bad(MnkBreaker *breaker, gint64 now_us) {
  breaker->bad++;
  open_if_due(breaker, now_us);
}

void mnk_breaker_abandon(MnkBreaker *breaker) {
  breaker->trial = FALSE;
}
