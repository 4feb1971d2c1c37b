#include "local/worker_priv.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
  POLL_MS = 200,
  STREAMS_MAX = 16384,
  THINKER_MAX = 8192,
  CLERK_MAX = 8192,
  INDEXER_BYTES_MAX = 256 << 20,
};

/* Saving and restoring: too long for the main thread, and nobody waits for them. */
typedef struct {
  MnkModelMemory *memory;
  guint32 stream;
  gboolean restore;
  guint number;
  gsize length;
  int fd;
} Errand;

typedef struct {
  MnkModelOffice office;
  MnkOutbox *outbox;
  MnkEncoder *encoder;
  MnkQueue *clerk;
  GThread *thinker_thread, *clerk_thread;
  GBytes *indexer;
  GHashTable *memories; /* stream number -> MnkModelMemory */
  gint64 told_us;
  gboolean quit;
} Worker;

void mnk_office_count(MnkModelOffice *office, const MnkLocalCounters *more) {
  g_mutex_lock(&office->lock);
  MnkLocalCounters *all = &office->counters;
  all->clips += more->clips;
  all->cached += more->cached;
  all->failed += more->failed;
  all->captions += more->captions;
  all->questions += more->questions;
  all->watches += more->watches;
  all->interrupted += more->interrupted;
  all->prompt_tokens += more->prompt_tokens;
  all->visual_tokens += more->visual_tokens;
  all->cached_tokens += more->cached_tokens;
  all->answer_tokens += more->answer_tokens;
  all->encode_ms += more->encode_ms;
  all->remember_ms += more->remember_ms;
  all->route_ms += more->route_ms;
  all->prompt_ms += more->prompt_ms;
  all->answer_ms += more->answer_ms;
  office->counted = TRUE;
  g_mutex_unlock(&office->lock);
}

static void say(Worker *worker, MnkMessageType type, guint32 stream, const char *text,
                gsize length) {
  mnk_outbox_send(worker->outbox, type, stream, text, length);
}

static void tell_counters(Worker *worker) {
  g_autoptr(GString) text = g_string_new(NULL);
  gint64 now_us = g_get_monotonic_time();
  if (now_us - worker->told_us < POLL_MS * G_GINT64_CONSTANT(1000))
    return;
  worker->told_us = now_us;
  g_mutex_lock(&worker->office.lock);
  if (worker->office.counted)
    mnk_model_counters_write(&worker->office.counters, text);
  worker->office.counted = FALSE;
  g_mutex_unlock(&worker->office.lock);
  if (text->len > 0)
    say(worker, MNK_MSG_COUNTERS, 0, text->str, text->len);
}

/* ---- Threads ---- */

static void job_drop(gpointer data) {
  mnk_job_unref(data);
}

static gpointer think(gpointer user) {
  Worker *worker = user;
  MnkModelJob *job;
  while ((job = mnk_queue_pop(worker->office.thinker, -1)) != NULL)
    mnk_job_think(job);
  return NULL;
}

static void errand_free(gpointer data) {
  Errand *errand = data;
  mnk_model_memory_unref(errand->memory);
  if (errand->fd >= 0)
    close(errand->fd);
  g_free(errand);
}

static void save(Worker *worker, Errand *errand) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelSaved saved = {.number = errand->number};
  gsize length = 0;
  if (mnk_model_memory_save(errand->memory, errand->fd, &length, &saved.order, &saved.error))
    saved.length = length;
  mnk_model_saved_write(&saved, text);
  g_clear_error(&saved.error);
  mnk_channel_send(worker->office.channel, MNK_MSG_SAVED, errand->stream, text->str, text->len, -1,
                   -1, NULL);
}

