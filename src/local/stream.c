/* Streams: the server's end of a memory, and its snapshots. */
#include "local/client_priv.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  void (*idle)(gpointer user);
  gpointer user;
} Idler;

/* ---- Memory files ---- */

int mnk_memfd_new(const char *name, GError **error) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "no shared memory: %s", g_strerror(errno));
  return fd;
}

static gboolean write_whole(int fd, const void *bytes, gsize length, GError **error) {
  for (gsize done = 0; done < length;) {
    gssize n = write(fd, (const guint8 *)bytes + done, length - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "no shared memory: %s", g_strerror(errno));
      return FALSE;
    }
    done += (gsize)n;
  }
  return TRUE;
}

gboolean mnk_memfd_write(int *fd, const void *bytes, gsize length, GError **error) {
  if (write_whole(*fd, bytes, length, error))
    return TRUE;
  close(*fd);
  *fd = -1;
  return FALSE;
}

static GBytes *read_memfd(int fd, gsize length, GError **error) {
  g_autofree guint8 *bytes = g_try_malloc(MAX(length, 1));
  gsize done = 0;
  while (bytes != NULL && done < length) {
    gssize n = pread(fd, bytes + done, length - done, (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (gsize)n;
  }
  if (bytes != NULL && done == length)
    return g_bytes_new_take(g_steal_pointer(&bytes), length);
  g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "the snapshot is not whole");
  return NULL;
}

/* ---- Opening in the worker ---- */

static void setup_from(const MnkSettings *settings, MnkModelStream *out) {
  *out = (MnkModelStream){
      .buffer_size = (guint)mnk_settings_int(settings, MNK_OPT_KEY_FRAME_BUFFER_SIZE),
      .frames_max = (guint)mnk_settings_int(settings, MNK_OPT_MAX_FRAME_SET_NUM),
      .long_max = (guint)mnk_settings_int(settings, MNK_OPT_LONG_MAX_CLUSTERS),
      .recent = (guint)mnk_settings_int(settings, MNK_OPT_RECENT_FRAMES),
      .match_ratio = (float)mnk_settings_double(settings, MNK_OPT_KEY_FRAME_MATCH_RATIO),
      .token_drop = (float)mnk_settings_double(settings, MNK_OPT_TOKEN_DROP),
      .detail_bytes_max = (guint64)mnk_settings_int(settings, MNK_OPT_DETAIL_BUDGET),
      .token_memory = (guint)mnk_settings_int(settings, MNK_OPT_TOKEN_MEMORY),
      .mem_tokens = (guint)mnk_settings_int(settings, MNK_OPT_MEM_TOKENS),
      .cap_counts = (guint)mnk_settings_int(settings, MNK_OPT_CAP_COUNTS),
  };
}

static void post_setup(MnkLocalStream *stream, MnkMessageType type, gsize snapshot, int fd) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelStream setup;
  setup_from(stream->settings, &setup);
  setup.id = stream->id;
  setup.snapshot = snapshot;
  mnk_model_stream_write(&setup, text);
  mnk_local_post(stream->local, type, stream->number, text, fd);
}

/* fd: with the snapshot, taken; -1: none. */
static void open_now(MnkLocalStream *stream, int fd) {
  post_setup(stream, MNK_MSG_OPEN, fd >= 0 ? g_bytes_get_size(stream->snapshot) : 0, fd);
  stream->opened = TRUE;
  mnk_calls_ready(stream->local, stream);
  mnk_tower_kick(stream->local->tower);
}

static void write_snapshot(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  gsize length = 0;
  gconstpointer bytes = g_bytes_get_data(data, &length);
  GError *error = NULL;
  int fd = mnk_memfd_new("manako-memory", &error);
  if (fd >= 0 && mnk_memfd_write(&fd, bytes, length, &error))
    g_task_return_int(task, fd);
  else
    g_task_return_error(task, error);
}

static void on_written(GObject *source, GAsyncResult *result, gpointer user) {
  g_autoptr(GError) error = NULL;
  int fd = (int)g_task_propagate_int(G_TASK(result), &error);
  if (g_cancellable_is_cancelled(g_task_get_cancellable(G_TASK(result)))) {
    if (error == NULL)
      close(fd);
    return; /* the stream may be gone */
  }
  MnkLocalStream *stream = user;
  g_clear_object(&stream->opening);
  if (error != NULL)
    mnk_warning("local", stream->id, "event=memory-not-restored reason=\"%s\"", error->message);
  open_now(stream, error == NULL ? fd : -1);
}

void mnk_stream_open(MnkLocalStream *stream) {
  if (stream->opened || stream->opening != NULL)
    return;
  if (stream->snapshot == NULL) {
    open_now(stream, -1);
    return;
  }
  stream->opening = g_cancellable_new();
  g_autoptr(GTask) task = g_task_new(NULL, stream->opening, on_written, stream);
  g_task_set_check_cancellable(task, FALSE); /* the descriptor must not get lost */
  g_task_set_task_data(task, g_bytes_ref(stream->snapshot), (GDestroyNotify)g_bytes_unref);
  g_task_run_in_thread(task, write_snapshot);
}

