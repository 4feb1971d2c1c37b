/* When a standing question has come true. Pure. */
#include "ask/ask.h"

#include <math.h>

/* It has come false again when the probability is below this part of the threshold. */
static const double FALLEN = 0.9;
enum { AGREEING = 2 };

void mnk_standing_rule_init(MnkStandingRule *rule, double threshold, gint64 cooldown_ms) {
  *rule = (MnkStandingRule){.threshold = threshold,
                            .cooldown_ms = cooldown_ms,
                            .since_ms = -1,
                            .fired_ms = -1,
                            .armed = TRUE};
}

gboolean mnk_standing_rule_poll(MnkStandingRule *rule, double probability, gint64 now_ms) {
  if (!isfinite(probability))
    return FALSE;
  /* A clock that begins anew: what was before is no reason to be quiet. */
  gboolean cool =
      rule->fired_ms < 0 || now_ms < rule->fired_ms || now_ms - rule->fired_ms >= rule->cooldown_ms;
  if (probability < rule->threshold * FALLEN)
    rule->armed = TRUE;
  if (!rule->armed || probability < rule->threshold) {
    rule->agreeing = 0;
    return FALSE;
  }
  if (rule->agreeing == 0)
    rule->since_ms = now_ms;
  rule->agreeing = MIN(rule->agreeing + 1, AGREEING);
  if (rule->agreeing < AGREEING || !cool)
    return FALSE;
  rule->armed = FALSE;
  rule->agreeing = 0;
  rule->fired_ms = now_ms;
  return TRUE;
}