/* Told before anybody else gets at it: what a clip says of it later is newer. */
static void restore(Worker *worker, Errand *errand) {
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  MnkLocalMemory now;
  if (mnk_model_memory_restore(errand->memory, g_steal_fd(&errand->fd), errand->length, &error)) {
    mnk_model_memory_measure(errand->memory, &now);
    mnk_model_restored_write(&now, text);
    mnk_channel_send(worker->office.channel, MNK_MSG_RESTORED, errand->stream, text->str, text->len,
                     -1, -1, NULL);
  } else {
    mnk_warning("local", errand->memory->setup.id, "event=memory-not-restored reason=\"%s\"",
                error->message);
  }
  mnk_model_memory_restored(errand->memory);
}

static gpointer run_errands(gpointer user) {
  Worker *worker = user;
  Errand *errand;
  while ((errand = mnk_queue_pop(worker->clerk, -1)) != NULL) {
    if (errand->restore)
      restore(worker, errand);
    else
      save(worker, errand);
    errand_free(errand);
  }
  return NULL;
}

static void send_clerk(Worker *worker, Errand errand) {
  mnk_model_memory_ref(errand.memory);
  mnk_queue_push(worker->clerk, g_memdup2(&errand, sizeof errand));
}

/* ---- HELLO ---- */

static gboolean read_indexer(Worker *worker, const char *path, GError **error) {
  char *bytes = NULL;
  gsize length = 0;
  if (path[0] == '\0')
    return TRUE;
  g_autoptr(GError) fault = NULL;
  if (!g_file_get_contents(path, &bytes, &length, &fault)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "the indexer cannot be read: %s",
                fault->message);
    return FALSE;
  }
  worker->indexer = g_bytes_new_take(bytes, length);
  if (length <= INDEXER_BYTES_MAX)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "the indexer %s is larger than %d MiB", path,
              INDEXER_BYTES_MAX >> 20);
  return FALSE;
}

/* Checked against the model's headers, which need no library. */
static gboolean open_indexer(Worker *worker, const MnkModelHello *hello, GError **error) {
  MnkVlmFiles files;
  gsize length = 0;
  if (worker->indexer == NULL)
    return TRUE;
  if (!mnk_vlm_inspect(hello->model, hello->mmproj, hello->context, &files, error))
    return FALSE;
  const guint8 *bytes = g_bytes_get_data(worker->indexer, &length);
  worker->office.indexer = mnk_indexer_restore(bytes, length, files.hash, files.dim, error);
  g_prefix_error(error, "the indexer %s: ", hello->indexer);
  return worker->office.indexer != NULL;
}

static gboolean confine(gboolean sandbox, guint64 max_memory, GError **error) {
  MnkSandboxConfig config = {.max_memory = max_memory};
  return !sandbox || mnk_sandbox_enter(&config, error);
}

static void start(Worker *worker, const MnkModelHello *hello) {
  MnkVlmConfig config;
  mnk_vlm_config_init(&config);
  config.model = hello->model;
  config.mmproj = hello->mmproj;
  config.context = hello->context;
  config.sequences = hello->sequences;
  config.image_tokens = hello->image_tokens;
  config.micro_batch = hello->micro_batch;
  config.threads = (int)hello->threads;
  config.threads_batch = (int)hello->threads_batch;
  config.gpu = hello->gpu;
  worker->office.context = hello->context;
  worker->office.thinker = mnk_queue_new(THINKER_MAX, MNK_QUEUE_DROP_NEWEST, job_drop);
  worker->clerk = mnk_queue_new(CLERK_MAX, MNK_QUEUE_DROP_NEWEST, errand_free);
  worker->thinker_thread = g_thread_new("thinker", think, worker);
  worker->clerk_thread = g_thread_new("clerk", run_errands, worker);
  worker->encoder = mnk_encoder_new(&worker->office, &config);
}

/* The cage is closed before a byte of the model is read, and before there is another thread. */
static gboolean hello(Worker *worker, const MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  MnkModelHello hello;
  if (json == NULL || !mnk_model_hello_read(mnk_json_root(json), &hello, error))
    return FALSE;
  mnk_log_set_level((MnkLogLevel)hello.log_level);
  gboolean ok = read_indexer(worker, hello.indexer, error) &&
                confine(hello.sandbox, hello.max_memory, error) &&
                open_indexer(worker, &hello, error);
  if (ok)
    start(worker, &hello);
  mnk_model_hello_clear(&hello);
  return ok;
}

