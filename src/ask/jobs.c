/* Jobs: what is asked of the store's reading thread, whose answer may no longer be wanted. */
#include "ask/ask_priv.h"

struct _MnkAskJob {
  MnkGatherWish wish;
  GPtrArray *evidence; /* to be joined; NULL: it gathers */
  MnkGatherDone gathered;
  MnkJoinDone joined;
  gpointer user;
  gboolean called_off;
  GSource *soon; /* without a store */
};

GSource *mnk_ask_timer(gint64 delay_ms, GSourceFunc func, gpointer user) {
  GSource *timer = g_timeout_source_new((guint)CLAMP(delay_ms, 0, G_MAXINT));
  g_source_set_callback(timer, func, user, NULL);
  g_source_attach(timer, g_main_context_get_thread_default());
  return timer;
}

void mnk_ask_timer_clear(GSource **timer) {
  if (!*timer)
    return;
  g_source_destroy(*timer);
  g_clear_pointer(timer, g_source_unref);
}

static void job_free(MnkAskJob *job) {
  mnk_ask_timer_clear(&job->soon);
  mnk_gather_wish_clear(&job->wish);
  g_clear_pointer(&job->evidence, g_ptr_array_unref);
  g_free(job);
}

static gpointer work(MnkStore *store, gpointer data, GError **error) {
  MnkAskJob *job = data;
  if (!job->evidence)
    return mnk_gather(store, &job->wish, error);
  mnk_evidence_join(job->evidence, store, job->wish.stream);
  return NULL;
}

/* The callback comes last. */
static void on_done(gpointer result, const GError *error, gpointer data) {
  MnkAskJob *job = data;
  MnkGathered *gathered = result;
  MnkAskJob ended = *job;
  job_free(job);
  if (ended.called_off)
    mnk_gathered_free(gathered);
  else if (ended.gathered)
    ended.gathered(gathered, error, ended.user);
  else
    ended.joined(ended.user);
}

static gboolean on_soon(gpointer data) {
  MnkAskJob *job = data;
  on_done(job->evidence ? NULL : mnk_gathered_new(), NULL, job);
  return G_SOURCE_REMOVE;
}

static MnkAskJob *start(MnkStore *store, MnkAskJob *job) {
  if (store)
    mnk_store_run(store, work, on_done, job);
  else
    job->soon = mnk_ask_timer(0, on_soon, job);
  return job;
}

MnkAskJob *mnk_gather_start(MnkStore *store, MnkGatherWish *wish, MnkGatherDone done,
                            gpointer user) {
  MnkAskJob *job = g_new0(MnkAskJob, 1);
  job->wish = *wish;
  *wish = (MnkGatherWish){0};
  job->gathered = done;
  job->user = user;
  return start(store, job);
}

MnkAskJob *mnk_evidence_join_start(MnkStore *store, const char *stream, GPtrArray *evidence,
                                   MnkJoinDone done, gpointer user) {
  MnkAskJob *job = g_new0(MnkAskJob, 1);
  job->wish.stream = g_strdup(stream);
  job->evidence = g_ptr_array_ref(evidence);
  job->joined = done;
  job->user = user;
  return start(store, job);
}

void mnk_ask_job_cancel(MnkAskJob *job) {
  if (job && job->soon)
    job_free(job);
  else if (job)
    job->called_off = TRUE;
}
