/* The reading thread: what may take long is done here, one after the other. */
#include "store_priv.h"

#include "base/base.h"

enum { MAX_WAITING = 256 };

struct _MnkRuns {
  MnkStore *store;
  MnkQueue *queue;
  GThread *thread;
  gint closing; /* atomic */
};

typedef struct {
  MnkStoreWork work;
  MnkStoreWorkDone done;
  gpointer data, result;
  GError *error;
  GMainContext *context;
} Run;

static gboolean deliver(gpointer data) {
  Run *run = data;
  run->done(run->result, run->error, run->data);
  return G_SOURCE_REMOVE;
}

static void run_free(gpointer data) {
  Run *run = data;
  g_clear_error(&run->error);
  g_main_context_unref(run->context);
  g_free(run);
}

/* Takes the run. */
static void answer(Run *run) {
  g_autoptr(GSource) source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, deliver, run, run_free);
  g_source_attach(source, run->context);
}

static void refuse(gpointer data) {
  Run *run = data;
  g_set_error(&run->error, MNK_ERROR, MNK_ERROR_LIMIT,
              "more than %d questions to the timeline wait", MAX_WAITING);
  answer(run);
}

static gpointer run_until_closed(gpointer data) {
  MnkRuns *runs = data;
  Run *run;
  while ((run = mnk_queue_pop(runs->queue, -1)) != NULL) {
    if (!g_atomic_int_get(&runs->closing))
      run->result = run->work(runs->store, run->data, &run->error);
    else
      g_set_error_literal(&run->error, MNK_ERROR, MNK_ERROR_CANCELLED, "the timeline is closed");
    answer(run);
  }
  return NULL;
}

/* What the queue has no room for is what it frees: that is how it is refused. */
MnkRuns *mnk_runs_new(MnkStore *store) {
  MnkRuns *runs = g_new0(MnkRuns, 1);
  runs->store = store;
  runs->queue = mnk_queue_new(MAX_WAITING, MNK_QUEUE_DROP_NEWEST, refuse);
  runs->thread = g_thread_new("store-reader", run_until_closed, runs);
  return runs;
}

void mnk_runs_free(MnkRuns *runs) {
  if (runs == NULL)
    return;
  g_atomic_int_set(&runs->closing, TRUE);
  mnk_queue_close(runs->queue);
  g_thread_join(runs->thread);
  mnk_queue_free(runs->queue);
  g_free(runs);
}

void mnk_runs_queue(MnkRuns *runs, MnkStoreWork work, MnkStoreWorkDone done, gpointer data) {
  Run *run = g_new0(Run, 1);
  *run = (Run){.work = work, .done = done, .data = data};
  run->context = g_main_context_ref_thread_default();
  mnk_queue_push(runs->queue, run);
}