void mnk_stream_lost(MnkLocalStream *stream) {
  stream->opened = FALSE;
  if (stream->opening != NULL)
    g_cancellable_cancel(stream->opening);
  g_clear_object(&stream->opening);
}

/* ---- A stream's life ---- */

static void attach(MnkLocalStream *stream) {
  MnkLocal *local = stream->local;
  stream->number = ++local->next_stream;
  g_hash_table_insert(local->by_number, GUINT_TO_POINTER(stream->number), stream);
  stream->memory = (MnkLocalMemory){.last_ms = -1};
  if (local->state == MNK_LOCAL_READY)
    mnk_stream_open(stream);
}

static void detach(MnkLocalStream *stream) {
  MnkLocal *local = stream->local;
  mnk_tower_forget(local->tower, stream);
  if (stream->opened) {
    g_autoptr(GString) text = g_string_new("{}");
    mnk_local_post(local, MNK_MSG_CLOSE, stream->number, text, -1);
  }
  mnk_stream_lost(stream);
  g_hash_table_remove(local->by_number, GUINT_TO_POINTER(stream->number));
}

MnkLocalStream *mnk_local_open(MnkLocal *local, const char *id, const MnkSettings *settings,
                               GBytes *snapshot, GError **error) {
  if (g_hash_table_contains(local->by_id, id)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the memory of \"%s\" is open already", id);
    return NULL;
  }
  MnkLocalStream *stream = g_new0(MnkLocalStream, 1);
  stream->local = local;
  stream->id = g_strdup(id);
  stream->settings = mnk_settings_copy(settings);
  gboolean fits = snapshot != NULL && g_bytes_get_size(snapshot) > 0 &&
                  g_bytes_get_size(snapshot) <= MNK_SNAPSHOT_BYTES_MAX;
  stream->snapshot = fits ? g_bytes_ref(snapshot) : NULL;
  mnk_tower_stream_init(&stream->tower);
  stream->idlers = g_array_new(FALSE, FALSE, sizeof(Idler));
  g_hash_table_insert(local->by_id, stream->id, stream);
  attach(stream);
  return stream;
}

void mnk_local_close(MnkLocalStream *stream) {
  if (stream == NULL)
    return;
  MnkLocal *local = stream->local;
  mnk_calls_fail(
      local, stream, FALSE,
      g_error_new(MNK_ERROR, MNK_ERROR_CANCELLED, "the stream \"%s\" was closed", stream->id));
  detach(stream);
  g_hash_table_remove(local->by_id, stream->id);
  local->before.frames += stream->tower.frames;
  local->before.encoded += stream->tower.encoded;
  local->before.left_out += stream->tower.left_out;
  mnk_local_drop_source(&stream->idle_source);
  g_array_unref(stream->idlers);
  g_array_unref(stream->tower.recent);
  g_clear_pointer(&stream->snapshot, g_bytes_unref);
  mnk_settings_free(stream->settings);
  g_free(stream->id);
  g_free(stream);
}

void mnk_local_set(MnkLocalStream *stream, const MnkSettings *settings) {
  mnk_settings_free(stream->settings);
  stream->settings = mnk_settings_copy(settings);
  mnk_settings_take(stream->local->settings, MNK_OPT_VISION_BUDGET, settings);
  if (stream->opened)
    post_setup(stream, MNK_MSG_SET, 0, -1);
  mnk_tower_kick(stream->local->tower);
}

MnkLocalStream *mnk_local_find_stream(MnkLocal *local, const char *id) {
  return g_hash_table_lookup(local->by_id, id);
}

/* In the worker it is another stream from now on: nothing of the one before can reach it. */
void mnk_local_forget(MnkLocalStream *stream) {
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, stream->local->calls);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    MnkCall *call = value;
    if (call->stream == stream && call->kind == MNK_CALL_SAVE)
      mnk_call_fail(call, g_error_new(MNK_ERROR, MNK_ERROR_CANCELLED,
                                      "the memory of \"%s\" was cleared", stream->id));
  }
  detach(stream);
  g_clear_pointer(&stream->snapshot, g_bytes_unref);
  attach(stream);
  mnk_stream_check_idle(stream);
}

void mnk_local_frame(MnkLocalStream *stream, GBytes *jpeg, gint64 pts_ms, float importance,
                     gboolean cut) {
  mnk_tower_give(stream->local->tower, stream, jpeg, pts_ms, importance, cut);
}

void mnk_local_memory(const MnkLocalStream *stream, MnkLocalMemory *out) {
  *out = stream->memory;
  out->frames = stream->tower.frames;
  out->encoded = stream->tower.encoded;
  out->left_out = stream->tower.left_out;
  out->waiting = mnk_tower_waiting(&stream->tower);
}

