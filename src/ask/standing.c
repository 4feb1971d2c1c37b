/* Standing questions: asked again and again, told when they come true. The local model says how
 * likely it is, and so do most remote ones; the others say yes or no. */
#include "ask/ask_priv.h"

#include <math.h>
#include <string.h>

enum { PICTURES = 2, FAULT_BYTES = 300 };
/* A remote model is asked less often, also when one scene follows on another: each time is a
 * request that costs. */
static const gint64 REMOTE_EVERY_MS = 5000, REMOTE_SCENE_MS = 2000;
static const gint64 POLL_US = 60 * G_USEC_PER_SEC;

struct _MnkStanding {
  MnkAsker *asker;
  char *id, *stream, *shown, *question; /* as it is told again, and as models get it */
  char *lang;
  MnkAskedOf whom;
  MnkLocalStream *memory;
  MnkBackend *backend;
  gint64 every_ms;
  MnkStandingRule rule;
  MnkStandingFired fired;
  gpointer user;
  MnkAskJob *job;
  MnkGathered *gathered;
  MnkLocalAsk *local;
  gboolean asked_backend, scene; /* scene: one began while it was being asked */
  gint64 asked_ms;               /* stream time of the poll on its way, or of the last one */
  guint64 polls, failures, n_fired, tokens;
  double probability;
  gint64 polled_ms, fired_ms;
  char *fault;
};

void mnk_standing_state_clear(MnkStandingState *state) {
  g_free(state->id);
  g_free(state->stream);
  g_free(state->question);
  g_free(state->fault);
  *state = (MnkStandingState){0};
}

static char *one_line(const char *text) {
  char *line = mnk_ask_plain(text);
  return g_strdelimit(line, "\n", ' ');
}

MnkStanding *mnk_standing_new(MnkAsker *asker, const char *id, const MnkAskRequest *request,
                              MnkStandingFired fired, gpointer user, GError **error) {
  MnkAskedOf whom = mnk_ask_whom(request);
  const MnkSettings *settings = request->settings ? request->settings : asker->settings;
  if (!mnk_asker_may_ask(asker, request->question, error))
    return NULL;
  if (whom == MNK_ASKED_OF_TIMELINE) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "a standing question needs a language model: set --model-path, or a --backend");
    return NULL;
  }
  MnkStanding *standing = g_new0(MnkStanding, 1);
  standing->asker = asker;
  standing->id = g_strdup(id);
  standing->stream = g_strdup(request->stream);
  standing->shown = one_line(request->question);
  standing->question = mnk_ask_harmless(request->question);
  standing->lang =
      g_strdup(mnk_ask_lang(standing->question, mnk_settings_string(settings, MNK_OPT_LANG)));
  standing->whom = whom;
  standing->memory = request->memory;
  standing->backend = request->backend;
  standing->every_ms = mnk_settings_int(settings, MNK_OPT_WATCH_EVERY);
  if (whom == MNK_ASKED_OF_BACKEND)
    standing->every_ms = MAX(standing->every_ms, REMOTE_EVERY_MS);
  mnk_standing_rule_init(&standing->rule, mnk_settings_double(settings, MNK_OPT_WATCH_THRESHOLD),
                         mnk_settings_int(settings, MNK_OPT_WATCH_COOLDOWN));
  standing->fired = fired;
  standing->user = user;
  standing->probability = NAN;
  standing->asked_ms = standing->polled_ms = standing->fired_ms = -1;
  return standing;
}

void mnk_standing_free(MnkStanding *standing) {
  if (!standing)
    return;
  mnk_ask_job_cancel(standing->job);
  if (standing->local)
    mnk_local_cancel(standing->local);
  if (standing->asked_backend)
    mnk_backend_cancel(standing->backend, standing);
  mnk_gathered_free(standing->gathered);
  g_free(standing->id);
  g_free(standing->stream);
  g_free(standing->shown);
  g_free(standing->question);
  g_free(standing->lang);
  g_free(standing->fault);
  g_free(standing);
}

void mnk_standing_state(const MnkStanding *standing, MnkStandingState *out) {
  *out = (MnkStandingState){.id = g_strdup(standing->id),
                            .stream = g_strdup(standing->stream),
                            .question = g_strdup(standing->shown),
                            .every_ms = standing->every_ms,
                            .cooldown_ms = standing->rule.cooldown_ms,
                            .threshold = standing->rule.threshold,
                            .polls = standing->polls,
                            .failures = standing->failures,
                            .fired = standing->n_fired,
                            .tokens = standing->tokens,
                            .probability = standing->probability,
                            .polled_ms = standing->polled_ms,
                            .fired_ms = standing->fired_ms,
                            .fault = g_strdup(standing->fault)};
}

/* ---- The end of a poll; the callback comes last ---- */

