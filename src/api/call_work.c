/* Reading the store on behalf of a call. */
#include "api/streams_priv.h"

typedef struct {
  MnkCall *call;
  MnkStoreWork work;
  MnkCallDone done;
  gpointer data;
} CallWork;

static gpointer run(MnkStore *store, gpointer data, GError **error) {
  CallWork *work = data;
  return work->work(store, work->data, error);
}

static void finished(gpointer result, const GError *error, gpointer data) {
  g_autofree CallWork *work = data;
  g_autoptr(MnkCall) call = work->call;
  work->done(call, result, error, work->data);
}

void mnk_call_run(MnkCall *call, MnkStoreWork work, MnkCallDone done, gpointer data) {
  CallWork *job = g_new0(CallWork, 1);
  *job = (CallWork){mnk_call_ref(call), work, done, data};
  mnk_store_run(call->api->store, run, finished, job);
}

/* ---- a stream of the timeline ---- */

typedef struct {
  char *id;
  MnkRowFunc func;
} RowWork;

static gpointer read_row(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_stream(store, ((const RowWork *)data)->id, error);
}

static void row_read(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  RowWork *work = data;
  MnkStreamRow bare;
  const MnkStreamRow *row = mnk_registry_row(call->api->registry, work->id, result, &bare);
  if (call->request != NULL)
    work->func(call, row, row == NULL ? error : NULL);
  mnk_stream_row_free(result);
  g_free(work->id);
  g_free(work);
}

void mnk_call_with_row(MnkCall *call, const char *id, MnkRowFunc func) {
  RowWork *work = g_new0(RowWork, 1);
  *work = (RowWork){g_strdup(id), func};
  mnk_call_run(call, read_row, row_read, work);
}