/* ---- Idleness ---- */

static gboolean on_idle(gpointer user) {
  MnkLocalStream *stream = user;
  mnk_local_drop_source(&stream->idle_source);
  stream->tower.hurry = FALSE;
  g_autoptr(GArray) idlers = g_steal_pointer(&stream->idlers);
  stream->idlers = g_array_new(FALSE, FALSE, sizeof(Idler));
  for (guint i = 0; i < idlers->len; i++) { /* the stream may go in any of them */
    const Idler *idler = &g_array_index(idlers, Idler, i);
    idler->idle(idler->user);
  }
  return G_SOURCE_REMOVE;
}

void mnk_stream_check_idle(MnkLocalStream *stream) {
  const MnkTowerStream *part = &stream->tower;
  if (stream->idlers->len == 0 || stream->idle_source != NULL || mnk_tower_waiting(part) > 0 ||
      part->again.length > 0)
    return;
  stream->idle_source = mnk_local_timer(stream->local->context, 0, on_idle, stream);
}

void mnk_local_when_idle(MnkLocalStream *stream, void (*idle)(gpointer user), gpointer user) {
  const Idler idler = {idle, user};
  g_array_append_val(stream->idlers, idler);
  stream->tower.hurry = TRUE;
  mnk_tower_kick(stream->local->tower);
  mnk_stream_check_idle(stream);
}

/* ---- Snapshots ---- */

typedef struct {
  MnkLocal *local;
  guint number, length;
  guint64 order;
  int fd;
} Reading;

static void reading_free(gpointer data) {
  Reading *reading = data;
  close(reading->fd);
  g_free(reading);
}

static void read_snapshot(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  const Reading *reading = data;
  GError *error = NULL;
  GBytes *bytes = read_memfd(reading->fd, reading->length, &error);
  if (bytes != NULL)
    g_task_return_pointer(task, bytes, (GDestroyNotify)g_bytes_unref);
  else
    g_task_return_error(task, error);
}

/* The call may be over by now, and so may all else, but for the cancellable. */
static void on_read(GObject *source, GAsyncResult *result, gpointer user) {
  g_autoptr(GError) error = NULL;
  GTask *task = G_TASK(result);
  g_autoptr(GBytes) bytes = g_task_propagate_pointer(task, &error);
  if (g_cancellable_is_cancelled(g_task_get_cancellable(task)))
    return;
  const Reading *reading = g_task_get_task_data(task);
  MnkCall *call = g_hash_table_lookup(reading->local->calls, GUINT_TO_POINTER(reading->number));
  if (call == NULL || call->stream == NULL || call->end_error != NULL)
    return;
  if (bytes == NULL) {
    mnk_call_fail(call, g_steal_pointer(&error));
    return;
  }
  g_clear_pointer(&call->stream->snapshot, g_bytes_unref);
  call->stream->snapshot = g_bytes_ref(bytes);
  mnk_tower_saved(&call->stream->tower, reading->order);
  MnkLocalSaved saved = call->saved;
  gpointer saver = call->user;
  mnk_call_drop(call);
  saved(bytes, NULL, saver);
}

void mnk_stream_saved(MnkLocal *local, const MnkModelSaved *saved) {
  MnkCall *call = g_hash_table_lookup(local->calls, GUINT_TO_POINTER(saved->number));
  if (call == NULL || call->kind != MNK_CALL_SAVE || call->end_error != NULL)
    return;
  if (saved->error != NULL || saved->length > MNK_SNAPSHOT_BYTES_MAX) {
    mnk_call_fail(call, saved->error != NULL
                            ? g_error_copy(saved->error)
                            : g_error_new(MNK_ERROR, MNK_ERROR_LIMIT, "the snapshot is too large"));
    return;
  }
  Reading *reading = g_new(Reading, 1);
  *reading =
      (Reading){local, saved->number, (guint)saved->length, saved->order, g_steal_fd(&call->fd)};
  g_autoptr(GTask) task = g_task_new(NULL, local->closing, on_read, NULL);
  g_task_set_check_cancellable(task, FALSE);
  g_task_set_task_data(task, reading, reading_free);
  g_task_run_in_thread(task, read_snapshot);
}

void mnk_local_save(MnkLocalStream *stream, MnkLocalSaved saved, gpointer user) {
  GError *error = NULL;
  MnkCall *call = mnk_call_new(stream->local, stream, MNK_CALL_SAVE, user);
  call->saved = saved;
  if (stream->local->state != MNK_LOCAL_READY)
    error = g_error_new(MNK_ERROR, MNK_ERROR_WORKER, "the model is not there: %s",
                        mnk_local_detail(stream->local));
  else
    call->fd = mnk_memfd_new("manako-memory", &error);
  if (error != NULL)
    mnk_call_fail(call, error);
  else
    mnk_call_start(call);
}