/* ---- Messages to streams ---- */

static gboolean open_stream(Worker *worker, MnkMessage *message, const MnkJsonValue *value,
                            GError **error) {
  MnkModelStream setup;
  gpointer key = GUINT_TO_POINTER(message->stream);
  if (!mnk_model_stream_read(value, &setup, error))
    return FALSE;
  if (g_hash_table_contains(worker->memories, key) ||
      g_hash_table_size(worker->memories) >= STREAMS_MAX) {
    mnk_model_stream_clear(&setup);
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT, "too many streams, or known already");
    return FALSE;
  }
  gsize length = (gsize)setup.snapshot;
  gboolean restore = message->fd >= 0 && length > 0;
  MnkModelMemory *memory = mnk_model_memory_new(&setup, worker->office.vlm, restore);
  g_hash_table_insert(worker->memories, key, memory);
  if (restore)
    send_clerk(worker, (Errand){.memory = memory,
                                .stream = message->stream,
                                .restore = TRUE,
                                .length = length,
                                .fd = g_steal_fd(&message->fd)});
  return TRUE;
}

static gboolean set_stream(MnkModelMemory *memory, const MnkJsonValue *value, GError **error) {
  MnkModelStream setup;
  if (!mnk_model_stream_read(value, &setup, error))
    return FALSE;
  mnk_model_memory_set(memory, &setup);
  mnk_model_stream_clear(&setup);
  return TRUE;
}

static gboolean take_clip(Worker *worker, MnkModelMemory *memory, MnkMessage *message,
                          const MnkJsonValue *value, GError **error) {
  MnkModelClip clip;
  if (!mnk_model_clip_read(value, &clip, error))
    return FALSE;
  mnk_encoder_clip(worker->encoder, message->stream, memory, &clip, g_steal_fd(&message->fd));
  return TRUE;
}

static gboolean take_call(Worker *worker, MnkModelMemory *memory, const MnkMessage *message,
                          const MnkJsonValue *value, GError **error) {
  MnkModelCall call;
  if (!mnk_model_call_read(value, &call, error))
    return FALSE;
  MnkModelJob *job = mnk_job_new(&worker->office, message->type, message->stream, &call, memory);
  if (message->type == MNK_MSG_CAPTION)
    mnk_encoder_follow(worker->encoder, job);
  else
    mnk_queue_push_urgent(worker->office.thinker, job);
  return TRUE;
}

static gboolean take_save(Worker *worker, MnkModelMemory *memory, MnkMessage *message,
                          const MnkJsonValue *value, GError **error) {
  Errand errand = {.memory = memory, .stream = message->stream};
  if (!mnk_model_number_read(value, &errand.number, error))
    return FALSE;
  errand.fd = g_steal_fd(&message->fd);
  send_clerk(worker, errand);
  return TRUE;
}

static gboolean handle_stream(Worker *worker, MnkMessage *message, const MnkJsonValue *value,
                              GError **error) {
  gpointer key = GUINT_TO_POINTER(message->stream);
  MnkModelMemory *memory = g_hash_table_lookup(worker->memories, key);
  if (message->type == MNK_MSG_OPEN)
    return open_stream(worker, message, value, error);
  if (memory == NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "no such stream");
    return FALSE;
  }
  switch (message->type) {
  case MNK_MSG_SET:
    return set_stream(memory, value, error);
  case MNK_MSG_CLIP:
    return take_clip(worker, memory, message, value, error);
  case MNK_MSG_SAVE:
    return take_save(worker, memory, message, value, error);
  case MNK_MSG_CLOSE:
    g_hash_table_remove(worker->memories, key);
    return TRUE;
  default:
    return take_call(worker, memory, message, value, error);
  }
}

/* ---- All messages ---- */