static void poll_failed(MnkStanding *standing, const char *fault) {
  g_autofree char *line = mnk_ask_line(fault, FAULT_BYTES);
  standing->failures++;
  g_free(standing->fault);
  standing->fault = g_steal_pointer(&line);
  mnk_measure_poll("failed");
}

static void poll_answered(MnkStanding *standing, double probability, gint64 at_ms) {
  g_clear_pointer(&standing->fault, g_free);
  standing->probability = probability;
  standing->polled_ms = at_ms;
  mnk_measure_poll("answered");
  if (!mnk_standing_rule_poll(&standing->rule, probability, at_ms))
    return;
  standing->n_fired++;
  standing->fired_ms = at_ms;
  mnk_info("ask", standing->stream, "event=standing-fired id=%s", standing->id);
  standing->fired(standing->id, standing->shown, standing->rule.since_ms, at_ms, probability,
                  standing->user);
}

/* ---- The local model ---- */

static void on_likely(float probability, gint64 pts_ms, const GError *error, gpointer user) {
  MnkStanding *standing = user;
  standing->local = NULL;
  if (error)
    poll_failed(standing, error->message);
  else if (!isfinite(probability))
    poll_failed(standing, "the model gave no probability");
  else
    poll_answered(standing, CLAMP((double)probability, 0, 1), pts_ms);
}

/* ---- A remote model ---- */

/* As the local model does it: yes against no. Of a service that does not tell how likely they are,
 * the first word. */
static double probability_of(const MnkBackendReply *reply) {
  double both = reply->yes + reply->no;
  return both > 0 ? reply->yes / both : mnk_yes_or_no(reply->text);
}

static void on_said(const MnkBackendReply *reply, const GError *error, gpointer user) {
  MnkStanding *standing = user;
  standing->asked_backend = FALSE;
  double probability = reply ? probability_of(reply) : NAN;
  if (reply)
    standing->tokens += reply->prompt_tokens + reply->answer_tokens;
  if (error)
    poll_failed(standing, error->message);
  else if (isnan(probability))
    poll_failed(standing, "the model answered neither yes nor no");
  else
    poll_answered(standing, probability, standing->asked_ms);
}

static void ask_backend(MnkStanding *standing) {
  static const MnkBackendTalk talk = {NULL, on_said};
  gboolean japanese = g_str_equal(standing->lang, "ja");
  const MnkBackendQuestion question = {
      .question = standing->question,
      .lang = standing->lang,
      .stream = standing->stream,
      .system =
          japanese
              ? "質問が、見せた画像の時点で成り立つかどうかを答えてください。回答は「はい」または「"
                "いいえ」だけにしてください。"
              : "Say whether the question holds at the moment of the pictures shown. "
                "Answer with one word: yes or no.",
      .log = "",
      .frames = standing->gathered->frames,
      .now_ms = standing->asked_ms,
      .temperature = 0,
      .deadline_us = g_get_monotonic_time() + POLL_US,
      .yes_or_no = TRUE,
  };
  standing->asked_backend = TRUE;
  mnk_backend_ask(standing->backend, &question, &talk, standing);
}

static void on_gathered(MnkGathered *gathered, const GError *error, gpointer user) {
  MnkStanding *standing = user;
  standing->job = NULL;
  g_clear_pointer(&standing->gathered, mnk_gathered_free);
  standing->gathered = gathered;
  if (!gathered)
    poll_failed(standing, error->message);
  else if (gathered->frames->len == 0)
    poll_failed(standing, "there is no picture to show the model");
  else
    ask_backend(standing);
}

/* ---- Polls ---- */

static void ask_now(MnkStanding *standing, gint64 now_ms) {
  standing->polls++;
  standing->asked_ms = now_ms;
  standing->scene = FALSE;
  if (standing->whom == MNK_ASKED_OF_LOCAL) {
    standing->local =
        mnk_local_likely(standing->memory, standing->question, standing->lang, on_likely, standing);
    return;
  }
  MnkGatherWish wish = {
      .stream = g_strdup(standing->stream),
      .question = g_strdup(""),
      .history = MNK_HISTORY_NEVER,
      .now_ms = now_ms,
      .limits.pictures = MIN(PICTURES, mnk_backend_images_max(standing->backend)),
  };
  standing->job = mnk_gather_start(standing->asker->store, &wish, on_gathered, standing);
}

void mnk_standing_advance(MnkStanding *standing, gint64 now_ms, gboolean scene) {
  standing->scene |= scene;
  if (standing->job || standing->local || standing->asked_backend)
    return;
  gint64 waited_ms = now_ms - standing->asked_ms;
  gboolean first = standing->asked_ms < 0 || waited_ms < 0;
  gint64 due_ms = standing->every_ms;
  if (standing->scene)
    due_ms = standing->whom == MNK_ASKED_OF_BACKEND ? REMOTE_SCENE_MS : 0;
  if (first || waited_ms >= due_ms)
    ask_now(standing, now_ms);
}