static void refuse(Worker *worker, const GError *error) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_model_error_write(error, text);
  say(worker, MNK_MSG_ENDED, 0, text->str, text->len);
}

static void handle_rest(Worker *worker, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_message_json(message, &error);
  gboolean ok = json != NULL;
  guint number = 0;
  if (ok && message->type == MNK_MSG_CANCEL) {
    ok = mnk_model_number_read(mnk_json_root(json), &number, &error);
    mnk_job_cancel(&worker->office, number);
  } else if (ok) {
    ok = handle_stream(worker, message, mnk_json_root(json), &error);
  }
  if (!ok)
    mnk_warning("local", NULL, "event=message-refused type=%d stream=%u reason=\"%s\"",
                message->type, message->stream, error->message);
}

static void handle(Worker *worker, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  switch (message->type) {
  case MNK_MSG_HELLO:
    if (worker->encoder == NULL && !hello(worker, message, &error))
      refuse(worker, error);
    break;
  case MNK_MSG_PING:
    say(worker, MNK_MSG_PONG, 0, "{}", 2);
    break;
  case MNK_MSG_QUIT:
    worker->quit = TRUE;
    break;
  default:
    if (worker->encoder != NULL && !mnk_encoder_is_loading(worker->encoder) &&
        worker->office.vlm != NULL)
      handle_rest(worker, message);
  }
}

static void memory_unref(gpointer data) {
  mnk_model_memory_unref(data);
}

static void close_queue(MnkQueue *queue, GThread *thread) {
  if (queue == NULL)
    return;
  mnk_queue_close(queue);
  mnk_queue_clear(queue);
  g_thread_join(thread);
}

/* Calls that no thread came to. */
static void drop_jobs(MnkModelOffice *office) {
  GHashTableIter iter;
  gpointer job;
  g_hash_table_iter_init(&iter, office->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    mnk_job_unref(job);
  g_hash_table_unref(office->jobs);
}

/* Who may still send or think ends first; then what they use. */
static void worker_clear(Worker *worker) {
  if (worker->encoder != NULL && mnk_encoder_is_loading(worker->encoder))
    _exit(0); /* nothing is lost, and loading cannot be broken off */
  mnk_encoder_free(worker->encoder);
  close_queue(worker->office.thinker, worker->thinker_thread);
  close_queue(worker->clerk, worker->clerk_thread);
  mnk_vlm_free(worker->office.vlm);
  mnk_outbox_free(worker->outbox);
  g_hash_table_unref(worker->memories);
  drop_jobs(&worker->office);
  mnk_queue_free(worker->office.thinker);
  mnk_queue_free(worker->clerk);
  mnk_indexer_free(worker->office.indexer);
  g_clear_pointer(&worker->indexer, g_bytes_unref);
  mnk_channel_free(worker->office.channel);
  g_mutex_clear(&worker->office.lock);
}

int mnk_local_worker_run(int fd) {
  /* Ctrl-C goes to the whole group; it is the server that decides. */
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  Worker worker = {
      .office.channel = mnk_channel_new(fd),
      .office.jobs = g_hash_table_new(NULL, NULL),
      .memories = g_hash_table_new_full(NULL, NULL, NULL, memory_unref),
  };
  worker.outbox = mnk_outbox_new(worker.office.channel);
  g_mutex_init(&worker.office.lock);
  int status = 0;
  while (!worker.quit) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(worker.office.channel, POLL_MS, &error);
    if (error != NULL) {
      status =
          g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED) ? 0 : mnk_error_exit_code(error);
      break;
    }
    if (message != NULL)
      handle(&worker, message);
    tell_counters(&worker);
  }
  worker_clear(&worker);
  return status;
}

/* ---- The probe ---- */

int mnk_local_probe_run(const MnkVlmConfig *config) {
  g_autoptr(GError) error = NULL;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mnk_vlm_probe(config, &error))
    return 0;
  fprintf(stderr, "%s\n", error->message);
  return mnk_error_exit_code(error);
}
